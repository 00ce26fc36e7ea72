"""What is replaced in the devkit gives what the devkit gives, and only for a while."""

import numpy as np
import pandas as pd
import pytest
from nuscenes.eval.tracking.constants import MOT_METRIC_MAP
from nuscenes.eval.tracking.mot import MOTAccumulatorCustom
from sklearn.metrics import pairwise

from nexusflow.evaluation.devkit_shortcuts import joined_events, less_work


def _scene(seed: int, frames: int) -> MOTAccumulatorCustom:
    rng = np.random.default_rng(seed)
    accumulator = MOTAccumulatorCustom()
    for frame in range(frames):
        objects = [f"object{k}" for k in rng.permutation(4)[: rng.integers(1, 4)]]
        hypotheses = [f"track{k}" for k in rng.permutation(5)[: rng.integers(0, 5)]]
        distances = rng.uniform(0, 3, (len(objects), len(hypotheses)))
        distances[distances >= 2] = np.nan
        accumulator.update(objects, hypotheses, distances, frameid=frame)
    return accumulator


@pytest.mark.parametrize("lengths", [(6,), (4, 0, 5), (0, 0), (3, 3, 3, 3)])
def test_events_are_joined_as_in_the_devkit(lengths: tuple[int, ...]) -> None:
    scenes = [_scene(place, frames) for place, frames in enumerate(lengths)]
    expected = MOTAccumulatorCustom.merge_event_dataframes(scenes)
    found = joined_events(scenes)
    assert list(found.index) == list(expected.index)
    pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_dtype=bool(sum(lengths)))


def test_the_last_frame_reads_as_the_devkit_reads_it() -> None:
    scene = _scene(3, 5)
    expected = scene.events.loc[4]
    with less_work(durations=False):
        found = scene.events.loc[4]
        matches = found[found.Type == "MATCH"].HId.values
    assert matches.tolist() == expected[expected.Type == "MATCH"].HId.values.tolist() != []


def test_the_devkit_is_what_it_was_afterwards() -> None:
    before = (
        dict(MOT_METRIC_MAP),
        MOTAccumulatorCustom.events,
        MOTAccumulatorCustom.merge_event_dataframes,
        pairwise.euclidean_distances,
    )
    with pytest.raises(KeyError), less_work(durations=False):
        assert len(MOT_METRIC_MAP) < len(before[0])
        raise KeyError
    assert before == (
        dict(MOT_METRIC_MAP),
        MOTAccumulatorCustom.events,
        MOTAccumulatorCustom.merge_event_dataframes,
        pairwise.euclidean_distances,
    )
