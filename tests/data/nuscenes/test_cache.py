"""Opening a cache, and refusing a damaged one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.data.nuscenes.cache import NuScenesCache
from tests.data.nuscenes.tiny_root import image_colour


def test_contents(tiny_cache: NuScenesCache) -> None:
    assert tiny_cache.images_FNCHW.shape == (6, 6, 3, 64, 112)
    assert tiny_cache.map_FKHW.shape == (6, 4, 20, 20)
    assert isinstance(tiny_cache.images_FNCHW, np.memmap)
    assert tiny_cache.ego2img_FN44.dtype == np.float32
    assert tiny_cache.ego2global_F44.dtype == np.float64
    assert np.diff(tiny_cache.timestamps_F[:3]).tolist() == pytest.approx([0.5, 0.5])
    assert np.diff(tiny_cache.offsets_F1).tolist() == [2, 3, 2, 2, 3, 0]
    for frame in range(6):  # frame 0 of Boston first, frame 2 of Singapore last
        middle = tiny_cache.images_FNCHW[frame, 3, :, 32, 56].astype(int)
        assert np.abs(middle - image_colour(frame // 3, frame % 3, 3)).max() <= 3
    np.testing.assert_array_equal(
        tiny_cache.map_FKHW[0], tiny_cache.map_FKHW[3]
    )  # the same street in both cities
    assert tiny_cache.map_FKHW.max() == 1


def test_lookups(tiny_cache: NuScenesCache) -> None:
    assert [scene.name for scene in tiny_cache.scenes_of("val")] == ["scene-0003"]
    assert tiny_cache.boxes_of(1) == slice(2, 5)
    static = tiny_cache.instances_M == tiny_cache.instances_M[0]
    assert static.sum() == 3
    owners = np.searchsorted(tiny_cache.offsets_F1, np.flatnonzero(static), side="right") - 1
    for owner, box in zip(owners, tiny_cache.boxes_M9[static], strict=True):
        world = tiny_cache.ego2global_F44[owner] @ [*box[:3], 1]
        np.testing.assert_allclose(world[:3], [109, 202.5, 0.75], atol=1e-5)


@pytest.mark.parametrize("name", ["images.npy", "map.npy", "frames.npz", "index.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_damaged_files(tiny_cache_dir: Path, tmp_path: Path, name: str, damage: str) -> None:
    folder = Path(shutil.copytree(tiny_cache_dir, tmp_path / "cache"))
    path = folder / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:300] if damage == "cut" else b"")
    with pytest.raises(UserError, match=name):
        NuScenesCache.open(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "no index of this cache format"),
        ({"scenes": [{"name": "x"}]}, "no index of this cache format"),
        ({"sample_tokens": ["a"]}, "build the cache again"),
    ],
)
def test_index_that_does_not_fit(
    tiny_cache_dir: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = Path(shutil.copytree(tiny_cache_dir, tmp_path / "cache"))
    write_json(folder / "index.json", read_json(folder / "index.json") | change)
    with pytest.raises(UserError, match=said):
        NuScenesCache.open(folder)
