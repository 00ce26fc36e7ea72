"""Reading training logs (log.csv) of several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nexusflow.core.errors import UserError

__all__ = ["LoggedRun", "draw_over_seeds", "read_log", "running_mean"]

_STEP = "step"


@dataclass(frozen=True)
class LoggedRun:
    """A run, the name it goes by and its logs.

    Args:
        run: run name.
        label: shown name.
        logs: one log.csv per seed; may be empty if the run does not exist yet.
    """

    run: str
    label: str
    logs: tuple[Path, ...] = ()


def read_log(path: Path) -> pd.DataFrame:
    """Read one log.csv.

    Args:
        path: the file.

    Returns:
        Floats, indexed by step in rising order; empty cells are NaN.

    Raises:
        UserError: if the file is missing or empty, has no `step` column, repeats a step or holds text.
    """
    path = Path(path)
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the rule that trains this run.") from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV table ({error}); train this run again.") from error
    if _STEP not in frame.columns:
        raise UserError(f"{path} has no column '{_STEP}'; train this run again.")
    for column in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise UserError(
                f"{path}: column '{column}' holds something that is not a number; train this run again."
            )
    if frame[_STEP].isna().any() or frame[_STEP].duplicated().any():
        raise UserError(f"{path}: column '{_STEP}' has empty or repeated cells; train this run again.")
    return frame.astype(float).set_index(_STEP).sort_index()


def running_mean(values: pd.Series, window: int) -> pd.Series:
    """Smooth a curve by a centred mean that is shorter at the ends.

    Args:
        values: the curve.
        window: number of rows; 1 leaves the curve as it is.

    Returns:
        The smoothed curve, same index.
    """
    return values.rolling(window, center=True, min_periods=1).mean()


def draw_over_seeds(
    axes: Axes, curves: Sequence[pd.Series], colour: str, linestyle: str = "-", window: int = 1
) -> bool:
    """Draw the mean over seeds as a line and the range over seeds as a band.

    Args:
        axes: the panel.
        curves: one curve per seed, indexed by step.
        colour: colour of line and band.
        linestyle: line style of the mean.
        window: window of the running mean, in rows.

    Returns:
        Whether there was anything to draw.
    """
    filled = [running_mean(curve.dropna(), window) for curve in curves if curve.notna().any()]
    if not filled:
        return False
    # Only steps that every seed has logged: a mean over fewer seeds would jump.
    together = pd.concat(filled, axis=1, join="inner").replace([np.inf, -np.inf], np.nan)
    axes.plot(together.index, together.mean(axis=1), color=colour, linestyle=linestyle)
    if len(filled) > 1:
        low, high = together.min(axis=1), together.max(axis=1)
        axes.fill_between(together.index, low, high, color=colour, alpha=0.15, linewidth=0)
    return True
