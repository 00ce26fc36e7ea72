"""Lets the official tracking evaluation do the same with less work.

The devkit stays what computes the numbers. What is replaced meanwhile gives equal results: the events of all
scenes are joined at once instead of scene by scene, the search for thresholds reads the events of a frame
without a table of all frames before it, and distances are computed without scikit-learn's inspection of its
arguments. Metrics that nobody wants are left out.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from nexusflow.evaluation.matching import euclidean_distances

__all__ = ["joined_events", "less_work"]

# Interruptions, time until an object is first found, and longest gap, under motmetrics' names.
_DURATIONS = ("num_fragmentations_custom", "tid", "lgd")


def _renamed(names: Sequence[Hashable], counter: Iterator[int]) -> list[Any]:
    """Give every name of one scene a number, in the order of appearance; nan stays."""
    known: dict[Hashable, str] = {}
    renamed: list[Any] = []
    for name in names:
        if isinstance(name, float) and math.isnan(name):
            renamed.append(name)
            continue
        if name not in known:
            known[name] = str(next(counter))
        renamed.append(known[name])
    return renamed


def joined_events(accumulators: Sequence[Any]) -> Any:
    """Join the events of scenes, with frames and identities of their own.

    Args:
        accumulators: the devkit's accumulators, one per scene.

    Returns:
        The table that `MOTAccumulatorCustom.merge_event_dataframes` gives.

    Source: nuScenes devkit 1.2, `eval/tracking/mot.py`.
    """
    from nuscenes.eval.tracking.mot import MOTAccumulatorCustom

    indices: dict[str, list[int]] = {"FrameId": [], "Event": []}
    events: dict[str, list[Any]] = {"Type": [], "OId": [], "HId": [], "D": []}
    objects, hypotheses = itertools.count(), itertools.count()
    offset = 0
    for accumulator in accumulators:
        frames = accumulator._indices["FrameId"]
        indices["FrameId"] += [frame + offset for frame in frames]
        indices["Event"] += accumulator._indices["Event"]
        events["Type"] += accumulator._events["Type"]
        events["D"] += accumulator._events["D"]
        events["OId"] += _renamed(accumulator._events["OId"], objects)
        events["HId"] += _renamed(accumulator._events["HId"], hypotheses)
        offset = max(indices["FrameId"], default=-1) + 1
    return MOTAccumulatorCustom.new_event_dataframe_with_data(indices, events)


@dataclass(frozen=True)
class _FrameEvents:
    """What the devkit reads of the events of one frame."""

    Type: NDArray[np.object_]
    HId: SimpleNamespace

    def __getitem__(self, chosen: NDArray[np.bool_]) -> _FrameEvents:
        return _FrameEvents(self.Type[chosen], SimpleNamespace(values=self.HId.values[chosen]))


class _LastFrame:
    """Stands in for the table of a scene's events; looks only at the frame that was added last."""

    def __init__(self, accumulator: Any) -> None:
        self.accumulator = accumulator

    @property
    def loc(self) -> _LastFrame:
        return self

    def __getitem__(self, frame: int) -> _FrameEvents:
        frames = self.accumulator._indices["FrameId"]
        assert frames[-1] == frame, "only the last frame can be read"
        events, start = self.accumulator._events, frames.index(frame)
        columns = [np.array(events[name][start:], dtype=object) for name in ("Type", "HId")]
        return _FrameEvents(columns[0], SimpleNamespace(values=columns[1]))


@contextlib.contextmanager
def less_work(durations: bool) -> Iterator[None]:
    """Replace what is slow in the devkit's evaluation, in this process and block.

    Args:
        durations: also compute frag, tid and lgd.

    Yields:
        Nothing.
    """
    import sklearn
    from nuscenes.eval.tracking.constants import MOT_METRIC_MAP
    from nuscenes.eval.tracking.mot import MOTAccumulatorCustom
    from sklearn.metrics import pairwise

    names = dict(MOT_METRIC_MAP)
    try:
        for key in () if durations else _DURATIONS:
            del MOT_METRIC_MAP[key]
        with (
            mock.patch.object(MOTAccumulatorCustom, "merge_event_dataframes", staticmethod(joined_events)),
            mock.patch.object(MOTAccumulatorCustom, "events", property(_LastFrame)),
            mock.patch.object(pairwise, "euclidean_distances", euclidean_distances),
            sklearn.config_context(assume_finite=True, skip_parameter_validation=True),
        ):
            yield
    finally:
        MOT_METRIC_MAP.clear()
        MOT_METRIC_MAP.update(names)
