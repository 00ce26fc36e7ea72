"""Differences between two methods: found for and against either, ranked, without overlap."""

from dataclasses import replace

import numpy as np
import pytest

from nexusflow.paper.differences import find_differences, keep_confident, match_boxes
from nexusflow.paper.qualitative_data import QualitativeFrame, SceneLayer
from tests.paper.fabricate import make_frame


@pytest.fixture
def equal() -> QualitativeFrame:
    """Both methods say the truth."""
    frame = make_frame()
    return replace(frame, baseline=frame.truth, ours=frame.truth)


def _without(layer: SceneLayer, index: int) -> SceneLayer:
    keep = np.arange(len(layer.boxes_K9)) != index
    return replace(
        layer,
        boxes_K9=layer.boxes_K9[keep],
        labels_K=layer.labels_K[keep],
        ids_K=layer.ids_K[keep],
        scores_K=layer.scores_K[keep],
    )


def _moved(layer: SceneLayer, index: int, metres: float) -> SceneLayer:
    boxes_K9 = layer.boxes_K9.copy()
    boxes_K9[index, 0] += metres
    return replace(layer, boxes_K9=boxes_K9)


def test_equal_methods_do_not_differ(equal: QualitativeFrame) -> None:
    assert find_differences(equal) == []


@pytest.mark.parametrize(("name", "better"), [("baseline", "ours"), ("ours", "baseline")])
def test_box_found_by_one_only(equal: QualitativeFrame, name: str, better: str) -> None:
    frame = replace(equal, **{name: _without(equal.truth, 5)})
    (ring,) = find_differences(frame)
    assert (ring.kind, ring.better) == ("box", better)
    assert ring.centre_2 == pytest.approx(tuple(equal.truth.boxes_K9[5, :2]))


def test_box_clearly_closer(equal: QualitativeFrame) -> None:
    (ring,) = find_differences(replace(equal, baseline=_moved(equal.truth, 1, 1.5)))
    assert ring.better == "ours"
    assert find_differences(replace(equal, baseline=_moved(equal.truth, 1, 0.5))) == []


def test_invented_box_speaks_for_the_other(equal: QualitativeFrame) -> None:
    truth = _without(equal.truth, 0)
    both = replace(equal, truth=truth)
    assert find_differences(both) == []  # both invent the same box
    (ring,) = find_differences(replace(both, baseline=truth))
    assert (ring.kind, ring.better) == ("box", "baseline")


def test_wrong_class_does_not_match(equal: QualitativeFrame) -> None:
    wrong = replace(equal.truth, labels_K=(equal.truth.labels_K + 1) % 7)
    assert np.isinf(match_boxes(wrong, equal.truth, 2.0)).all()
    assert match_boxes(equal.truth, equal.truth, 2.0).max() == 0


def test_one_box_serves_one_object(equal: QualitativeFrame) -> None:
    twice = replace(
        equal.truth,
        boxes_K9=np.repeat(equal.truth.boxes_K9[:1], 2, 0),
        labels_K=np.repeat(equal.truth.labels_K[:1], 2),
    )
    assert np.isinf(match_boxes(_without_all_but_first(equal.truth), twice, 2.0)).sum() == 1


def _without_all_but_first(layer: SceneLayer) -> SceneLayer:
    return replace(layer, boxes_K9=layer.boxes_K9[:1], labels_K=layer.labels_K[:1])


def test_map_region(equal: QualitativeFrame) -> None:
    map_CRR = equal.truth.map_CRR.copy()
    map_CRR[3, 40:50, 20:40] = 0  # y from −5 to 0, x from −15 to −5
    (ring,) = find_differences(replace(equal, baseline=replace(equal.truth, map_CRR=map_CRR)))
    assert (ring.kind, ring.better, ring.box_9) == ("map", "ours", None)
    assert ring.centre_2 == pytest.approx((-10.0, -2.5))
    assert ring.reach_2[0] > ring.reach_2[1]


def test_seam_and_overlap_get_no_ring_of_their_own(equal: QualitativeFrame) -> None:
    seam = equal.truth.map_CRR.copy()
    seam[3, 50, 10:90] ^= 1
    assert find_differences(replace(equal, ours=replace(equal.truth, map_CRR=seam))) == []
    both = equal.truth.map_CRR.copy()
    both[[2, 3], 44:56, 20:40] ^= 1
    assert len(find_differences(replace(equal, ours=replace(equal.truth, map_CRR=both)))) == 1


def test_numbers_are_limited() -> None:
    frame = make_frame()
    assert len(find_differences(frame, max_boxes=2, max_regions=1)) == 3
    assert find_differences(frame, max_boxes=0, max_regions=0) == []


def test_boxes_below_the_threshold_go_with_their_tails() -> None:
    layer = make_frame().ours
    thin = keep_confident(layer, 0.65)
    assert 0 < len(thin.boxes_K9) < len(layer.boxes_K9)
    assert set(thin.tail_ids_P) == set(thin.ids_K)
