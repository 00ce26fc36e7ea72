"""Collects the NYUv2 image that Figure 7 draws, with the predictions of its runs and the truth.

The image is chosen without looking at predictions: of the validation images, the one in which the most
classes cover a visible part; among equals, the one with the most valid labels.

Letters: H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.vocabulary import NUM_CLASSES
from nexusflow.evaluation.dense import image_metrics
from nexusflow.evaluation.dense_predictions import DensePredictions
from nexusflow.paper.config import Figure7Config
from nexusflow.paper.dense_data import SCORES, DenseFrame, DenseLayer, save_dense_frame

__all__ = ["choose_image", "collect_figure7"]

# Share of an image that a class must cover to count as visible.
_VISIBLE = 0.01


def _visible_classes(labels_HW: np.ndarray) -> int:
    counts = np.bincount(labels_HW[labels_HW >= 0].astype(np.int64).ravel(), minlength=NUM_CLASSES)
    return int((counts >= _VISIBLE * labels_HW.size).sum())


def _valid_share(cache: NYUv2Cache, row: int) -> float:
    """Mean share of pixels with a valid label, over the three tasks."""
    parts = (cache.labels_NHW[row] >= 0, cache.depth_N1HW[row] > 0, (cache.normals_N3HW[row] != 0).any(0))
    return float(np.mean([part.mean() for part in parts]))


def choose_image(cache: NYUv2Cache, figure: Figure7Config) -> int:
    """Choose the image to show.

    Args:
        cache: the decoded data set.
        figure: may fix the image.

    Returns:
        Its place in the validation split.

    Raises:
        UserError: if the configured image does not exist.
    """
    if figure.image is not None:
        if figure.image >= cache.num_val:
            raise UserError(
                f"config/paper.yaml: key `figure7.image` is {figure.image}, but the validation split has "
                f"{cache.num_val} images; choose one from 0 to {cache.num_val - 1}."
            )
        return figure.image
    rows = cache.rows("val")
    visible = [_visible_classes(cache.labels_NHW[row]) for row in rows]
    equals = [number for number, count in enumerate(visible) if count == max(visible)]
    return max(equals, key=lambda number: (_valid_share(cache, rows[number]), -number))


def _predicted_layer(name: str, label: str, folder: Path, cache: NYUv2Cache, number: int) -> DenseLayer:
    predictions = DensePredictions.open(folder)
    predictions.check_size(cache.num_val, *cache.labels_NHW.shape[1:])
    scores = image_metrics(predictions, cache, number).compute()
    return DenseLayer(
        name=name,
        label=label,
        classes_HW=np.asarray(predictions.classes_NHW[number], np.int8),
        depth_HW=np.asarray(predictions.depth_N1HW[number, 0], np.float32),
        normal_HW3=np.asarray(predictions.normal_N3HW[number], np.float32).transpose(1, 2, 0),
        scores={metric: scores[metric] for metric in SCORES if metric in scores},
    )


def _true_layer(cache: NYUv2Cache, row: int) -> DenseLayer:
    return DenseLayer(
        name="truth",
        label="Ground truth",
        classes_HW=np.asarray(cache.labels_NHW[row], np.int8),
        depth_HW=np.asarray(cache.depth_N1HW[row, 0], np.float32),
        normal_HW3=np.asarray(cache.normals_N3HW[row], np.float32).transpose(1, 2, 0),
    )


def collect_figure7(
    figure: Figure7Config,
    cache: NYUv2Cache,
    folders: Mapping[str, Path],
    info: Mapping[str, Any],
    npz_path: Path,
) -> None:
    """Write the image that Figure 7 draws.

    Args:
        figure: the runs in order, and what fixes the image.
        cache: the decoded data set.
        folders: run → folder of its predictions on the validation split.
        info: scale, data and seed for the caption.
        npz_path: destination; a .json of the same name goes beside it.

    Raises:
        UserError: if a prediction is missing or does not fit, or the configured image does not exist.
    """
    number = choose_image(cache, figure)
    row = cache.rows("val")[number]
    how = "chosen without looking at predictions" if figure.image is None else "chosen by hand"
    image_3HW = np.asarray(cache.images_N3HW[row], np.float64)
    save_dense_frame(
        DenseFrame(
            image_HW3=np.ascontiguousarray(np.rint(255 * image_3HW).astype(np.uint8).transpose(1, 2, 0)),
            truth=_true_layer(cache, row),
            methods=tuple(
                _predicted_layer(run.run, run.label, folders[run.run], cache, number) for run in figure.runs
            ),
            info={**info, "image": number, "images": cache.num_val, "chosen": how},
        ),
        npz_path,
    )
