"""Generated worlds: a changed, missing or additional file is seen."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.config.doctor.data import check_world
from nexusflow.core.files import sha256_file, sha256_json, write_json

CONFIG = {"seed": 0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two files and their manifest, as the street world has it."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "a.json").write_text("{}")
    (tmp_path / "b.jpg").write_bytes(b"picture")
    files = {name: sha256_file(tmp_path / name) for name in ("maps/a.json", "b.jpg")}
    write_json(tmp_path / "manifest.json", {"config": CONFIG, "files": 2, "sha256": sha256_json(files)})
    return tmp_path


def test_a_whole_world(root: Path) -> None:
    assert check_world(root, "nuscenes", CONFIG).level == "ok"
    assert check_world(root, "nuscenes", None).level == "ok"
    assert check_world(root, "nuscenes", {"seed": 1}).level == "note"


@pytest.mark.parametrize("damage", ["changed", "missing", "additional"])
def test_a_damaged_world(root: Path, damage: str) -> None:
    if damage == "missing":
        (root / "b.jpg").unlink()
    else:
        (root / ("b.jpg" if damage == "changed" else "c.jpg")).write_bytes(b"pictvre")
    finding = check_world(root, "nuscenes", CONFIG)
    assert finding.level == "act" and "--forcerun data" in finding.advice


def test_rooms_are_known_by_their_values(tmp_path: Path) -> None:
    import hashlib

    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "0.npy", array)
    files = {"0.npy": hashlib.sha256(array.tobytes()).hexdigest()}
    write_json(tmp_path / "manifest.json", {"config": CONFIG, "files": 1, "sha256": sha256_json(files)})
    assert check_world(tmp_path, "nyuv2", CONFIG).level == "ok"
    (tmp_path / "0.npy").write_bytes(b"cut")
    assert check_world(tmp_path, "nyuv2", CONFIG).level == "act"


def test_a_recorded_data_set_is_not_judged(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"source": "pre-processed folder"})
    assert check_world(tmp_path, "nyuv2", None).level == "note"
