"""Embeddings: equal seeds give equal pictures, and the numbers know mixed from separate tasks."""

import numpy as np
import pytest

from nexusflow.analysis.embedding import embed_tasks, knn_mixing, probe_accuracy, tsne
from nexusflow.core.errors import UserError


def two_tasks(distance: float, count: int = 40, dim: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    points_ND = np.random.default_rng(seed).normal(size=(2 * count, dim))
    tasks_N = np.repeat([0, 1], count)
    points_ND[:, 0] += distance * tasks_N
    return points_ND, tasks_N


def test_mixing_of_shuffled_and_of_separate_tasks() -> None:
    shuffled, _ = two_tasks(0, count=1000)
    for sizes in ((1000, 1000), (1700, 300)):
        assert knn_mixing(shuffled, np.repeat([0, 1], sizes)) == pytest.approx(1, abs=0.03)
    assert knn_mixing(*two_tasks(50)) == 0
    assert 0 < knn_mixing(*two_tasks(2)) < 0.8


def test_mixing_of_three_tasks() -> None:
    points_ND = np.random.default_rng(0).normal(size=(1500, 5))
    assert knn_mixing(points_ND, np.repeat([0, 1, 2], 500)) == pytest.approx(1, abs=0.03)
    # The third task lies apart: its points have no foreign neighbours, the others half of theirs.
    points_ND[1000:] += 100
    expected = (2 / 3 * 1 / 2) / (1000 / 1499)
    assert knn_mixing(points_ND, np.repeat([0, 1, 2], 500)) == pytest.approx(expected, abs=0.03)


def test_mixing_ignores_scale_and_order() -> None:
    points_ND, tasks_N = two_tasks(1)
    mixing = knn_mixing(points_ND, tasks_N)
    assert knn_mixing(1e-4 * points_ND - 3, tasks_N) == pytest.approx(mixing)
    order_N = np.random.default_rng(0).permutation(len(points_ND))
    assert knn_mixing(points_ND[order_N], tasks_N[order_N]) == pytest.approx(mixing)


def test_tasks_apart_in_one_of_many_dimensions_are_apart() -> None:
    points_ND, tasks_N = two_tasks(50, dim=100)
    assert knn_mixing(points_ND, tasks_N) == 0
    assert probe_accuracy(points_ND, tasks_N, np.tile(np.arange(40), 2)) > 0.9


def test_mixing_of_coinciding_points_does_not_depend_on_their_order() -> None:
    tasks_N = np.repeat([0, 1], [500, 100])
    mixing = knn_mixing(np.ones((600, 3)), tasks_N, neighbours=99)
    assert mixing == pytest.approx(1, abs=0.2)
    assert knn_mixing(np.eye(2)[tasks_N], tasks_N) == 0


def test_probe_of_identical_tasks_is_at_chance() -> None:
    points_ND = np.random.default_rng(0).normal(size=(50, 4))
    frames_N = np.tile(np.arange(50), 2)
    tasks_N = np.repeat([0, 1], 50)
    assert probe_accuracy(np.tile(points_ND, (2, 1)), tasks_N, frames_N) == 0.5


def test_probe_of_separate_tasks_is_right() -> None:
    points_ND, tasks_N = two_tasks(50)
    assert probe_accuracy(points_ND, tasks_N, np.tile(np.arange(40), 2)) == 1


def test_a_frame_is_never_split_between_the_folds() -> None:
    # Each frame has a direction and a task of its own: recognising frames would tell the task.
    frames_N = np.repeat(np.arange(40), 5)
    tasks_N = np.repeat(np.random.default_rng(0).integers(0, 2, 40), 5)
    points_ND = np.eye(40)[frames_N]
    points_ND += 0.01 * np.random.default_rng(1).normal(size=points_ND.shape)
    assert probe_accuracy(points_ND, tasks_N, frames_N) < 0.7
    assert probe_accuracy(points_ND, tasks_N, np.arange(200)) == 1


def test_few_frames_lower_the_number_of_folds() -> None:
    points_ND, tasks_N = two_tasks(50, count=3, dim=1)
    assert probe_accuracy(points_ND, tasks_N, np.tile(np.arange(3), 2)) == 1


def test_panels_are_a_function_of_the_seed() -> None:
    points_ND, _ = two_tasks(3, count=30, dim=60)
    features = {"track": points_ND[:30], "map": points_ND[30:]}
    frames = {"track": np.arange(30), "map": np.arange(30), "unused": np.arange(3)}
    one, same = (embed_tasks(features, frames, neighbours=5) for _ in range(2))
    for task in features:
        np.testing.assert_array_equal(one.points[task], same.points[task])
        assert one.points[task].shape == (30, 2)
    assert (one.mixing, one.accuracy, one.chance) == (same.mixing, same.accuracy, 0.5)
    tasks_N, frames_N = np.repeat([0, 1], 30), np.tile(np.arange(30), 2)
    assert one.mixing == knn_mixing(points_ND, tasks_N, 5)
    assert one.accuracy == probe_accuracy(points_ND, tasks_N, frames_N)


def test_pictures_keep_clusters_apart_whatever_the_scale() -> None:
    points_ND, tasks_N = two_tasks(30, count=20)
    picture_N2 = tsne(1e-5 * points_ND)
    centres_22 = np.stack([picture_N2[tasks_N == task].mean(0) for task in (0, 1)])
    gap_N2 = np.linalg.norm(picture_N2[:, None] - centres_22, axis=-1)
    np.testing.assert_array_equal(gap_N2.argmin(1), tasks_N)


@pytest.mark.parametrize(("count", "dim"), [(2, 3), (3, 1), (8, 2)])
def test_pictures_of_few_points(count: int, dim: int) -> None:
    points_ND, _ = two_tasks(1, count=count, dim=dim)
    picture_N2 = tsne(points_ND)
    assert picture_N2.shape == (2 * count, 2) and np.isfinite(picture_N2).all()


def test_collapsed_points_are_one_point() -> None:
    assert not tsne(np.full((20, 3), 0.1)).any()


def test_unusable_features_are_refused() -> None:
    points_ND, tasks_N = two_tasks(1)
    broken_ND = points_ND.copy()
    broken_ND[7, 0] = np.nan
    for function in (
        tsne,
        lambda points: knn_mixing(points, tasks_N),
        lambda points: probe_accuracy(points, tasks_N, np.arange(80)),
    ):
        with pytest.raises(UserError, match="1 of 80 points hold NaN"):
            function(broken_ND)
    with pytest.raises(UserError, match="at least 4 points"):
        tsne(points_ND[:3])
    with pytest.raises(UserError, match="two tasks"):
        knn_mixing(points_ND, np.zeros(80))
    with pytest.raises(UserError, match="two frames"):
        probe_accuracy(points_ND, tasks_N, np.zeros(80))
    with pytest.raises(UserError, match="too few frames"):
        probe_accuracy(points_ND, tasks_N, tasks_N)
    with pytest.raises(UserError, match="one width"):
        embed_tasks({"a": points_ND, "b": points_ND[:, :2]}, {"a": np.arange(80), "b": np.arange(80)})
    for frames in ({"a": np.arange(80)}, {"a": np.arange(80), "b": np.arange(79)}):
        with pytest.raises(UserError, match="Task b needs"):
            embed_tasks({"a": points_ND, "b": points_ND}, frames)
