"""Cache: what is read is what was written; every bad file is one sentence, and nothing is left behind."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.files import read_image
from tests.data.nyuv2.conftest import READER, SIZE


def test_rows_hold_the_images_in_order(root: Path, cache: NYUv2Cache) -> None:
    assert (cache.num_train, cache.num_val) == (7, 2)
    assert list(cache.rows("val")) == [7, 8]
    for split, index, row in (("train", 3, 3), ("val", 1, 8)):
        content = read_image(root / split, index, *SIZE)
        assert np.array_equal(cache.images_N3HW[row], content.image_HW3.transpose(2, 0, 1))
        assert np.array_equal(cache.labels_NHW[row], content.label_HW)
        assert np.array_equal(cache.depth_N1HW[row, 0], content.depth_HW1[..., 0])
        assert np.array_equal(cache.normals_N3HW[row], content.normal_HW3.transpose(2, 0, 1))


def test_threads_change_no_byte(root: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        build_cache(READER, root, tmp_path / str(workers), workers)
    names = ("images.npy", "labels.npy", "depth.npy", "normals.npy", "index.json")
    assert all((tmp_path / "1" / n).read_bytes() == (tmp_path / "3" / n).read_bytes() for n in names)


def test_doubles_and_missing_axes_of_other_copies_are_read(root: Path) -> None:
    path = root / "train" / "depth" / "0.npy"
    before = read_image(root / "train", 0, *SIZE)
    np.save(path, np.load(path).astype(np.float64)[..., 0])
    label = root / "train" / "label" / "0.npy"
    np.save(label, np.load(label).astype(np.float64))
    after = read_image(root / "train", 0, *SIZE)
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(before, after, strict=True))


def save(value: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, value)


def spoil(place: tuple[int, ...], value: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        array = np.load(path)
        array[place] = value
        np.save(path, array)

    return change


def pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("train/label/2.npy", Path.unlink, "is missing"),
        ("val/normal/1.npy", Path.unlink, "is missing"),
        ("train/image/1.npy", lambda p: p.write_bytes(p.read_bytes()[:700]), "truncated"),
        ("train/image/1.npy", lambda p: p.write_bytes(b""), "truncated"),
        ("train/image/1.npy", lambda p: p.write_text("<html>404</html>"), "no readable npy"),
        ("train/depth/0.npy", pickled, "no readable npy"),
        ("train/depth/0.npy", save(np.ones((3, 4, 1))), "shape"),
        ("train/depth/0.npy", spoil((0, 0, 0), np.nan), "NaN"),
        ("train/depth/6.npy", spoil((0, 0, 0), -1), "negative depth"),
        ("val/label/0.npy", save(np.full(SIZE, 200)), "labels other than"),
        ("val/label/0.npy", save(np.full(SIZE, 1.5)), "labels other than"),
        ("train/image/0.npy", spoil((4, 5, 1), 3.0), r"outside \[0, 1\]"),
        ("train/normal/0.npy", spoil((4, 5), 3.0), "unit length"),
    ],
)
def test_a_bad_file_is_one_sentence_and_leaves_nothing(
    root: Path, file: str, change: Callable[[Path], None], message: str
) -> None:
    change(root / file)
    target = root.parent / "cache"
    with pytest.raises(UserError, match=message) as caught:
        build_cache(READER, root, target)
    assert file in str(caught.value) and "\n" not in str(caught.value)
    assert not target.exists() or not list(target.iterdir())


def test_a_missing_folder_is_named(root: Path) -> None:
    (root / "val").rename(root / "test")
    with pytest.raises(UserError, match="val/image is missing"):
        build_cache(READER, root, root.parent / "cache")


@pytest.mark.parametrize("name", ["labels.npy", "index.json"])
def test_a_damaged_cache_is_refused(cache: NYUv2Cache, root: Path, name: str) -> None:
    path = root.parent / "cache" / name
    if name == "index.json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"train": 3}))
    else:
        path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="build it again"):
        NYUv2Cache.open(root.parent / "cache")
