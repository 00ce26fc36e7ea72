"""The tiny root, its database and its cache, made once; and a copy that a test may damage."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexusflow.data.nuscenes.cache import NuScenesCache, build_cache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.tables import open_tables
from tests.data.nuscenes.tiny_root import VERSION, write_tiny_root

Edit = Callable[[str, Callable[[list[dict[str, Any]]], None]], None]


@pytest.fixture(scope="session")
def tiny_config() -> NuScenesReaderConfig:
    """One-metre cells, one-cell lines: every target is known by hand."""
    return NuScenesReaderConfig(
        image_height=64, image_width=112, bev_half_m=10.0, map_cells=20, line_width_px=1, erase_width_m=1.0
    )


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny root; read only."""
    root = tmp_path_factory.mktemp("tiny")
    write_tiny_root(root)
    return root


@pytest.fixture(scope="session")
def tiny_nusc(tiny_root: Path) -> Any:
    """Its database."""
    return open_tables(tiny_root, VERSION)


@pytest.fixture(scope="session")
def tiny_cache_dir(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of its cache; read only."""
    folder = tmp_path_factory.mktemp("cache")
    build_cache(tiny_config, tiny_root, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_cache(tiny_cache_dir: Path) -> NuScenesCache:
    """Its cache."""
    return NuScenesCache.open(tiny_cache_dir)


@pytest.fixture
def broken_root(tiny_root: Path, tmp_path: Path) -> Path:
    """A copy of the tiny root for a test to damage."""
    return Path(shutil.copytree(tiny_root, tmp_path / "root"))


@pytest.fixture
def edit(broken_root: Path) -> Edit:
    """Change a table of the copy in place: `edit("log", function on the list of records)`."""

    def change(table: str, function: Callable[[list[dict[str, Any]]], None]) -> None:
        path = broken_root / VERSION / f"{table}.json"
        records = json.loads(path.read_text())
        function(records)
        path.write_text(json.dumps(records))

    return change


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """Folder of the real nuScenes samples, which are not part of the project."""
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "realdata"
    folder = Path(os.environ.get("NEXUSFLOW_REALDATA", beside)) / "nuscenes_keyframe"
    if not folder.is_dir():
        pytest.skip(
            f"no real nuScenes samples in {folder}; set NEXUSFLOW_REALDATA to check against real data"
        )
    return folder
