"""Spectra of a run's features: of every task, and of all tasks together.

Letters: N points, D dimensions, K eigenvalues.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.features import KINDS, FeatureSet
from nexusflow.analysis.spectrum import pca_spectrum

__all__ = ["POOLED", "task_spectra"]

POOLED = "all"


def _parts(features: FeatureSet, kind: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, points, and the scene or image of each point."""
    if features.has_one_width(kind):
        points_ND = np.concatenate([features.of(kind, task) for task in features.tasks])
        yield POOLED, points_ND, np.tile(features.groups_N, len(features.tasks))
    for task in features.tasks:
        yield task, features.of(kind, task), features.groups_N


def task_spectra(
    features: FeatureSet, config: AnalysisConfig
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Compute the spectra of every kind of features.

    Args:
        features: features of a run.
        config: resamples, confidence, seed.

    Returns:
        Arrays `{kind}/{part}/shares` (K,) and `{kind}/{part}/band` (2, K), eigenvalues over their sum, with
        part = a task or `all`, bands by scene or image; and plain data: `spectra`, kind → part → samples,
        dim, effective rank, participation ratio and their bands, and total variance in squared units.

    Raises:
        UserError: if features are not finite or there are fewer than two frames.
    """
    arrays: dict[str, NDArray[Any]] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        numbers[kind] = {}
        for part, points_ND, groups_N in _parts(features, kind):
            spectrum = pca_spectrum(points_ND, config.resamples, config.confidence, config.seed, groups_N)
            arrays[f"{kind}/{part}/shares"] = spectrum.shares_K
            arrays[f"{kind}/{part}/band"] = spectrum.share_band_2K
            numbers[kind][part] = {
                "samples": spectrum.samples,
                "dim": spectrum.dim,
                "effective_rank": spectrum.effective_rank,
                "effective_rank_band": list(spectrum.effective_rank_band),
                "participation": spectrum.participation,
                "participation_band": list(spectrum.participation_band),
                "variance": float(spectrum.eigenvalues_K.sum()),
            }
    return arrays, {"resamples": config.resamples, "confidence": config.confidence, "spectra": numbers}
