"""Dense metrics against slow, obvious loops, over the set and not per image."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.evaluation.dense import DenseMetrics, compare_images, image_metrics
from nexusflow.evaluation.dense_predictions import FILES, DensePredictions, DensePredictionWriter
from nexusflow.evaluation.dense_reference import write_dense_reference

SHAPE = (6, 8)


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    x = rng.normal(size=(count, 3, *SHAPE)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def make_cache(seed: int = 0, train: int = 3, val: int = 4) -> NYUv2Cache:
    rng, count = np.random.default_rng(seed), train + val
    valid = rng.random((count, 1, *SHAPE)) > 0.3
    return NYUv2Cache(
        rng.random((count, 3, *SHAPE), np.float32),
        rng.integers(-1, 13, (count, *SHAPE)).astype(np.int8),
        (rng.uniform(0.5, 6, (count, 1, *SHAPE)) * valid).astype(np.float32),
        unit(rng, count) * valid,
        train,
        val,
    )


def make_predictions(seed: int = 1, count: int = 4) -> DensePredictions:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 13, (count, *SHAPE)).astype(np.uint8)
    depth = rng.uniform(-1, 6, (count, 1, *SHAPE)).astype(np.float32)
    return DensePredictions(Path("predictions"), classes, depth, unit(rng, count))


def score(predictions: DensePredictions, cache: NYUv2Cache) -> dict[str, float]:
    return DenseMetrics.joined(compare_images(predictions, cache)).compute()


def slow(predictions: DensePredictions, cache: NYUv2Cache) -> dict[str, float]:
    hit, union = [0] * 13, [0] * 13
    depth, angle = [], []
    right = labelled = 0
    for number, row in enumerate(cache.rows("val")):
        for y in range(SHAPE[0]):
            for x in range(SHAPE[1]):
                truth, said = int(cache.labels_NHW[row, y, x]), int(predictions.classes_NHW[number, y, x])
                if truth >= 0:
                    labelled += 1
                    right += truth == said
                    hit[truth] += truth == said
                    for k in {truth, said}:
                        union[k] += 1
                metres = float(cache.depth_N1HW[row, 0, y, x])
                if metres != 0:
                    depth.append(abs(max(float(predictions.depth_N1HW[number, 0, y, x]), 1e-9) - metres))
                a, b = predictions.normal_N3HW[number, :, y, x], cache.normals_N3HW[row, :, y, x]
                if np.any(b != 0):
                    cosine = sum(float(p) * float(q) for p, q in zip(a, b, strict=True))
                    angle.append(math.degrees(math.acos(min(1.0, max(-1.0, cosine)))))
    iou = [100 * h / u for h, u in zip(hit, union, strict=True) if u]
    return {
        "Seg IoU": sum(iou) / len(iou),
        "Pixel accuracy": 100 * right / labelled,
        "Depth aErr": sum(depth) / len(depth),
        "Depth RMSE": math.sqrt(sum(d * d for d in depth) / len(depth)),
        "Norm mErr": sum(angle) / len(angle),
        "Norm RMSE": math.sqrt(sum(d * d for d in angle) / len(angle)),
        "Norm <22.5": 100 * sum(d < 22.5 for d in angle) / len(angle),
    }


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_metrics_equal_the_obvious_loop(seed: int) -> None:
    cache, predictions = make_cache(seed), make_predictions(seed + 1)
    found, expected = score(predictions, cache), slow(predictions, cache)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_a_perfect_prediction_is_perfect() -> None:
    cache = make_cache()
    rows = cache.rows("val")
    truth = np.maximum(cache.labels_NHW[rows], 0).astype(np.uint8)
    perfect = DensePredictions(Path(), truth, cache.depth_N1HW[rows], cache.normals_N3HW[rows])
    scores = score(perfect, cache)
    assert scores["Seg IoU"] == 100 and scores["Depth aErr"] == 0
    assert scores["Norm mErr"] == pytest.approx(0, abs=0.05) and scores["Norm <11.25"] == 100


def test_a_class_that_never_occurs_does_not_count() -> None:
    metrics = DenseMetrics()
    labels = np.full(SHAPE, 4, np.int8)
    zero = np.zeros((1, *SHAPE), np.float32)
    metrics.add(labels.astype(np.uint8), zero, np.zeros((3, *SHAPE)), labels, zero, np.zeros((3, *SHAPE)))
    scores = metrics.compute()
    assert scores == {"Seg IoU": 100.0, "Pixel accuracy": 100.0, "Seg IoU/floor": 100.0}


def test_one_image_scores_like_a_set_of_one() -> None:
    cache, predictions = make_cache(val=1), make_predictions(count=1)
    assert image_metrics(predictions, cache, 0).compute() == score(predictions, cache)


def test_predictions_of_another_split_are_refused() -> None:
    with pytest.raises(UserError, match="has 3 images"):
        score(make_predictions(count=3), make_cache())


def test_the_reference_says_the_same_of_every_room(tmp_path: Path) -> None:
    cache = make_cache()
    write_dense_reference(tmp_path, cache)
    said = DensePredictions.open(tmp_path)
    train = cache.labels_NHW[:3]
    common = np.bincount(train[train >= 0]).argmax()
    assert (said.classes_NHW == common).all()
    depth = cache.depth_N1HW[:3]
    assert said.depth_N1HW[0, 0, 0, 0] == pytest.approx(depth[depth > 0].mean(), rel=1e-5)
    assert np.linalg.norm(said.normal_N3HW[2, :, 1, 1]) == pytest.approx(1, rel=1e-5)


def test_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    zero = np.zeros((1, *SHAPE))
    with pytest.raises(ZeroDivisionError), DensePredictionWriter(tmp_path, 2, *SHAPE) as writer:
        writer.add(zero[0], zero, np.zeros((3, *SHAPE)))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (FILES[0], None, "missing or no readable"),
        (FILES[0], np.full((4, *SHAPE), 200, np.uint8), "must hold classes"),
        (FILES[1], np.full((4, 1, *SHAPE), np.nan, np.float32), "NaN"),
        (FILES[2], np.zeros((4, 2, *SHAPE), np.float32), "shape"),
    ],
)
def test_bad_prediction_files_are_named(
    tmp_path: Path, name: str, array: np.ndarray | None, message: str
) -> None:
    write_dense_reference(tmp_path, make_cache())
    if array is None:
        (tmp_path / name).write_bytes(b"\x93NUMPY")
    else:
        np.save(tmp_path / name, array)
    with pytest.raises(UserError, match=message) as caught:
        DensePredictions.open(tmp_path)
    assert name in str(caught.value)
