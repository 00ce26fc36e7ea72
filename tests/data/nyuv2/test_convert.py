"""Conversion of the official files: the whole set, the real samples, and nothing half-written."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig
from nexusflow.data.nyuv2.convert import convert_official, shrink_labels
from nexusflow.data.nyuv2.normals import normals_from_depth
from nexusflow.data.nyuv2.official import OfficialFiles, class_table
from tests.data.nyuv2.conftest import READER, SIZE

LABELLED = ("0001", "0046", "0300", "0388", "1039", "1216", "1396", "1400")
DEPTHS = ("00000", "00050")


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


def test_arrays_are_transposed_the_right_way(official: OfficialFiles, tmp_path: Path) -> None:
    with h5py.File(official.labelled, "a") as file:
        image = np.zeros((5, 3, 64, 48), np.uint8)
        image[:, 0, 40:, :10] = 255  # red in the upper right corner: columns 40 to 63, rows 0 to 9
        file["images"][...] = image
    convert_official(official, tmp_path / "root", *SIZE)
    found = np.load(tmp_path / "root/train/image/0.npy")
    assert found[0, -1].tolist() == [1, 0, 0] and not found[-1].any() and not found[:, 0].any()


def test_workers_change_no_byte(official: OfficialFiles, tmp_path: Path) -> None:
    for workers in (1, 2):
        convert_official(official, tmp_path / str(workers), *SIZE, workers)
    files = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.*"))
    assert len(files) == 5 * 4 + 2
    assert all((tmp_path / "1" / f).read_bytes() == (tmp_path / "2" / f).read_bytes() for f in files)


def test_a_failure_at_the_last_image_leaves_everything_as_it_was(
    official: OfficialFiles, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    convert_official(official, root, *SIZE)
    before = {path: path.read_bytes() for path in root.rglob("*.*")}
    with h5py.File(official.labelled, "a") as file:
        file["labels"][3] = 200
        file["images"][...] = 0
    with pytest.raises(UserError, match="image 4 has label 200"):
        convert_official(official, root, *SIZE)
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == before


def test_data_that_a_link_shows_are_never_overwritten(
    official: OfficialFiles, root: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.npy")}
    (tmp_path / "data").mkdir()
    for split in ("train", "val"):
        (tmp_path / "data" / split).symlink_to(root / split, target_is_directory=True)
    convert_official(official, tmp_path / "data", *SIZE)
    assert {path: path.read_bytes() for path in root.rglob("*.npy")} == before
    assert not (tmp_path / "data/train").is_symlink()


def test_a_folder_of_other_origin_is_not_replaced(official: OfficialFiles, root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.npy")}
    with pytest.raises(UserError, match="not made by the conversion; move it away"):
        convert_official(official, root, *SIZE)
    assert {path: path.read_bytes() for path in root.rglob("*.npy")} == before


@pytest.fixture(scope="module")
def real_cache(real_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> NYUv2Cache:
    """The eight real label maps and both real depth maps, brought into the structure of the official file.

    Raw labels are drawn among those that the published tables map to the class, so all 894 can occur.
    """
    folder, meta = tmp_path_factory.mktemp("real"), real_folder / "meta"
    files = OfficialFiles(
        folder / "set.mat",
        folder / "splits.mat",
        meta / "classMapping40.mat",
        meta / "class13Mapping.mat",
    )
    table = class_table(files.mapping40, files.mapping13)
    rng = np.random.default_rng(0)
    with h5py.File(files.labelled, "w") as file:
        images = file.create_dataset("images", (10, 3, 640, 480), np.uint8)
        depths = file.create_dataset("depths", (10, 640, 480), np.float32)
        labels = file.create_dataset("labels", (10, 640, 480), np.uint16)
        for row, name in enumerate(LABELLED):
            label = np.asarray(Image.open(real_folder / f"label13/{name}.png")).astype(int) - 1
            raw = np.zeros(label.shape, np.uint16)
            for number in np.unique(label[label >= 0]):
                here = label == number
                raw[here] = rng.choice(np.flatnonzero(table == number), here.sum())
            images[row] = np.asarray(Image.open(real_folder / f"rgb/{name}.png")).T
            depths[row], labels[row] = 2, raw.T
        for row, name in enumerate(DEPTHS, start=8):
            images[row] = np.asarray(Image.open(real_folder / f"rgbd/rgb_{name}.jpg")).T
            depth = np.asarray(Image.open(real_folder / f"rgbd/sync_depth_{name}.png"))
            depths[row] = (depth / 1000).astype(np.float32).T
    savemat(files.splits, {"trainNdxs": [[number] for number in range(1, 9)], "testNdxs": [[9], [10]]})
    assert convert_official(files, folder / "root", 288, 384) == {"train": 8, "val": 2}
    build_cache(NYUv2ReaderConfig(), folder / "root", folder / "cache")
    return NYUv2Cache.open(folder / "cache")


@pytest.mark.parametrize("row", range(8))
def test_every_real_label_map_goes_through(real_folder: Path, real_cache: NYUv2Cache, row: int) -> None:
    label = np.asarray(Image.open(real_folder / f"label13/{LABELLED[row]}.png")).astype(int) - 1
    rgb = np.asarray(Image.open(real_folder / f"rgb/{LABELLED[row]}.png"))
    found = real_cache.labels_NHW[row]
    # Pixel centres, one by one: the slow way.
    for i, j in np.random.default_rng(row).integers(0, (288, 384), (500, 2)):
        assert found[i, j] == label[int((i + 0.5) / 0.6), int((j + 0.5) / 0.6)]
    shares = [np.bincount(x.ravel() + 1, minlength=14) / x.size for x in (label, found)]
    assert np.abs(shares[0] - shares[1]).max() < 0.005
    mean = real_cache.images_N3HW[row].mean((1, 2)) * 255
    assert np.abs(mean - rgb.reshape(-1, 3).mean(0)).max() < 0.5


@pytest.mark.parametrize("number", range(2))
def test_both_real_depth_maps_go_through(real_folder: Path, real_cache: NYUv2Cache, number: int) -> None:
    depth = np.asarray(Image.open(real_folder / f"rgbd/sync_depth_{DEPTHS[number]}.png")) / 1000
    found, normal = real_cache.depth_N1HW[8 + number, 0], real_cache.normals_N3HW[8 + number]
    assert np.allclose(found, shrink_labels(depth, 288, 384), atol=1e-6)
    assert not normal[:, found == 0].any()
    known = (normal != 0).any(0)
    assert known[found > 0].mean() > 0.99
    # The normals of the small image are those of the full one, and what is seen faces the camera.
    whole = normals_from_depth(depth.astype(np.float32))
    small = np.stack([shrink_labels(whole[..., axis], 288, 384) for axis in range(3)])
    assert np.allclose(normal, small, atol=1e-6)
    v, u = np.mgrid[:288, :384] / 0.6
    ray = np.stack([(u - 325.58) / 518.86, -(v - 253.74) / 519.47, -np.ones_like(u)])
    assert ((normal * ray).sum(0)[known] < 0).mean() > 0.999
