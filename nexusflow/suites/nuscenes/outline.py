"""What the BEV model of a configuration is made of.

Letters: B clips, T key frames, N cameras, C channels, H × W image, G boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.layers import levels_of
from nexusflow.bev.model import BEVModel
from nexusflow.bev.types import ModelOutput, TrackTruth
from nexusflow.core.outline import BranchOutline, ModelOutline
from nexusflow.suites.nuscenes.suite import build_model
from nexusflow.suites.outline import part_of, shape_of

__all__ = ["outline_model"]


def _empty_clip(config: BEVModelConfig, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor, TrackTruth]:
    """Return black images, poses and a truth without boxes; what they hold changes no shape."""
    images = torch.zeros(
        1, length, config.cameras, 3, config.image_height, config.image_width, dtype=torch.uint8
    )
    poses_BT44 = torch.eye(4, dtype=torch.float64).expand(1, length, 4, 4)
    cameras_BTN44 = torch.eye(4).expand(1, length, config.cameras, 4, 4)
    times_BT = torch.arange(length, dtype=torch.float64)[None] / 2
    labels_BTG = torch.full((1, length, 1), -1)
    truth = TrackTruth(torch.zeros(1, length, 1, 9), labels_BTG, labels_BTG, torch.ones(1, dtype=torch.bool))
    return images, cameras_BTN44, poses_BT44, times_BT, truth


def _branches(model: BEVModel, output: ModelOutput) -> tuple[BranchOutline, ...]:
    track, mapping = output.outputs["track"].frames[-1], output.outputs["map"]
    predictions = {
        "track": {"boxes": track.codes_LBQ10[-1], "classes": track.logits_LBQK[-1]},
        "map": {"masks": mapping.logits_FKHW[-1:]},
    }
    heads: dict[str, nn.Module] = {"track": model.track, "map": model.map}
    return tuple(
        BranchOutline(
            task=task,
            head=part_of(type(head).__name__, head.parameters(), "h", output.taps[task]["features"]),
            predictions={name: shape_of(x) for name, x in predictions[task].items()},
        )
        for task, head in heads.items()
    )


@torch.no_grad()
def outline_model(
    config: BEVModelConfig, clip_length: int, freeze_encoder: bool
) -> tuple[ModelOutline, dict[str, dict[str, Tensor]]]:
    """Build the model and run it on one clip without content.

    Args:
        config: the model section of a run.
        clip_length: key frames of a training clip; from the second on, carried tracks are queries as well.
        freeze_encoder: whether the run trains the task-formers only (phase 2).

    Returns:
        Parts, shapes for one clip and numbers of parameters; and the taps, for a method's networks.
    """
    model = build_model(config, seed=0).eval()
    if freeze_encoder:
        model.freeze_encoder()
    features: list[Tensor] = []
    handle = model.backbone.register_forward_hook(lambda _module, _inputs, x: features.extend(levels_of(x)))
    images, cameras, poses, times, truth = _empty_clip(config, clip_length)
    output = model(images, cameras, poses, times, truth)
    handle.remove()
    per_frame = features[0].unflatten(0, (clip_length, config.cameras))
    backbone, encoder = type(model.backbone).__name__, type(model.encoder).__name__
    trunk = (
        part_of(backbone, [*model.backbone.parameters(), model.camera], "camera features", per_frame[-1:]),
        part_of(encoder, model.encoder.parameters(), "BEV feature map", output.bev_BCHW),
    )
    outline = ModelOutline(
        input="camera images",
        input_shape=shape_of(images[:, 0]),
        trunk=trunk,
        branches=_branches(model, output),
    )
    return outline, output.taps
