"""Analyses of features as figures read them: `seed{k}.json` with numbers, `seed{k}.npz` with arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.paper.archive import check_array, read_archive, read_entries

__all__ = [
    "FEATURES",
    "FORMAT",
    "TASK_COLOURS",
    "AnalysedRun",
    "Analysis",
    "AnalysisContext",
    "read_analyses",
    "read_analysis",
]

FORMAT = 1
FEATURES = {
    "h": "h, inside the task heads",
    "embedding": "h′, in front of the coupling layers",
    "latent": "z, behind the coupling layers",
}
# Blue and vermilion stand for the paper's blue and red, which not everyone can tell apart.
TASK_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_KEYS = ("scale", "suite", "run", "seed", "tasks", "post_hoc", "frames", "groups")


@dataclass(frozen=True)
class AnalysedRun:
    """A run of a figure and its analysis.

    Args:
        suite: suite name.
        run: run name.
        label: shown name.
        path: the .json of `nexusflow analyse`, a .npz of the same stem beside it; None if the run is only
            declared.
    """

    suite: str
    run: str
    label: str
    path: Path | None


@dataclass(frozen=True)
class AnalysisContext:
    """On what a figure was measured.

    Args:
        scale: scale that the files must be of.
        data: what the data set of the scale is.
        seed: training seed of all runs.
    """

    scale: str
    data: str
    seed: int

    def source(self, analyses: Iterable[Analysis]) -> str:
        """Say in one line what a figure was measured on.

        Args:
            analyses: those that are drawn.

        Returns:
            Scale, data, seed and frames.
        """
        frames = list(dict.fromkeys(item.frames_text for item in analyses))
        parts = [f"Scale {self.scale}", self.data, f"seed {self.seed}", *frames]
        return "; ".join(parts)


@dataclass(frozen=True)
class Analysis:
    """Content of the two files of one analysis.

    Args:
        item: the run.
        meta: content of the .json.
        arrays: content of the .npz.
    """

    item: AnalysedRun
    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def path(self) -> Path:
        """The .json."""
        assert self.item.path is not None
        return self.item.path

    @property
    def tasks(self) -> list[str]:
        """The tasks in order."""
        return [str(task) for task in self.meta["tasks"]]

    @property
    def post_hoc(self) -> bool:
        """Whether the run has no surrogates of its own, so that they were trained afterwards."""
        return bool(self.meta["post_hoc"])

    @property
    def frames_text(self) -> str:
        """Number of frames in words; where frames share a scene, that of scenes too."""
        frames, groups = self.meta["frames"], self.meta["groups"]
        return f"{frames} validation " + (f"frames of {groups} scenes" if groups < frames else "images")

    def entry(self, *keys: str) -> Any:
        """Look up a value of the .json by the keys that lead to it.

        Raises:
            UserError: if one of them is missing.
        """
        content: Any = self.meta
        for depth, key in enumerate(keys):
            if not isinstance(content, Mapping) or key not in content:
                name = ".".join(keys[: depth + 1])
                raise UserError(f"{self.path} has no key '{name}'; analyse the run again.")
            content = content[key]
        return content

    def number(self, *keys: str) -> float:
        """Look up a finite number of the .json by the keys that lead to it.

        Raises:
            UserError: if it is missing or no finite number.
        """
        value = self.entry(*keys)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(
                f"{self.path}: key '{'.'.join(keys)}' must be a finite number, not {value}; analyse the run "
                "again."
            )
        return float(value)

    def array(self, name: str, shape: Sequence[int | None], finite: bool = True) -> NDArray[np.float64]:
        """Look up an array.

        Args:
            name: its name in the .npz.
            shape: wanted sizes, None for any.
            finite: whether infinity is refused; NaN always is.

        Returns:
            The array in double precision.

        Raises:
            UserError: if it is missing or not as wanted.
        """
        npz_path = self.path.with_suffix(".npz")
        (found,) = read_entries(self.arrays, [name], npz_path)
        fits = found.ndim == len(shape) and all(
            want in (None, size) for want, size in zip(shape, found.shape, strict=True)
        )
        sizes = " × ".join("n" if size is None else str(size) for size in shape)
        check_array(fits and found.dtype.kind in "fiu", npz_path, name, f"numbers of shape {sizes}")
        values = found.astype(np.float64)
        broken = ~np.isfinite(values) if finite else np.isnan(values)
        check_array(not broken.any(), npz_path, name, "free of NaN" + (" and infinity" if finite else ""))
        return values


def read_analysis(item: AnalysedRun, context: AnalysisContext, key: str) -> Analysis:
    """Read the analysis of a run.

    Args:
        item: the run; its path must not be None.
        context: scale and seed that the files must be of.
        key: what the .json must hold beside what every analysis holds.

    Returns:
        The analysis.

    Raises:
        UserError: naming file and key if something is missing or of another run.
    """
    assert item.path is not None
    meta, arrays = read_archive(item.path.with_suffix(".npz"), FORMAT, (*_KEYS, key))
    wanted = {"scale": context.scale, "suite": item.suite, "run": item.run, "seed": context.seed}
    for name, value in wanted.items():
        if meta[name] != value:
            raise UserError(
                f"{item.path}: key '{name}' must be {value}, not {meta[name]}; analyse the run again."
            )
    return Analysis(item, meta, arrays)


def read_analyses(
    items: Sequence[AnalysedRun], context: AnalysisContext, key: str
) -> list[tuple[AnalysedRun, Analysis | None]]:
    """Read the analyses of several runs.

    Args:
        items: the runs.
        context: scale and seed that the files must be of.
        key: see `read_analysis`.

    Returns:
        Every run with its analysis, None for one that is only declared.

    Raises:
        UserError: see `read_analysis`; also if no run has an analysis.
    """
    found = [(item, None if item.path is None else read_analysis(item, context, key)) for item in items]
    if all(analysis is None for _, analysis in found):
        raise UserError(
            f"No run of this figure has an analysis at the scale {context.scale}; analyse one first."
        )
    return found
