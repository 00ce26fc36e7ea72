"""MMD between tasks in every reading of Table 1: which features, between which sets, with which bandwidth.

Letters: N, M points of two samples, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.features import KINDS, FeatureSet
from nexusflow.analysis.permutation import MMDReport, mmd_report

__all__ = ["BANDWIDTHS", "SETS", "mmd_readings", "standardised", "subset_size_of"]

SETS = ("cross_domain", "same_frames", "domain_gap")
BANDWIDTHS = ("data", "fixed")


@dataclass(frozen=True)
class _Pair:
    """Two samples and what they are."""

    name: str
    x_ND: np.ndarray
    y_MD: np.ndarray


def subset_size_of(features: FeatureSet, wanted: int) -> int:
    """Choose one size of subsets for all sets of a run: the V-statistic depends on it.

    Args:
        features: features of a run.
        wanted: size by configuration.

    Returns:
        At most half of the frames of the smallest domain, so that two disjoint subsets of it exist; at
        least 1.
    """
    smallest = int(np.unique(features.domains_N, return_counts=True)[1].min())
    return max(1, min(wanted, smallest // 2))


def standardised(x_ND: np.ndarray, y_MD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every dimension mean 0 and standard deviation 1 over both samples together.

    Args:
        x_ND: first sample.
        y_MD: second sample.

    Returns:
        Both samples, float64; a dimension without spread becomes zero.
    """
    joint = np.concatenate([x_ND, y_MD]).astype(np.float64)
    mean_D, std_D = joint.mean(0), joint.std(0)
    scaled = np.divide(joint - mean_D, std_D, out=np.zeros_like(joint), where=std_D > 0)
    return scaled[: len(x_ND)], scaled[len(x_ND) :]


def _pairs(features: FeatureSet, kind: str, sets: str) -> Iterator[_Pair]:
    """Samples of a reading; none where the tasks' features lie in spaces of different dimension."""
    if sets == "domain_gap":
        domains = sorted(set(features.domains_N.tolist()))
        for task in features.tasks:
            for first, second in combinations(domains, 2):
                name = f"{task}: {first} and {second}"
                yield _Pair(name, features.of(kind, task, first), features.of(kind, task, second))
        return
    if not features.has_one_width(kind):
        return
    home: dict[str, Any] = features.meta["labelled_in"] if sets == "cross_domain" else {}
    for first, second in combinations(features.tasks, 2):
        x_ND, y_MD = (features.of(kind, task, home.get(task)) for task in (first, second))
        yield _Pair(f"{first} and {second}", x_ND, y_MD)


def _report(pair: _Pair, bandwidth: str, size: int, config: AnalysisConfig) -> MMDReport:
    x_ND, y_MD = pair.x_ND, pair.y_MD
    fixed = None
    if bandwidth == "fixed":
        # The kernel exp(-d² / (2 s²)) with s² = D in standardised dimensions.
        x_ND, y_MD = standardised(x_ND, y_MD)
        fixed = 2.0 * x_ND.shape[1]
    return mmd_report(
        x_ND,
        y_MD,
        seed=config.seed,
        subsets=config.subsets,
        subset_size=size,
        bandwidth=fixed,
        permutations=config.permutations,
    )


def _pair_row(name: str, report: MMDReport) -> dict[str, Any]:
    references = (report.reference_x, report.reference_y)
    return {
        "pair": name,
        "mmd2": report.five_kernel.mean,
        "mmd2_std": report.five_kernel.std,
        "null_mmd2": float(np.mean([reference.mean for reference in references])),
        "null_mmd2_std": float(np.mean([reference.std for reference in references])),
        "unbiased_mmd2": report.unbiased,
        "p_value": report.p_value,
        "bandwidth": report.bandwidth,
    }


def mmd_readings(features: FeatureSet, config: AnalysisConfig) -> dict[str, Any]:
    """Measure the MMD between the tasks of a run in every reading.

    Features: h pooled in the branch, embedding h', latent z. Sets: `cross_domain`, each task on frames of the
    domain that shows its labels (the paper's wording); `same_frames`, all tasks on all frames; `domain_gap`,
    one task on frames of two domains. Bandwidth: `data`, mean squared distance of the two samples; `fixed`,
    2 D after every dimension was standardised. Several pairs are averaged; of their p-values, the largest
    stands.

    Args:
        features: features of a run.
        config: numbers of draws.

    Returns:
        Plain data: `subset_size` and `readings`, each with `features`, `sets`, `bandwidth`, averages and
        `pairs`; a reading is left out where the tasks' features have different dimensions.

    Raises:
        UserError: if features are not finite.

    Source: Table 1 of the paper, which states neither features, sets, kernel nor estimator.
    """
    size = subset_size_of(features, config.subset_size)
    readings = []
    for kind in KINDS:
        for sets in SETS:
            pairs = list(_pairs(features, kind, sets))
            for bandwidth in BANDWIDTHS if pairs else ():
                rows = [_pair_row(pair.name, _report(pair, bandwidth, size, config)) for pair in pairs]
                means = {
                    key: float(np.mean([row[key] for row in rows]))
                    for key in ("mmd2", "mmd2_std", "null_mmd2", "null_mmd2_std", "unbiased_mmd2")
                }
                worst = {"p_value": max(row["p_value"] for row in rows)}
                reading = {"features": kind, "sets": sets, "bandwidth": bandwidth}
                readings.append({**reading, **means, **worst, "pairs": rows})
    return {
        "subset_size": size,
        "subsets": config.subsets,
        "permutations": config.permutations,
        "readings": readings,
    }
