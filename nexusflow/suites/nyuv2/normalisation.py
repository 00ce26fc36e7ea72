"""Prediction with statistics of BatchNorm taken anew from training images, per domain or of all (AdaBN).

Letters: B images of a batch, N training images.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from nexusflow.core.progress import track
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.domains import validation_clusters
from nexusflow.evaluation.dense_predictions import DensePredictionWriter

__all__ = ["predict_reestimated", "reestimate"]

_BATCH = 8


def _images(cache: NYUv2Cache, rows: np.ndarray, model: nn.Module) -> torch.Tensor:
    images_B3HW = torch.from_numpy(np.ascontiguousarray(cache.images_N3HW[rows]))
    return images_B3HW.to(next(model.parameters()).device, memory_format=torch.channels_last)


def reestimate(model: nn.Module, cache: NYUv2Cache, rows: np.ndarray) -> nn.Module:
    """Copy a model and replace the statistics of its BatchNorm by those of some images; weights stay.

    Args:
        model: a trained model.
        cache: decoded images; labels are not read.
        rows: rows of the images in the cache.

    Returns:
        The copy, in evaluation mode.
    """
    changed = copy.deepcopy(model)
    batches = max(1, len(rows) // _BATCH)
    # Every batch is spread over all images: variance between batches would be lost.
    update_bn((_images(cache, rows[first::batches], model) for first in range(batches)), changed)
    return changed.eval()


@torch.no_grad()
def predict_reestimated(
    model: nn.Module,
    cache: NYUv2Cache,
    partition: Mapping[str, np.ndarray],
    mode: Literal["per_domain", "all"],
    output: Path,
    title: str,
) -> None:
    """Write `segmentation.npy`, `depth.npy` and `normal.npy` of the validation split.

    Args:
        model: trained model.
        cache: decoded images.
        partition: as `read_image_partition` returns it; its clusters are the domains.
        mode: "per_domain": every validation image under the statistics of its cluster's training images;
            "all": under those of all training images, which tells what taking them anew does by itself.
        output: the prediction folder.
        title: shown with the progress.

    Raises:
        UserError: if the partition has no clusters.

    Source: Li et al., Revisiting Batch Normalization for Practical Domain Adaptation (AdaBN), 2016; here the
        statistics come from training images, so that no validation image is looked at before it is predicted.
    """
    rows_val = np.array(cache.rows("val"), np.int64)
    own_N, domain_val = partition["cluster"], validation_clusters(cache, partition["cluster"])
    if mode == "all":
        own_N, domain_val = np.zeros_like(own_N), np.zeros_like(domain_val)
    models = {int(k): reestimate(model, cache, np.flatnonzero(own_N == k)) for k in np.unique(own_N)}
    height, width = cache.images_N3HW.shape[2:]
    with DensePredictionWriter(output, cache.num_val, height, width) as writer:
        places = zip(rows_val, domain_val, strict=True)
        for row, domain in track(places, f"{title}: validation", total=cache.num_val):
            outputs = models[int(domain)](_images(cache, np.array([row]), model)).outputs
            classes_HW = outputs["segmentation"][0].argmax(0).to(torch.uint8)
            planes = (classes_HW, outputs["depth"][0].float(), outputs["normal"][0].float())
            writer.add(*(plane.cpu().numpy() for plane in planes))
