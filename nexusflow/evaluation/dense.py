"""Segmentation, depth and normals, scored over all valid pixels of a split.

Letters: N images, H × W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.vocabulary import CLASSES, NUM_CLASSES
from nexusflow.evaluation.dense_predictions import DensePredictions

__all__ = ["DenseMetrics", "compare_images", "image_metrics"]

_LEAST_DEPTH_M = 1e-9
_ANGLES = (11.25, 22.5, 30.0)


def _intersection_over_union(confusion_KK: np.ndarray) -> np.ndarray:
    """IoU per class in [0, 1]; NaN where a class neither occurs nor is predicted."""
    hits_K = np.diag(confusion_KK).astype(np.float64)
    union_K = confusion_KK.sum(0) + confusion_KK.sum(1) - hits_K
    return np.divide(hits_K, union_K, out=np.full(len(hits_K), np.nan), where=union_K > 0)


class DenseMetrics:
    """Accumulates image by image; nothing is averaged per image or per batch.

    Source: the metrics of MTAN and MTPSL: one confusion matrix, and sums over valid pixels, of the whole set.
    """

    def __init__(self) -> None:
        self._confusion_KK = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        self._depth = {"pixels": 0.0, "absolute": 0.0, "squared": 0.0, "relative": 0.0}
        self._normal = {"pixels": 0.0, "degrees": 0.0, "squared": 0.0}
        self._below = dict.fromkeys(_ANGLES, 0.0)

    @classmethod
    def joined(cls, parts: Sequence[DenseMetrics], counts_N: np.ndarray | None = None) -> DenseMetrics:
        """Join what several have accumulated.

        Args:
            parts: what to join.
            counts_N: how often each counts, whole numbers from 0; None counts each once.

        Returns:
            As if every image of a part had been added that often.
        """
        whole = cls()
        counts = [1] * len(parts) if counts_N is None else counts_N.tolist()
        for part, count in zip(parts, counts, strict=True):
            if count:
                whole._confusion_KK += count * part._confusion_KK
                for mine, theirs in ((whole._depth, part._depth), (whole._normal, part._normal)):
                    for key, value in theirs.items():
                        mine[key] += count * value
                for angle, pixels in part._below.items():
                    whole._below[angle] += count * pixels
        return whole

    def add(
        self,
        classes_HW: np.ndarray,
        depth_1HW: np.ndarray,
        normal_3HW: np.ndarray,
        true_classes_HW: np.ndarray,
        true_depth_1HW: np.ndarray,
        true_normal_3HW: np.ndarray,
    ) -> None:
        """Add one image.

        Args:
            classes_HW: predicted class 0..12.
            depth_1HW: predicted depth, metres.
            normal_3HW: predicted unit normals.
            true_classes_HW: true class, -1 = void.
            true_depth_1HW: true depth, metres, 0 = invalid.
            true_normal_3HW: true unit normals, zero = invalid.
        """
        valid = true_classes_HW >= 0
        codes = true_classes_HW[valid].astype(np.int64) * NUM_CLASSES + classes_HW[valid].astype(np.int64)
        counts = np.bincount(codes, minlength=NUM_CLASSES**2)
        self._confusion_KK += counts.reshape(NUM_CLASSES, NUM_CLASSES)
        self._add_depth(depth_1HW, true_depth_1HW)
        self._add_normals(normal_3HW, true_normal_3HW)

    def _add_depth(self, depth_1HW: np.ndarray, true_1HW: np.ndarray) -> None:
        valid = true_1HW != 0
        truth = true_1HW[valid].astype(np.float64)
        error = np.maximum(depth_1HW[valid].astype(np.float64), _LEAST_DEPTH_M) - truth
        self._depth["pixels"] += error.size
        self._depth["absolute"] += float(np.abs(error).sum())
        self._depth["squared"] += float((error**2).sum())
        self._depth["relative"] += float((np.abs(error) / truth).sum())

    def _add_normals(self, normal_3HW: np.ndarray, true_3HW: np.ndarray) -> None:
        valid = (true_3HW != 0).any(0)
        cosine = (normal_3HW[:, valid].astype(np.float64) * true_3HW[:, valid]).sum(0)
        degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        self._normal["pixels"] += degrees.size
        self._normal["degrees"] += float(degrees.sum())
        self._normal["squared"] += float((degrees**2).sum())
        for angle in _ANGLES:
            self._below[angle] += float((degrees < angle).sum())

    def compute(self) -> dict[str, float]:
        """Compute the metrics of all images so far.

        Returns:
            "Seg IoU" and "Pixel accuracy" (%), "Seg IoU/<class>" (%), "Depth aErr" and "Depth RMSE" (metres),
            "Depth rel", "Norm mErr" and "Norm RMSE" (degrees), "Norm <11.25" and its like (% of pixels). A
            metric without a valid pixel is left out.
        """
        scores: dict[str, float] = {}
        if total := int(self._confusion_KK.sum()):
            iou_K = 100 * _intersection_over_union(self._confusion_KK)
            scores["Seg IoU"] = float(np.nanmean(iou_K))
            scores["Pixel accuracy"] = float(100 * np.trace(self._confusion_KK) / total)
            known = zip(CLASSES, iou_K, strict=True)
            scores |= {f"Seg IoU/{name}": float(iou) for name, iou in known if not np.isnan(iou)}
        if pixels := self._depth["pixels"]:
            scores["Depth aErr"] = self._depth["absolute"] / pixels
            scores["Depth RMSE"] = float(np.sqrt(self._depth["squared"] / pixels))
            scores["Depth rel"] = self._depth["relative"] / pixels
        if pixels := self._normal["pixels"]:
            scores["Norm mErr"] = self._normal["degrees"] / pixels
            scores["Norm RMSE"] = float(np.sqrt(self._normal["squared"] / pixels))
            scores |= {f"Norm <{angle:g}": 100 * self._below[angle] / pixels for angle in _ANGLES}
        return scores


def image_metrics(
    predictions: DensePredictions, cache: NYUv2Cache, number: int, split: str = "val"
) -> DenseMetrics:
    """Compare the predictions for one image with its labels.

    Args:
        predictions: prediction files of the split.
        cache: the data set with all labels.
        number: place of the image in the split.
        split: "train" or "val".

    Returns:
        What the image alone adds up to.
    """
    metrics, row = DenseMetrics(), cache.rows(split)[number]
    metrics.add(
        predictions.classes_NHW[number],
        predictions.depth_N1HW[number],
        predictions.normal_N3HW[number],
        cache.labels_NHW[row],
        cache.depth_N1HW[row],
        cache.normals_N3HW[row],
    )
    return metrics


def compare_images(
    predictions: DensePredictions, cache: NYUv2Cache, split: str = "val"
) -> list[DenseMetrics]:
    """Compare prediction files with all labels of a split, image by image.

    Args:
        predictions: prediction files of the split.
        cache: the data set with all labels.
        split: "train" or "val".

    Returns:
        One entry per image; `DenseMetrics.joined` gives those of the split.

    Raises:
        UserError: if the files have another number or size of images.
    """
    count = len(cache.rows(split))
    predictions.check_size(count, *cache.labels_NHW.shape[1:])
    return [image_metrics(predictions, cache, number, split) for number in range(count)]
