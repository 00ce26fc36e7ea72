"""A tiny data set in the field's layout, and the real samples."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig
from nexusflow.data.nyuv2.files import LabelledImage, write_image
from nexusflow.data.nyuv2.official import OfficialFiles

SIZE = (32, 64)
READER = NYUv2ReaderConfig(image_height=SIZE[0], image_width=SIZE[1])
FULL = (48, 64)  # height and width, as 480 × 640 at a tenth


def make_image(rng: np.random.Generator, tone: float) -> LabelledImage:
    image = np.clip(tone + rng.normal(0, 0.05, (*SIZE, 3)), 0, 1).astype(np.float32)
    valid = rng.random((*SIZE, 1)) > 0.2
    normal = rng.normal(size=(*SIZE, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return LabelledImage(
        image,
        rng.integers(-1, 13, SIZE).astype(np.int8),
        (rng.uniform(0.5, 6, (*SIZE, 1)) * valid).astype(np.float32),
        (normal * valid).astype(np.float32),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Seven training images in three tones, and two validation images."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 7), ("val", 2)):
        for index in range(count):
            write_image(tmp_path / "root" / split, index, make_image(rng, (0.15, 0.5, 0.85)[index % 3]))
    return tmp_path / "root"


@pytest.fixture
def cache(root: Path) -> NYUv2Cache:
    build_cache(READER, root, root.parent / "cache")
    return NYUv2Cache.open(root.parent / "cache")


def record(labels: list[int]) -> np.ndarray:
    """The structure in class13Mapping.mat."""
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


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """Folder of the real NYUv2 samples, which are not part of the project."""
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "realdata"
    folder = Path(os.environ.get("NEXUSFLOW_REALDATA", beside)) / "nyuv2"
    if not folder.is_dir():
        pytest.skip(f"no real NYUv2 samples in {folder}; set NEXUSFLOW_REALDATA to check against real data")
    return folder
