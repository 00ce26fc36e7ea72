"""A build that was killed goes on with what is missing and trusts nothing that it did not finish."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file, sha256_json
from nexusflow.data.nuscenes import paint
from nexusflow.data.nuscenes.build import WORK_FOLDER, build_cache
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig

PIXELS = ("images.npy", "map.npy")


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """First frames of the scenes that are painted, in order."""
    found: list[int] = []
    real = paint._Painter.paint

    def watched(self: Any, job: paint.PaintJob) -> tuple[int, int]:
        found.append(job.first_frame)
        return real(self, job)

    monkeypatch.setattr(paint._Painter, "paint", watched)
    return found


@pytest.fixture
def killed(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Folder of a build that died within its second scene."""
    real = paint.read_images
    count = 0

    def dying(*arguments: Any) -> np.ndarray:
        nonlocal count
        count += 1
        if count == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(paint, "read_images", dying)
        with pytest.raises(KeyboardInterrupt):
            build_cache(tiny_config, tiny_root, tmp_path / "cache")
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {WORK_FOLDER}
    return tmp_path / "cache"


def check(folder: Path, whole: Path) -> None:
    for name in (*PIXELS, "frames.npz", "index.json"):
        assert sha256_file(folder / name) == sha256_file(whole / name), name
    assert not (folder / WORK_FOLDER).exists()


def test_only_the_missing_scene_is_painted(
    killed: Path, painted: list[int], tiny_root: Path, tiny_config: NuScenesReaderConfig, tiny_cache_dir: Path
) -> None:
    build_cache(tiny_config, tiny_root, killed)
    assert painted == [3]
    check(killed, tiny_cache_dir)
    assert isinstance(NuScenesCache.open(killed).images_FNCHW, np.memmap)


@pytest.mark.parametrize("damage", ["pixels", "journal", "line", "key"])
def test_what_is_not_certain_is_painted_again(
    killed: Path,
    painted: list[int],
    tiny_root: Path,
    tiny_config: NuScenesReaderConfig,
    tiny_cache_dir: Path,
    damage: str,
) -> None:
    work = killed / WORK_FOLDER
    journal = work / "painted.txt"
    if damage == "pixels":
        images = np.load(work / "images.npy", mmap_mode="r+")
        images[1] = 0
        images.flush()
    elif damage == "journal":
        journal.unlink()
    elif damage == "line":
        journal.write_text(journal.read_text().rstrip("\n"))
    else:
        (work / "key").write_text("of other data")
    build_cache(tiny_config, tiny_root, killed)
    assert painted == [0, 3]
    check(killed, tiny_cache_dir)


def test_other_settings_start_anew(
    killed: Path, painted: list[int], tiny_root: Path, tiny_config: NuScenesReaderConfig
) -> None:
    build_cache(tiny_config.model_copy(update={"line_width_px": 2}), tiny_root, killed)
    assert painted == [0, 3]


def test_a_disk_without_room_is_one_sentence(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(paint.os, "posix_fallocate", full)
    with pytest.raises(UserError, match="No space left on device; free some space"):
        build_cache(tiny_config, tiny_root, tmp_path / "cache")


def test_instances_are_resumed_and_checked(
    killed: Path, painted: list[int], tiny_root: Path, tiny_config: NuScenesReaderConfig
) -> None:
    build_cache(tiny_config, tiny_root, killed / "other", instances=True)
    work = killed / "again" / WORK_FOLDER
    work.mkdir(parents=True)
    for name in (*PIXELS, "instances.npy"):
        (work / name).write_bytes((killed / "other" / name).read_bytes())
    index = read_json(killed / "other" / "index.json")
    (work / "key").write_text(sha256_json(index))
    arrays = [np.load(work / name, mmap_mode="r") for name in (*PIXELS, "instances.npy")]
    sums = [paint._sum(arrays, paint.PaintJob(first, "", np.zeros(0), [[]] * 3)) for first in (0, 3)]
    (work / "painted.txt").write_text(f"0 {sums[0]}\n3 {sums[1]}\n")
    numbers = np.load(work / "instances.npy", mmap_mode="r+")
    numbers[4] += 1
    numbers.flush()
    painted.clear()
    build_cache(tiny_config, tiny_root, killed / "again", instances=True)
    assert painted == [3]
    for name in (*PIXELS, "instances.npy", "index.json"):
        assert sha256_file(killed / "again" / name) == sha256_file(killed / "other" / name), name
    build_cache(tiny_config, tiny_root, killed, instances=True)  # what was begun without instances
    assert painted == [3, 0, 3]
