"""Training logs as small line charts that are part of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from nexusflow.core.spread import evenly_spread
from nexusflow.paper.claims_values import RunKey
from nexusflow.paper.logs import read_log, running_mean

__all__ = ["HEIGHT", "WIDTH", "Chart", "Curve", "draw_charts"]

WIDTH, HEIGHT = 240.0, 96.0  # of the charts' coordinates
# Title → columns of the log, which are added up. What methods add to the task losses cannot be compared.
_PANELS = {
    "Task losses": ("loss/track/*", "loss/map/*", "loss/segmentation/*", "loss/depth/*", "loss/normal/*"),
    "Alignment loss, weighted": ("loss/nexusflow/align",),
}
_POINTS = 120
_WIDE = 30.0  # largest over smallest value from which on the axis is logarithmic
_SMOOTHING = 5  # rows of the log; less for short logs


@dataclass(frozen=True)
class Curve:
    """One seed.

    Args:
        seed: training seed.
        points: "x,y x,y …" in the chart's coordinates.
        first: first value.
        last: last value.
    """

    seed: int
    points: str
    first: float
    last: float


@dataclass(frozen=True)
class Chart:
    """One run, one quantity.

    Args:
        suite: suite of the run.
        label: name of the run.
        panel: what is drawn.
        curves: one per seed.
        low: value at the lower edge.
        high: value at the upper edge.
        steps: step at the right edge.
        logarithmic: whether the vertical axis is.
    """

    suite: str
    label: str
    panel: str
    curves: tuple[Curve, ...]
    low: float
    high: float
    steps: int
    logarithmic: bool

    @property
    def words(self) -> str:
        """The chart in words."""
        ends = "; ".join(f"seed {c.seed}: from {c.first:.3g} to {c.last:.3g}" for c in self.curves)
        return f"{self.panel} of {self.label} over {self.steps} steps; {ends}"


def _thin(curve: pd.Series) -> pd.Series:
    """Keep as many points as a small chart can show, first and last among them."""
    if len(curve) <= _POINTS:
        return curve
    return curve.iloc[evenly_spread(len(curve), _POINTS)]


def _points(curve: pd.Series, steps: float, low: float, high: float, logarithmic: bool) -> str:
    values = curve.to_numpy(dtype=float)
    if logarithmic:
        values, low, high = np.log(values), math.log(low), math.log(high)
    x_P = curve.index.to_numpy(dtype=float) / steps * WIDTH  # P: points of the curve
    y_P = HEIGHT - (values - low) / ((high - low) or 1.0) * HEIGHT
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(x_P, y_P, strict=True))


def _read(logs: Sequence[Path]) -> dict[tuple[str, str], dict[RunKey, dict[int, pd.Series]]]:
    """Suite and panel → run → seed → curve."""
    found: dict[tuple[str, str], dict[RunKey, dict[int, pd.Series]]] = {}
    for path in logs:
        suite, run, seed = path.parts[-4:-1]
        log = read_log(path)
        for panel, patterns in _PANELS.items():
            columns = [c for c in log.columns if any(fnmatchcase(c, pattern) for pattern in patterns)]
            curve = log[columns].replace([np.inf, -np.inf], np.nan).sum(axis=1, min_count=1).dropna()
            if len(curve) > 1 and curve.index[-1] > 0:
                runs = found.setdefault((suite, panel), {}).setdefault((suite, run), {})
                window = min(_SMOOTHING, max(1, len(curve) // 10))
                runs[int(seed.removeprefix("seed"))] = _thin(running_mean(curve, window))
    return found


def draw_charts(logs: Sequence[Path], labels: Mapping[RunKey, str]) -> list[Chart]:
    """Draw every run's losses; charts of one suite and quantity share their vertical axis.

    Args:
        logs: files `…/<suite>/<run>/seed<k>/log.csv`.
        labels: suite and run → the name it goes by.

    Returns:
        Charts by suite and quantity; runs without the quantity have none.

    Raises:
        UserError: if a log is malformed.
    """
    charts = []
    for (suite, panel), runs in sorted(
        _read(logs).items(), key=lambda item: (item[0][0], item[0][1] != "Task losses")
    ):
        values = pd.concat([curve for seeds in runs.values() for curve in seeds.values()])
        low, high = float(values.min()), float(values.max())
        logarithmic = low > 0 and high / low > _WIDE
        order = list(labels)
        for key in sorted(runs, key=lambda key: (order.index(key) if key in labels else len(order), key)):
            steps = max(float(curve.index[-1]) for curve in runs[key].values())
            curves = tuple(
                Curve(
                    seed,
                    _points(curve, steps, low, high, logarithmic),
                    float(curve.iloc[0]),
                    float(curve.iloc[-1]),
                )
                for seed, curve in sorted(runs[key].items())
            )
            label = labels.get(key, key[1])
            charts.append(Chart(suite, label, panel, curves, low, high, int(steps), logarithmic))
    return charts
