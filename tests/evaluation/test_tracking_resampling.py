"""Tracking metrics of drawn scenes against evaluating the scenes themselves."""

from dataclasses import replace

import numpy as np
import pytest

from nexusflow.evaluation.fast_tracking import evaluate_tracks
from nexusflow.evaluation.mapping import count_overlap
from nexusflow.evaluation.resampling import RESAMPLES, draw_groups, resample_scenes
from nexusflow.evaluation.tracking_resampling import count_by_scene, score_drawn
from nexusflow.evaluation.tracks import Timeline, Tracks
from tests.evaluation.test_tracks import random_tracks, timeline_of

FRAMES, SCENES = 6, 3
NAMES = {"AMOTA": "amota", "AMOTP": "amotp", "Recall": "recall", "MOTA": "mota", "IDS": "ids"}


def _joined(parts: list[Tracks]) -> Tracks:
    """Tracks of several scenes, one after the other."""
    moved = [
        replace(part, frame_N=part.frame_N + place * FRAMES, track_N=part.track_N + 100 * place)
        for place, part in enumerate(parts)
    ]
    names = ("frame_N", "label_N", "track_N", "xy_N2", "score_N")
    return Tracks(*(np.concatenate([getattr(part, name) for part in moved]) for name in names))


def _scenes(seed: int, equal_scores: bool = False) -> tuple[list[Tracks], list[Tracks]]:
    rng = np.random.default_rng(seed)
    truth = [random_tracks(rng, FRAMES, 5) for _ in range(SCENES)]
    found = [
        replace(
            part,
            xy_N2=part.xy_N2 + rng.normal(0, 0.8, part.xy_N2.shape),
            score_N=np.full(len(part), 0.5) if equal_scores else part.score_N,
        )
        for part in truth
    ]
    return truth, found


@pytest.mark.parametrize("seed", range(4))
def test_every_scene_once_is_the_split(seed: int) -> None:
    truth, found = map(_joined, _scenes(seed))
    timeline = timeline_of(FRAMES, SCENES)
    drawn = score_drawn(count_by_scene(truth, found, timeline), np.ones((1, SCENES), np.int64))
    expected = evaluate_tracks(truth, found, timeline).overall
    assert expected["amota"] > 0
    for name, key in NAMES.items():
        assert drawn[name] == pytest.approx([expected[key]], abs=1e-12), name


def test_a_scene_drawn_twice_counts_twice() -> None:
    """With one score for all there is one threshold, which resampling does not move."""
    truth, found = _scenes(7, equal_scores=True)
    counts = count_by_scene(_joined(truth), _joined(found), timeline_of(FRAMES, SCENES))
    drawn = score_drawn(counts, np.array([[2, 0, 1], [0, 1, 0]]))
    for place, chosen in enumerate(((0, 0, 2), (1,))):
        parts = [_joined([side[scene] for scene in chosen]) for side in (truth, found)]
        expected = evaluate_tracks(*parts, timeline_of(FRAMES, len(chosen))).overall
        for name in ("MOTA", "Recall", "IDS"):
            assert drawn[name][place] == pytest.approx(expected[NAMES[name]], abs=1e-12), name


def test_a_set_without_truth_has_no_scores() -> None:
    truth, found = _scenes(1)
    empty = truth[0].take(np.zeros(len(truth[0]), bool))
    counts = count_by_scene(_joined([empty, *truth[1:]]), _joined(found), timeline_of(FRAMES, SCENES))
    assert score_drawn(counts, np.array([[3, 0, 0]])) == {}


def test_maps_and_tracks_share_their_draws() -> None:
    truth, found = map(_joined, _scenes(2))
    timeline = replace(timeline_of(FRAMES, SCENES), scenes=["c", "a", "b"])
    counts = count_by_scene(truth, found, timeline)
    map_counts = count_overlap(np.ones((3, 4, 2, 2), bool), np.ones((3, 4, 2, 2), bool))
    content = resample_scenes(map_counts, np.array(["b", "c", "a"]), counts)
    by_name = draw_groups(SCENES)  # columns a, b, c
    expected = score_drawn(counts, by_name[:, [2, 0, 1]])
    assert content["values"]["AMOTA"] == pytest.approx(expected["AMOTA"], abs=1e-6)
    assert len(content["values"]["AMOTA"]) == RESAMPLES and content["groups"] == SCENES
    assert np.ptp(content["values"]["AMOTA"]) > 0


def test_other_scenes_are_refused() -> None:
    truth, found = map(_joined, _scenes(2))
    timeline: Timeline = timeline_of(FRAMES, SCENES)
    map_counts = count_overlap(np.ones((1, 4, 2, 2), bool), np.ones((1, 4, 2, 2), bool))
    with pytest.raises(ValueError, match="different scenes"):
        resample_scenes(map_counts, np.array(["other"]), count_by_scene(truth, found, timeline))
