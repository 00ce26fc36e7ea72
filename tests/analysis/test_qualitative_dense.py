"""Figure 7's image: chosen without predictions, shown with the scores of this image."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.analysis.qualitative_dense import choose_image, collect_figure7
from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.evaluation.dense_predictions import DensePredictionWriter
from nexusflow.paper.config import Figure7Config
from nexusflow.paper.dense_data import load_dense_frame

FIGURE = Figure7Config.model_validate(
    {"runs": [{"run": "full", "label": "Full"}, {"run": "base", "label": "B"}]}
)
HEIGHT, WIDTH, TRAIN, VAL = 8, 10, 2, 4


@pytest.fixture
def cache() -> NYUv2Cache:
    rng = np.random.default_rng(0)
    count = TRAIN + VAL
    labels = np.zeros((count, HEIGHT, WIDTH), np.int8)
    labels[0] = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 13  # rich, but for training
    labels[TRAIN + 1, :4] = 3
    labels[TRAIN + 2, :4] = 4
    labels[TRAIN + 2, 5:] = -1
    labels[TRAIN + 3, :4] = 5
    depth = rng.uniform(1, 3, (count, 1, HEIGHT, WIDTH)).astype(np.float32)
    depth[TRAIN + 1, :, :2] = 0
    normals = np.zeros((count, 3, HEIGHT, WIDTH), np.float32)
    normals[:, 2] = 1
    images = rng.uniform(0, 1, (count, 3, HEIGHT, WIDTH)).astype(np.float32)
    return NYUv2Cache(images, labels, depth, normals, TRAIN, VAL)


@pytest.fixture
def folders(cache: NYUv2Cache, tmp_path: Path) -> dict[str, Path]:
    found = {run: tmp_path / run for run in ("full", "base")}
    for run, shift in (("full", 0.0), ("base", 0.5)):
        with DensePredictionWriter(found[run], VAL, HEIGHT, WIDTH) as writer:
            for row in cache.rows("val"):
                classes_HW = np.maximum(cache.labels_NHW[row], 0)
                writer.add(classes_HW, cache.depth_N1HW[row] + shift, cache.normals_N3HW[row])
    return found


def test_the_richest_then_the_most_completely_labelled_validation_image(cache: NYUv2Cache) -> None:
    # Images 1, 2 and 3 show two classes each; 1 lacks depth, 2 lacks classes.
    assert choose_image(cache, FIGURE) == 3


def test_small_spots_do_not_count_as_classes(cache: NYUv2Cache) -> None:
    large = np.zeros((TRAIN + VAL, 40, 50), np.int8)
    large[TRAIN, :2, :6] = np.arange(12).reshape(2, 6)  # twelve classes, one pixel each
    large[TRAIN + 3, :20] = 1
    depth, normals = np.ones((TRAIN + VAL, 1, 40, 50)), np.ones((TRAIN + VAL, 3, 40, 50))
    assert choose_image(NYUv2Cache(normals, large, depth, normals, TRAIN, VAL), FIGURE) == 3


def test_the_image_can_be_fixed(cache: NYUv2Cache) -> None:
    assert choose_image(cache, FIGURE.model_copy(update={"image": 0})) == 0
    with pytest.raises(UserError, match=r"key `figure7\.image` is 4, but the validation split has 4 images"):
        choose_image(cache, FIGURE.model_copy(update={"image": 4}))


def test_truth_and_predictions_of_the_chosen_image(
    cache: NYUv2Cache, folders: dict[str, Path], tmp_path: Path
) -> None:
    info = {"scale": "smoke", "data": "invented", "seed": 0}
    collect_figure7(FIGURE, cache, folders, info, tmp_path / "figure7.npz")
    frame = load_dense_frame(tmp_path / "figure7.npz")
    row = TRAIN + 3
    np.testing.assert_allclose(frame.image_HW3 / 255, cache.images_N3HW[row].transpose(1, 2, 0), atol=0.002)
    np.testing.assert_array_equal(frame.truth.classes_HW, cache.labels_NHW[row])
    np.testing.assert_array_equal(frame.truth.normal_HW3[..., 2], 1)
    full, base = frame.methods
    assert (full.name, base.label) == ("full", "B")
    assert full.scores == pytest.approx({"Seg IoU": 100.0, "Depth aErr": 0.0, "Norm mErr": 0.0})
    assert base.scores["Depth aErr"] == pytest.approx(0.5)
    assert frame.info == info | {
        "image": 3,
        "images": 4,
        "chosen": "chosen without looking at predictions",
    }


def test_predictions_of_other_data_are_refused(
    cache: NYUv2Cache, folders: dict[str, Path], tmp_path: Path
) -> None:
    with DensePredictionWriter(folders["base"], 1, HEIGHT, WIDTH) as writer:
        writer.add(np.zeros((HEIGHT, WIDTH)), np.ones((1, HEIGHT, WIDTH)), np.ones((3, HEIGHT, WIDTH)))
    with pytest.raises(UserError, match="has 1 images"):
        collect_figure7(FIGURE, cache, folders, {}, tmp_path / "figure7.npz")
    assert not (tmp_path / "figure7.npz").exists()
