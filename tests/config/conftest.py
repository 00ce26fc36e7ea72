"""A copy of the real configuration that a test may spoil."""

import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config_folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "config", tmp_path / "config"))


@pytest.fixture
def dense_folder(config_folder: Path) -> Path:
    """The copy, whose full scale has no nuScenes."""
    path = config_folder / "scales" / "full.yaml"
    content = yaml.safe_load(path.read_text())
    del content["nuscenes"]
    path.write_text(yaml.safe_dump(content))
    return config_folder
