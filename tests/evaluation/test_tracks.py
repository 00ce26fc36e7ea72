"""Score averaging and gap filling against the devkit's own functions."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.tracks import Timeline, Tracks, average_scores, fill_gaps


def timeline_of(frames: int, scenes: int = 1) -> Timeline:
    """Scenes with uneven intervals."""
    time = np.concatenate(
        [np.arange(frames) * 500_000 + 70_000 * (np.arange(frames) % 3) for _ in range(scenes)]
    )
    return Timeline(
        [f"{k}" for k in range(frames * scenes)],
        np.repeat(np.arange(scenes), frames),
        time.astype(np.int64),
        [f"scene-{k}" for k in range(scenes)],
        ["boston", "singapore"] * (scenes // 2) + ["boston"] * (scenes % 2),
    )


def random_tracks(rng: np.random.Generator, frames: int, count: int, grid: float = 0.0) -> Tracks:
    """One scene of tracks with gaps, in the global frame; `grid` > 0 rounds positions, making ties."""
    rows = []
    for identity in range(count):
        label = int(rng.integers(0, 2))
        place = np.array([900.0, 1500.0]) + rng.uniform(-3, 3, 2)
        for frame in np.flatnonzero(rng.random(frames) < 0.6):
            xy = place + rng.normal(0, 0.7, 2)
            xy = np.round(xy / grid) * grid if grid else xy
            rows.append((frame, label, identity, *xy, rng.integers(0, 4) / 4 + 0.1))
    table = np.array(rows).reshape(-1, 6)
    table = table[rng.permutation(len(table))]
    table = table[np.argsort(table[:, 0], kind="stable")]
    whole = table[:, :3].astype(np.int64)
    return Tracks(whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3:5], table[:, 5])


def devkit_boxes(tracks: Tracks, timeline: Timeline) -> dict[int, list[Any]]:
    """The same boxes as the devkit's objects, by time."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking.data_classes import TrackingBox

    config_factory("tracking_nips_2019")  # sets the class names
    boxes: dict[int, list[Any]] = defaultdict(list)
    for time in timeline.time_F.tolist():
        boxes[time] = []
    for n in range(len(tracks)):
        x, y = tracks.xy_N2[n].tolist()
        boxes[int(timeline.time_F[tracks.frame_N[n]])].append(
            TrackingBox(
                translation=(x, y, 0.0),
                rotation=(1.0, 0.0, 0.0, 0.0),
                tracking_id=str(tracks.track_N[n]),
                tracking_name=TRACKING_CLASSES[tracks.label_N[n]],
                tracking_score=float(tracks.score_N[n]),
            )
        )
    return boxes


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_gaps_are_filled_as_in_the_devkit(seed: int) -> None:
    from nuscenes.eval.tracking.loaders import interpolate_tracks

    rng = np.random.default_rng(seed)
    timeline = timeline_of(7)
    tracks = average_scores(random_tracks(rng, 7, 5))
    filled = fill_gaps(tracks, timeline)
    expected = interpolate_tracks(devkit_boxes(tracks, timeline))
    rows = [
        (
            frame,
            TRACKING_CLASSES.index(box.tracking_name),
            int(box.tracking_id),
            *box.translation[:2],
            box.tracking_score,
        )
        for frame, time in enumerate(timeline.time_F.tolist())
        for box in expected[time]
    ]
    mine = np.column_stack([filled.frame_N, filled.label_N, filled.track_N, filled.xy_N2, filled.score_N])
    np.testing.assert_array_equal(mine, np.array(rows).reshape(-1, 6))  # to the last bit and in this order


def test_weights_of_the_neighbours_are_exchanged() -> None:
    timeline = timeline_of(4)
    ends = Tracks(
        np.array([0, 3]), np.zeros(2, int), np.zeros(2, int), np.array([[0.0, 0], [3.0, 0]]), np.ones(2)
    )
    filled = fill_gaps(ends, timeline)
    times = timeline.time_F / 1e6
    expected = [3 * (times[3] - times[k]) / times[3] for k in (1, 2)]
    assert filled.frame_N.tolist() == [0, 1, 2, 3]
    assert filled.xy_N2[1:3, 0] == pytest.approx(expected)
    assert filled.xy_N2[1, 0] > filled.xy_N2[2, 0]  # the wrong way round


def test_scores_are_averaged_over_the_track() -> None:
    tracks = Tracks(
        np.array([0, 0, 1]),
        np.zeros(3, int),
        np.array([5, 2, 5]),
        np.zeros((3, 2)),
        np.array([0.2, 0.9, 0.6]),
    )
    assert average_scores(tracks).score_N == pytest.approx([0.4, 0.9, 0.4])


def test_steps_count_within_scenes() -> None:
    assert timeline_of(3, scenes=2).step_F.tolist() == [0, 1, 2, 0, 1, 2]
