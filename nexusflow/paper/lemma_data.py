"""Lemma 1 as figure and table read it: both sides of every sample, for every pair of tasks and reading of L.

Letters: N samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.paper.analysis_files import AnalysedRun, Analysis, AnalysisContext, read_analyses

__all__ = ["LOSSES", "READINGS", "SUITES", "LemmaPair", "LemmaSide", "factor_text", "read_lemma"]

SUITES = {"nuscenes": "nuScenes", "nyuv2": "NYUv2"}
LOSSES = {"center": "centre loss", "pair": "pair loss"}
READINGS = {
    "analytic": "analytic bound of L",
    "local": "largest local expansion",
    "secant": "largest secant",
}


@dataclass(frozen=True)
class LemmaSide:
    """The right side under one reading of L.

    Args:
        right_N: right side of each sample, in units of h'.
        lipschitz: L, without unit; None if infinite.
        share: share of the samples for which the inequality holds.
        vacuous: whether it says nothing, because the right side is infinite.
    """

    right_N: NDArray[np.float64]
    lipschitz: float | None
    share: float
    vacuous: bool


@dataclass(frozen=True)
class LemmaPair:
    """Lemma 1 for two tasks of a run.

    Args:
        analysis: the file it comes from.
        tasks: the two tasks.
        loss: "center" or "pair".
        reduction: "sum" or "mean" over the dimensions.
        factor: what times the root of the loss is the distance of the latents.
        delta: the two inverses' largest disagreement, in units of h'; None if infinite.
        left_N: left side of each sample, in units of h'.
        sides: right sides by reading of L.
    """

    analysis: Analysis
    tasks: tuple[str, str]
    loss: str
    reduction: str
    factor: float
    delta: float | None
    left_N: NDArray[np.float64]
    sides: dict[str, LemmaSide]


def factor_text(pair: LemmaPair) -> str:
    """Write the factor as a formula.

    Args:
        pair: the pair.

    Returns:
        "1", "√2", …, with the width of z under the root where the loss is a mean over it.
    """
    square = pair.factor**2
    text = f"√{square:.0f}" if abs(square - round(square)) < 1e-6 else f"{pair.factor:.3f}"
    return "1" if text == "√1" else text


def _read_pair(analysis: Analysis, content: Any, index: int) -> LemmaPair:
    where = f"pairs.{index}"
    try:
        first, second = map(str, content["tasks"])
        readings = {key: dict(content["readings"][key]) for key in READINGS}
        factor = float(content["factor"])
        delta = None if content["delta"] is None else float(content["delta"])
        numbers = {
            key: (
                None if reading["lipschitz"] is None else float(reading["lipschitz"]),
                float(reading["share"]),
                bool(reading["vacuous"]),
            )
            for key, reading in readings.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{analysis.path}: key '{where}' is not as `nexusflow analyse lemma` writes it ({error}); "
            "analyse the run again."
        ) from error
    left_N = analysis.array(f"{first}-{second}/left", (None,))
    sides = {
        key: LemmaSide(
            analysis.array(f"{first}-{second}/right_{key}", left_N.shape, finite=False), *numbers[key]
        )
        for key in READINGS
    }
    loss, reduction = str(analysis.entry("loss")), str(analysis.entry("reduction"))
    return LemmaPair(analysis, (first, second), loss, reduction, factor, delta, left_N, sides)


def read_lemma(runs: Sequence[AnalysedRun], context: AnalysisContext) -> list[LemmaPair]:
    """Read both sides of Lemma 1.

    Args:
        runs: runs with their files of `nexusflow analyse lemma`; those that are only declared are left out.
        context: scale and seed that the files must be of.

    Returns:
        Pairs of tasks, run by run.

    Raises:
        UserError: naming file and key if something is missing, malformed or of another run.
    """
    analyses = [analysis for _, analysis in read_analyses(runs, context, "pairs") if analysis is not None]
    return [
        _read_pair(analysis, content, index)
        for analysis in analyses
        for index, content in enumerate(analysis.entry("pairs"))
    ]
