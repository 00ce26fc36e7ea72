"""Conversion of the official files: classes, split, transposed arrays, damaged files."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.convert import (
    OfficialFiles,
    class_table,
    convert_image,
    convert_official,
    read_splits,
    shrink_labels,
)
from tests.data.nyuv2.conftest import READER, SIZE

FULL = (48, 64)  # height and width, as 480 × 640 at a tenth


def record(labels: list[int]) -> np.ndarray:
    kind = [("labels13", "O"), ("classNames", "O")]
    table = np.empty((1, 1), dtype=kind)
    table[0, 0] = (np.array([labels], np.uint8), np.array([["bed"]], object))
    return table


@pytest.fixture
def official(tmp_path: Path) -> OfficialFiles:
    """Five images of four raw classes, in the layout of the real files."""
    folder = tmp_path / "official"
    folder.mkdir()
    files = OfficialFiles(*(folder / name for name in ("labelled.mat", "splits.mat", "m40.mat", "m13.mat")))
    rng = np.random.default_rng(0)
    with h5py.File(files.labelled, "w") as file:
        file["images"] = rng.integers(0, 256, (5, 3, FULL[1], FULL[0]), np.uint8)
        file["depths"] = rng.uniform(1, 5, (5, FULL[1], FULL[0])).astype(np.float32)
        file["labels"] = rng.integers(0, 5, (5, FULL[1], FULL[0]), np.uint16)
    savemat(files.splits, {"trainNdxs": [[5], [2], [3]], "testNdxs": [[1], [4]]})
    savemat(files.mapping40, {"mapClass": np.array([[2, 1, 40, 3]], np.uint8)})
    savemat(files.mapping13, {"classMapping13": record([12, 5, 6, *[7] * 36, 7])})
    return files


def test_the_split_is_sorted_and_counts_from_zero(official: OfficialFiles) -> None:
    splits = read_splits(official.splits)
    assert splits["train"].tolist() == [1, 2, 4] and splits["val"].tolist() == [0, 3]


def test_the_mappings_are_chained(official: OfficialFiles) -> None:
    # raw 0 = no label; raw 1 → 2 (of 40) → 5 (of 13) → 4 from zero; raw 4 → 3 → 6 → 5
    assert class_table(official.mapping40, official.mapping13).tolist() == [-1, 4, 11, 6, 5]


def test_the_whole_set_is_converted(official: OfficialFiles, tmp_path: Path) -> None:
    counts = convert_official(official, tmp_path / "root", *SIZE)
    assert counts == {"train": 3, "val": 2}
    build_cache(READER, tmp_path / "root", tmp_path / "cache")
    cache = NYUv2Cache.open(tmp_path / "cache")
    with h5py.File(official.labelled) as file:
        raw = file["labels"][4].T  # the third training image
        depth = file["depths"][4].T
    table = class_table(official.mapping40, official.mapping13)
    assert np.array_equal(cache.labels_NHW[2], table[shrink_labels(raw, *SIZE)])
    assert np.array_equal(cache.depth_N1HW[2, 0], shrink_labels(depth, *SIZE))
    assert 0.3 < cache.images_N3HW.mean() < 0.7


def test_real_label_maps_and_their_mapping_agree(real_folder: Path) -> None:
    table = class_table(real_folder / "meta/classMapping40.mat", real_folder / "meta/class13Mapping.mat")
    assert len(table) == 895 and table[0] == -1 and set(table[1:].tolist()) == set(range(13))
    splits = read_splits(real_folder / "meta/splits.mat")
    assert (len(splits["train"]), len(splits["val"])) == (795, 654)
    assert set(splits["train"]) | set(splits["val"]) == set(range(1449))
    names = sorted(path.stem for path in (real_folder / "label13").glob("*.png"))
    assert len(names) == 8
    assert {int(name) - 1 for name in names} <= set(splits["val"].tolist())


@pytest.mark.parametrize("index", range(8))
def test_every_real_label_map_goes_through(real_folder: Path, index: int) -> None:
    path = sorted((real_folder / "label13").glob("*.png"))[index]
    label = np.asarray(Image.open(path)).astype(np.int64) - 1
    rgb = np.asarray(Image.open(real_folder / "rgb" / path.name))
    content = convert_image(rgb, np.full(label.shape, 2.0), label, 288, 384)
    assert content.label_HW.shape == (288, 384) and content.image_HW3.shape == (288, 384, 3)
    assert set(np.unique(content.label_HW)) <= set(np.unique(label))
    before, after = (
        np.bincount(label.ravel() + 1, minlength=14),
        np.bincount(content.label_HW.ravel() + 1, minlength=14),
    )
    assert np.abs(before / before.sum() - after / after.sum()).max() < 0.005
    assert abs(content.image_HW3.mean() - rgb.mean() / 255) < 0.002


@pytest.mark.parametrize("name", ["00000", "00050"])
def test_both_real_depth_maps_go_through(real_folder: Path, name: str) -> None:
    depth = np.asarray(Image.open(real_folder / f"rgbd/sync_depth_{name}.png")).astype(np.float64) / 1000
    rgb = np.asarray(Image.open(real_folder / f"rgbd/rgb_{name}.jpg"))
    content = convert_image(rgb, depth, np.full(depth.shape, -1), 288, 384)
    valid = content.depth_HW1 > 0
    assert abs(valid.mean() - (depth > 0).mean()) < 0.01
    assert abs(np.median(content.depth_HW1[valid]) - np.median(depth[depth > 0])) < 0.05
    length = np.linalg.norm(content.normal_HW3, axis=-1)
    assert np.allclose(length[length > 0], 1, atol=1e-3)
    v, u = np.mgrid[:288, :384] + 0.5
    back = np.stack([-(u - 325.6 * 0.6) / 311.3, (v - 253.7 * 0.6) / 311.7, np.ones_like(u)], -1)
    facing = (content.normal_HW3 * back).sum(-1)[length > 0]
    assert (facing > 0).mean() > 0.99  # what is seen faces the camera


def html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html>Not found</html>")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("labelled", html, "web page"),
        ("labelled", Path.unlink, "is missing"),
        ("labelled", lambda p: p.write_bytes(p.read_bytes()[:2000]), "truncated or no HDF5"),
        ("splits", html, "web page"),
        ("splits", lambda p: p.write_bytes(b"MATLAB 5.0"), "no readable MATLAB"),
        ("splits", lambda p: savemat(p, {"other": [1]}), "no variable `trainNdxs`"),
        ("splits", lambda p: savemat(p, {"trainNdxs": [1, 2], "testNdxs": [2, 3]}), "different numbers"),
        ("splits", lambda p: savemat(p, {"trainNdxs": [1, 2], "testNdxs": [9]}), "beyond the 5"),
        ("mapping40", lambda p: savemat(p, {"mapClass": [[41]]}), "numbers up to 40"),
        ("mapping40", lambda p: savemat(p, {"mapClass": [[1, 2]]}), "maps 2 classes only"),
        ("mapping13", lambda p: savemat(p, {"classMapping13": record([14] * 40)}), "numbers up to 13"),
    ],
)
def test_a_bad_official_file_is_one_sentence(
    official: OfficialFiles, tmp_path: Path, name: str, change, message: str
) -> None:
    path = getattr(official, name)
    change(path)
    with pytest.raises(UserError, match=message) as caught:
        convert_official(official, tmp_path / "root", *SIZE)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
