"""Splits, cities and key frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.scenes import list_scenes
from nexusflow.data.nuscenes.tables import open_tables
from tests.data.nuscenes.conftest import Edit
from tests.data.nuscenes.tiny_root import VERSION


def test_scenes_own_consecutive_frames(tiny_nusc: Any) -> None:
    scenes, frames = list_scenes(tiny_nusc, ("train", "val"))
    assert [(s.name, s.city, s.location, s.split, s.frames) for s in scenes] == [
        ("scene-0001", "boston", "boston-seaport", "train", range(0, 3)),
        ("scene-0003", "singapore", "singapore-onenorth", "val", range(3, 6)),
    ]
    assert [f["token"] for f in frames] == [f"scene-000{s}/{f}" for s in (1, 3) for f in range(3)]


def test_order_of_records_does_not_matter(broken_root: Path, edit: Edit) -> None:
    for table in ("sample", "scene", "sample_data"):
        edit(table, lambda records: records.reverse())
    _, frames = list_scenes(open_tables(broken_root, VERSION), ("train", "val"))
    assert [f["token"] for f in frames] == [f"scene-000{s}/{f}" for s in (1, 3) for f in range(3)]


def test_mini_split(broken_root: Path) -> None:
    (broken_root / VERSION).rename(broken_root / "v1.0-mini")
    path = broken_root / "v1.0-mini" / "scene.json"
    path.write_text(path.read_text().replace("scene-0001", "scene-0061").replace("scene-0003", "scene-0103"))
    for table in ("sample", "log", "map"):
        other = broken_root / "v1.0-mini" / f"{table}.json"
        other.write_text(
            other.read_text().replace("scene-0001", "scene-0061").replace("scene-0003", "scene-0103")
        )
    for table in ("sample_data", "sample_annotation"):
        other = broken_root / "v1.0-mini" / f"{table}.json"
        text = other.read_text().replace('"sample_token": "scene-0001', '"sample_token": "scene-0061')
        other.write_text(text.replace('"sample_token": "scene-0003', '"sample_token": "scene-0103'))
    scenes, _ = list_scenes(open_tables(broken_root, "v1.0-mini"), ("train", "val"))
    assert [(s.name, s.split) for s in scenes] == [("scene-0061", "train"), ("scene-0103", "val")]


def test_empty_and_unknown_split(tiny_nusc: Any) -> None:
    with pytest.raises(UserError, match=r"scene\.json holds no scene of split 'test'"):
        list_scenes(tiny_nusc, ("test",))
    with pytest.raises(UserError, match="'trian' is unknown"):
        list_scenes(tiny_nusc, ("trian",))


def test_unknown_location_names_log_and_location(broken_root: Path, edit: Edit) -> None:
    edit("log", lambda records: records[1].update(location="las-vegas"))
    with pytest.raises(UserError, match=r"log\.json: log log/scene-0003 has location 'las-vegas'"):
        list_scenes(open_tables(broken_root, VERSION), ("train", "val"))


def test_scene_without_key_frames(broken_root: Path, edit: Edit) -> None:
    def drop(records: list[dict[str, Any]]) -> None:
        records[:] = [r for r in records if not r.get("sample_token", r["token"]).startswith("scene-0001")]

    for table in ("sample", "sample_data", "sample_annotation"):
        edit(table, drop)
    with pytest.raises(UserError, match=r"sample\.json holds no key frame of scene-0001"):
        list_scenes(open_tables(broken_root, VERSION), ("train",))


def test_bad_timestamps(broken_root: Path, edit: Edit) -> None:
    edit("sample", lambda records: records[1].update(timestamp=records[0]["timestamp"]))
    with pytest.raises(UserError, match="share one timestamp"):
        list_scenes(open_tables(broken_root, VERSION), ("train",))
    edit("sample", lambda records: records[1].update(timestamp=None))
    with pytest.raises(UserError, match="timestamp of token 'scene-0001/1'"):
        list_scenes(open_tables(broken_root, VERSION), ("train",))


def test_dangling_log(broken_root: Path, edit: Edit) -> None:
    edit("scene", lambda records: records[0].update(log_token="gone"))
    with pytest.raises(UserError, match=r"log\.json: token 'gone', referred to by scene scene-0001"):
        list_scenes(open_tables(broken_root, VERSION), ("train",))
