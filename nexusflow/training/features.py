"""Extracts what a trained model holds about validation frames: pooled features h, embeddings h', latents z.

Letters: N frames, B frames of a batch, Q tokens, F features of a branch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nexusflow.alignment import NexusFlow, Tap, tokens_of
from nexusflow.analysis.features import KINDS, FeatureSet
from nexusflow.core.progress import track
from nexusflow.suites.taps import TapReader, balanced_frames
from nexusflow.training.features_config import FeaturesConfig

__all__ = ["extract_features", "pool_tap"]


def pool_tap(tap: Tap) -> Tensor:
    """Pool a tap to its weighted mean, the input of the MLP aggregator.

    Args:
        tap: what a branch holds, see `nexusflow.alignment.tokens_of`.

    Returns:
        Features (B, F); zero where no token counts.
    """
    x_BQF, weights_BQ, _ = tokens_of(tap)
    total_B1 = weights_BQ.sum(-1, keepdim=True)
    shares_BQ = weights_BQ / torch.where(total_B1 > 0, total_B1, 1)
    return (shares_BQ[..., None] * x_BQF).sum(1)


@torch.no_grad()
def extract_features(
    reader: TapReader, surrogates: NexusFlow, config: FeaturesConfig, meta: dict[str, Any], title: str
) -> FeatureSet:
    """Look at the validation frames of every domain with a trained model and its surrogates.

    Args:
        reader: the trained model, frozen, and its data.
        surrogates: trained with the model or afterwards.
        config: frames of each domain and frames per pass.
        meta: what the file shall say of the run, plain data.
        title: shown with the progress.

    Returns:
        The features; `meta` is completed by tasks, domains and sizes.

    Raises:
        UserError: if the frames are of one domain only.
    """
    table = balanced_frames(reader.frames("val"), config.frames)
    surrogates.eval()
    parts: dict[str, dict[str, list[Tensor]]] = {
        kind: {task: [] for task in surrogates.tasks} for kind in KINDS
    }
    starts = range(0, len(table.rows_N), config.batch_size)
    for start in track(starts, f"{title}: validation frames"):
        taps = reader.taps(table.rows_N[start : start + config.batch_size].tolist())
        aligned = surrogates(taps)
        for task in surrogates.tasks:
            parts["h"][task].append(pool_tap(taps[task]))
            parts["embedding"][task].append(aligned.embeddings[task])
            parts["latent"][task].append(aligned.latents[task])
    features = {
        kind: {task: torch.cat(pieces).float().cpu().numpy() for task, pieces in by_task.items()}
        for kind, by_task in parts.items()
    }
    domains = sorted(set(table.domains_N.tolist()))
    described = {
        "split": "val",
        "tasks": list(surrogates.tasks),
        "labelled_in": reader.labelled_in,
        "domains": {domain: int((table.domains_N == domain).sum()) for domain in domains},
        "frames": len(table.rows_N),
        "groups": len(set(table.groups_N.tolist())),
        "width": {kind: {task: x.shape[1] for task, x in features[kind].items()} for kind in KINDS},
    }
    return FeatureSet(features, table.names_N, table.domains_N, table.groups_N, {**meta, **described})
