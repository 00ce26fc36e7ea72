"""Writes or scores what a dense model says about the validation split, image by image.

Letters: B images of a chunk, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nexusflow.core.progress import track
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.evaluation.dense import DenseMetrics
from nexusflow.evaluation.dense_predictions import DensePredictionWriter

__all__ = ["predict_images", "score_model"]

_CHUNK = 8


@torch.no_grad()
def _predictions(
    model: nn.Module, cache: NYUv2Cache, split: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield row of the cache, classes (H, W), depth (1, H, W) in metres and unit normals (3, H, W)."""
    device = next(model.parameters()).device
    rows = list(cache.rows(split))
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        images_B3HW = torch.from_numpy(np.array(cache.images_N3HW[chunk[0] : chunk[-1] + 1]))
        outputs = model(images_B3HW.to(device, memory_format=torch.channels_last)).outputs
        classes_BHW = outputs["segmentation"].argmax(1).to(torch.uint8).cpu().numpy()
        depth_B1HW = outputs["depth"].float().cpu().numpy()
        normal_B3HW = outputs["normal"].float().cpu().numpy()
        yield from zip(chunk, classes_BHW, depth_B1HW, normal_B3HW, strict=True)


def score_model(model: nn.Module, cache: NYUv2Cache) -> dict[str, float]:
    """Score a model on the validation split without writing anything.

    Args:
        model: a dense model in evaluation mode.
        cache: decoded images and labels.

    Returns:
        The metrics of `nexusflow.evaluation.dense`.
    """
    metrics = DenseMetrics()
    for row, classes_HW, depth_1HW, normal_3HW in _predictions(model, cache, "val"):
        metrics.add(
            classes_HW,
            depth_1HW,
            normal_3HW,
            cache.labels_NHW[row],
            cache.depth_N1HW[row],
            cache.normals_N3HW[row],
        )
    return metrics.compute()


def predict_images(model: nn.Module, cache: NYUv2Cache, output: Path, title: str) -> None:
    """Write `segmentation.npy`, `depth.npy` and `normal.npy` of the validation split.

    Args:
        model: trained model in evaluation mode.
        cache: decoded images.
        output: the prediction folder.
        title: shown with the progress.
    """
    height, width = cache.images_N3HW.shape[2:]
    with DensePredictionWriter(output, cache.num_val, height, width) as writer:
        found = _predictions(model, cache, "val")
        for _, classes_HW, depth_1HW, normal_3HW in track(found, f"{title}: validation", total=cache.num_val):
            writer.add(classes_HW, depth_1HW, normal_3HW)
