"""Building: same bytes for any number of workers, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file
from nexusflow.data.nuscenes import paint
from nexusflow.data.nuscenes.build import WORK_FOLDER, build_cache
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from tests.data.nuscenes.conftest import Edit

FILES = {"images.npy", "map.npy", "frames.npz", "index.json"}


def test_exactly_four_files_and_a_telling_index(
    tiny_cache_dir: Path, tiny_config: NuScenesReaderConfig
) -> None:
    assert {path.name for path in tiny_cache_dir.iterdir()} == FILES
    index = read_json(tiny_cache_dir / "index.json")
    assert index["config"] == tiny_config.model_dump(mode="json")
    assert index["manifest_sha256"] is None
    assert index["counts"]["frames"] == 6
    assert index["counts"]["boxes"] == sum(index["counts"]["boxes_per_class"].values()) == 12
    assert index["counts"]["scenes_per_split_and_city"] == {"train/boston": 1, "val/singapore": 1}


def test_workers_do_not_change_a_byte(
    tiny_root: Path,
    tiny_cache_dir: Path,
    tiny_config: NuScenesReaderConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paint, "FEW_PIXELS", 0)  # the tiny root would be painted in one process
    build_cache(tiny_config, tiny_root, tmp_path / "cache", workers=2)
    for name in FILES:
        assert sha256_file(tmp_path / "cache" / name) == sha256_file(tiny_cache_dir / name), name


def test_manifest_is_recorded(broken_root: Path, tiny_config: NuScenesReaderConfig, tmp_path: Path) -> None:
    manifest = broken_root / "manifest.json"
    manifest.write_text(json.dumps({"sha256": "x"}))
    build_cache(tiny_config, broken_root, tmp_path / "cache", splits=("val",))
    index = read_json(tmp_path / "cache" / "index.json")
    assert index["manifest_sha256"] == sha256_file(manifest)
    assert [scene["name"] for scene in index["scenes"]] == ["scene-0003"]


@pytest.mark.parametrize("workers", [1, 2])
def test_failure_leaves_the_old_cache_alone(
    broken_root: Path,
    tiny_config: NuScenesReaderConfig,
    tmp_path: Path,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paint, "FEW_PIXELS", 0)
    cache_dir = tmp_path / "cache"
    build_cache(tiny_config, broken_root, cache_dir)
    before = {name: sha256_file(cache_dir / name) for name in FILES}
    image = broken_root / "samples" / "CAM_BACK" / "scene-0003_1.jpg"
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(UserError, match=r"scene-0003_1\.jpg is truncated"):
        build_cache(tiny_config, broken_root, cache_dir, workers=workers)
    left = [path for path in cache_dir.iterdir() if path.name != WORK_FOLDER]
    assert {path.name: sha256_file(path) for path in left} == before


def test_no_boxes_anywhere(
    broken_root: Path, edit: Edit, tiny_config: NuScenesReaderConfig, tmp_path: Path
) -> None:
    edit("sample_annotation", lambda records: records.clear())
    build_cache(tiny_config, broken_root, tmp_path / "cache")
    assert read_json(tmp_path / "cache" / "index.json")["counts"]["boxes"] == 0


def test_instances_only_where_asked(
    tiny_root: Path, tiny_cache_dir: Path, tiny_config: NuScenesReaderConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    build_cache(tiny_config, tiny_root, folder, instances=True)
    assert {path.name for path in folder.iterdir()} == FILES | {"instances.npy"}
    cache = NuScenesCache.open(folder)
    assert cache.map_instances_FKHW is not None
    np.testing.assert_array_equal(cache.map_instances_FKHW > 0, cache.map_FKHW)
    for name in FILES - {"index.json"}:
        assert sha256_file(folder / name) == sha256_file(tiny_cache_dir / name), name
    build_cache(tiny_config, tiny_root, folder)
    assert {path.name for path in folder.iterdir()} == FILES
    assert NuScenesCache.open(folder).map_instances_FKHW is None


def test_missing_instances_are_named(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, tmp_path: Path
) -> None:
    build_cache(tiny_config, tiny_root, tmp_path, instances=True)
    (tmp_path / "instances.npy").unlink()
    with pytest.raises(UserError, match=r"instances\.npy is missing"):
        NuScenesCache.open(tmp_path)
