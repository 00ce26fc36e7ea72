"""Lemma 1 for every pair of tasks of a run with surrogates.

Letters: N frames.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nexusflow.alignment import CouplingStack, NexusFlow
from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.features import FeatureSet
from nexusflow.analysis.lemma import LemmaReading, check_lemma
from nexusflow.core.errors import UserError

__all__ = ["task_lemma"]

_READINGS = ("analytic", "local", "secant")


def _numbers(reading: LemmaReading) -> dict[str, Any]:
    """A reading without what JSON cannot say: an infinite L is null, and vacuous."""
    median = float(np.median(reading.slack_N))
    return {
        "lipschitz": reading.lipschitz if math.isfinite(reading.lipschitz) else None,
        "share": reading.share,
        "vacuous": reading.vacuous,
        "median_slack": median if math.isfinite(median) else None,
    }


def task_lemma(
    features: FeatureSet, surrogates: NexusFlow, loss: str, reduction: str, config: AnalysisConfig
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Compare both sides of Lemma 1 for every pair of tasks, by the loss of these two tasks.

    Args:
        features: features of a run, of which h' is read.
        surrogates: the run's own.
        loss: "center" or "pair".
        reduction: "sum" or "mean".
        config: number of Jacobians.

    Returns:
        Arrays `{first}-{second}/left` (N,) and `…/right_{reading}` (N,), in units of h', of the readings
        analytic, local and secant of L; and plain data: `pairs`, with delta and what each reading says.

    Raises:
        UserError: if only half of z was aligned, or features do not fit the surrogates.
    """
    if surrogates.latent_dim != surrogates.dim:
        raise UserError(
            f"Run {features.meta['run']} aligns half of z, but Lemma 1 is about all of it; choose another."
        )
    arrays: dict[str, NDArray[Any]] = {}
    pairs = []
    for first, second in combinations(features.tasks, 2):
        flows = cast(
            "tuple[CouplingStack, CouplingStack]", (surrogates.flows[first], surrogates.flows[second])
        )
        check = check_lemma(
            flows,
            (features.of("embedding", first), features.of("embedding", second)),
            loss=cast("Any", loss),
            reduction=cast("Any", reduction),
            jacobians=config.jacobians,
        )
        name = f"{first}-{second}"
        readings = {reading: getattr(check, reading) for reading in _READINGS}
        arrays[f"{name}/left"] = check.left_N
        arrays |= {f"{name}/right_{key}": reading.right_N for key, reading in readings.items()}
        numbers = {key: _numbers(reading) for key, reading in readings.items()}
        delta = check.delta if math.isfinite(check.delta) else None
        pairs.append({"tasks": [first, second], "delta": delta, "factor": check.factor, "readings": numbers})
    return arrays, {"loss": loss, "reduction": reduction, "pairs": pairs}
