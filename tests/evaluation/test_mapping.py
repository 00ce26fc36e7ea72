"""Map overlap against counting cell by cell."""

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.evaluation.mapping import count_overlap, evaluate_map


def _brute(predicted: np.ndarray, truth: np.ndarray, classes: list[int]) -> float:
    inter = union = 0
    for frame in range(len(truth)):
        for i in range(truth.shape[2]):
            for j in range(truth.shape[3]):
                a = any(predicted[frame, k, i, j] for k in classes)
                b = any(truth[frame, k, i, j] for k in classes)
                inter += a and b
                union += a or b
    return 100 * inter / union


def test_equals_counting_by_hand() -> None:
    rng = np.random.default_rng(0)
    predicted, truth = (rng.random((5, 4, 6, 6)) < p for p in (0.3, 0.5))
    metrics = evaluate_map(predicted, truth, {"boston": np.array([0, 2]), "singapore": np.arange(5) == 1})
    classes = {"Lanes": [0, 1, 2], "Drivable": [3], "Divider": [0], "Crossing": [1], "Contour": [2]}
    for name, members in classes.items():
        assert metrics["overall"][name] == pytest.approx(_brute(predicted, truth, members))
        assert metrics["boston"][name] == pytest.approx(_brute(predicted[[0, 2]], truth[[0, 2]], members))
        assert metrics["singapore"][name] == pytest.approx(_brute(predicted[[1]], truth[[1]], members))


def test_sums_before_dividing() -> None:
    truth = np.zeros((2, 4, 4, 4), np.uint8)
    truth[0, 0, 0, 0] = 1
    truth[1, 0] = 1
    predicted = truth.copy()
    predicted[1, 0, 2:] = 0
    assert evaluate_map(predicted, truth)["overall"]["Divider"] == pytest.approx(100 * 9 / 17)


def test_nothing_to_compare_is_none() -> None:
    truth = np.zeros((1, 4, 4, 4), np.uint8)
    truth[0, 3] = 1
    metrics = evaluate_map(np.zeros_like(truth), truth)["overall"]
    assert metrics == {"Lanes": None, "Drivable": 0.0, "Divider": None, "Crossing": None, "Contour": None}


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    predicted, truth = (rng.random((5, 4, 6, 6)) < 0.4 for _ in range(2))
    whole = evaluate_map(predicted, truth)
    monkeypatch.setattr("nexusflow.evaluation.mapping._FRAMES_AT_ONCE", 2)
    assert evaluate_map(predicted, truth) == whole


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="map_cells"):
        count_overlap(np.zeros((2, 4, 5, 5)), np.zeros((2, 4, 6, 6)))
