"""Weights that training of the residual backbone starts with, from a checkpoint of another project.

A checkpoint is read completely or not at all: every one of its keys is either taken, or belongs to a part
that is known and left out, and every weight of the backbone is found, or known to be missing in such
checkpoints.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nexusflow.bev.backbone_config import InitialWeightsConfig
from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file

__all__ = ["LEAK", "load_pretrained"]

LEAK = (
    "these weights were trained with the boxes of all cities, so the partition by city no longer says what "
    "the model has seen"
)

# Where the parts of our backbone lie in a checkpoint.
_PARTS = {
    "imagenet": {"body.": ""},
    "bevformer": {"body.": "img_backbone.", "neck.": "img_neck."},
    "uniad": {"body.": "img_backbone.", "neck.": "img_neck."},
}
# What such a checkpoint holds beside them: heads, whose parts are built differently here.
_LEFT_OUT = {
    "imagenet": ("fc.",),
    "bevformer": ("pts_bbox_head.",),
    "uniad": (
        "pts_bbox_head.",
        "seg_head.",
        "motion_head.",
        "occ_head.",
        "planning_head.",
        "query_embedding.",
        "reference_points.",
        "bbox_size_fc.",
        "memory_bank.",
        "query_interact.",
        "criterion.",
    ),
}
# What the backbone has and such a checkpoint does not.
_MISSING = {"imagenet": ("neck.", "conv_offset."), "bevformer": (), "uniad": ()}


def _read(path: Path) -> dict[str, Tensor]:
    """Return a checkpoint's tensors; a pickle is not opened, whoever made it."""
    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise UserError(f"backbone.weights.file: {path} is missing.") from error
    except (SafetensorError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"backbone.weights.file: {path} is no safetensors file ({reason}); "
            "docs/full_scale.md says how to make one from a .pth file."
        ) from error


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def load_pretrained(backbone: nn.Module, config: InitialWeightsConfig) -> dict[str, Any]:
    """Load weights into a backbone.

    Args:
        backbone: the residual network with its pyramid, `ResNetDCN`.
        config: source and file; the source is not none.

    Returns:
        What belongs into a run's provenance: source, file's name and SHA-256, how many tensors were taken,
        how many of each other part were left out, which parts of the backbone keep their drawn weights, and a
        warning where the weights have seen labels of both cities.

    Raises:
        UserError: if the file is missing, unreadable, of another source, or of a network of another size.
    """
    assert config.file is not None, "the config asks for a file wherever there is a source"
    path, source = Path(config.file), config.source
    given = _read(path)
    wanted = backbone.state_dict()
    names = {ours: _name(ours, source) for ours in wanted}
    taken = {ours: given[theirs] for ours, theirs in names.items() if theirs in given}
    missing = [ours for ours in wanted if ours not in taken and not ours.endswith("num_batches_tracked")]
    unexpected = [ours for ours in missing if not any(part in ours for part in _MISSING[source])]
    if unexpected:
        raise UserError(
            f"{path} lacks {_some(sorted(names[key] for key in unexpected))}: not of source {source}."
        )
    rest = sorted(given.keys() - {names[ours] for ours in taken})
    unknown = [key for key in rest if not key.startswith(_LEFT_OUT[source])]
    if unknown:
        raise UserError(
            f"{path} holds {_some(unknown)}, which no part of a checkpoint of source {source} is called."
        )
    unfit = [ours for ours, value in taken.items() if value.shape != wanted[ours].shape]
    if unfit:
        key = unfit[0]
        raise UserError(
            f"{path}: {names[key]} has shape {tuple(taken[key].shape)}, the configured backbone needs "
            f"{tuple(wanted[key].shape)}; see backbone.depth, base_channels and num_levels."
        )
    backbone.load_state_dict(taken, strict=False)
    return {
        "source": source,
        "file": path.name,
        "sha256": sha256_file(path),
        "taken": len(taken),
        "left_out": dict(sorted(Counter(key.split(".")[0] for key in rest).items())),
        "drawn": sorted({".".join(key.split(".")[:2]) for key in missing}),
        **({} if source == "imagenet" else {"warning": LEAK}),
    }


def _name(ours: str, source: str) -> str:
    """Return what a checkpoint calls one of our weights; nothing has an empty name."""
    for part, theirs in _PARTS[source].items():
        if ours.startswith(part):
            return theirs + ours.removeprefix(part)
    return ""
