"""One tiny world, made once, that most tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.generate import VERSION, generate_street_world


@pytest.fixture(scope="session")
def tiny_config() -> StreetWorldConfig:
    return StreetWorldConfig(seed=3, domain_gap=1.0, train_scenes=4, val_scenes=2, key_frames=4)


@pytest.fixture(scope="session")
def tiny_world(tiny_config: StreetWorldConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("street") / "world"
    generate_street_world(tiny_config, root, workers=1)
    return root


@pytest.fixture(scope="session")
def nusc(tiny_world: Path):
    from nuscenes import NuScenes

    return NuScenes(VERSION, str(tiny_world), verbose=False)
