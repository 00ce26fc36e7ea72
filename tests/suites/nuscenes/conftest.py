"""A world of a few key frames, generated and decoded once."""

from pathlib import Path

import pytest

from nexusflow.data.nuscenes.cache import NuScenesCache, build_cache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.generate import generate_street_world


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world") / "street"
    generate_street_world(StreetWorldConfig(train_scenes=2, val_scenes=2, key_frames=3), root, workers=1)
    return root


@pytest.fixture(scope="session")
def tiny_cache(tiny_root: Path) -> NuScenesCache:
    folder = tiny_root.parent / "cache"
    build_cache(NuScenesReaderConfig(), tiny_root, folder, workers=1)
    return NuScenesCache.open(folder)
