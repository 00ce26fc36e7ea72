"""Every way a table can be broken is told in one sentence that names file and key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.tables import TABLES, get_record, numbers, open_tables, table_error
from tests.data.nuscenes.conftest import Edit
from tests.data.nuscenes.tiny_root import VERSION


def test_open_reads_all_tables(tiny_nusc: Any) -> None:
    assert len(tiny_nusc.sample) == 6
    assert set(TABLES) == set(tiny_nusc.table_names)


def test_missing_version(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"v1\.0-mini is missing"):
        open_tables(tmp_path, "v1.0-mini")


@pytest.mark.parametrize("table", ["sample_annotation", "map"])
def test_missing_table(broken_root: Path, table: str) -> None:
    (broken_root / VERSION / f"{table}.json").unlink()
    with pytest.raises(UserError, match=f"{table}.json is missing"):
        open_tables(broken_root, VERSION)


@pytest.mark.parametrize(
    ("content", "said"), [('[{"token": ', "is not valid JSON"), ('{"a": 1}', "is no list of records")]
)
def test_table_that_is_no_table(broken_root: Path, content: str, said: str) -> None:
    (broken_root / VERSION / "sensor.json").write_text(content)
    with pytest.raises(UserError, match=f"sensor.json {said}"):
        open_tables(broken_root, VERSION)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("sample_annotation", "instance_token"),
        ("sample_data", "calibrated_sensor_token"),
        ("sample_data", "sample_token"),
        ("instance", "category_token"),
    ],
)
def test_dangling_token(broken_root: Path, edit: Edit, table: str, key: str) -> None:
    edit(table, lambda records: records[0].update({key: "nowhere"}))
    with pytest.raises(UserError, match=rf"{table}\.json: {key} 'nowhere'"):
        open_tables(broken_root, VERSION)


def test_missing_key(broken_root: Path, edit: Edit) -> None:
    edit("sample_data", lambda records: records[0].pop("filename"))
    with pytest.raises(UserError, match=r"sample_data\.json: .* no key 'filename'"):
        open_tables(broken_root, VERSION)


def test_missing_key_that_only_the_reader_needs(broken_root: Path, edit: Edit) -> None:
    edit("sample_annotation", lambda records: records[3].pop("num_lidar_pts"))
    with pytest.raises(UserError, match=r"sample_annotation\.json: .* no key 'num_lidar_pts'"):
        open_tables(broken_root, VERSION)


def test_log_without_map_and_missing_mask(broken_root: Path, edit: Edit) -> None:
    edit("map", lambda records: records[0].update(log_tokens=[]))
    with pytest.raises(UserError, match=r"map\.json.*log/scene-0001"):
        open_tables(broken_root, VERSION)
    edit("map", lambda records: records[0].update(log_tokens=["log/scene-0001", "log/scene-0003"]))
    (broken_root / "maps" / "mask.png").unlink()
    with pytest.raises(UserError, match=r"mask\.png.*is missing"):
        open_tables(broken_root, VERSION)


def test_fault_that_only_the_devkit_sees(
    broken_root: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("odd")

    monkeypatch.setattr("nuscenes.nuscenes.NuScenes.__init__", fail)
    with pytest.raises(UserError, match="devkit cannot read"):
        open_tables(broken_root, VERSION)


def test_get_record(tiny_nusc: Any) -> None:
    assert get_record(tiny_nusc, "log", "log/scene-0001", "x")["location"] == "boston-seaport"
    with pytest.raises(UserError, match=r"log\.json: token 'gone', referred to by scene s"):
        get_record(tiny_nusc, "log", "gone", "scene s")
    assert str(table_error(tiny_nusc, "log", "bad key")).endswith(
        "log.json: bad key; extract the metadata archive again."
    )


@pytest.mark.parametrize("value", [[1.0, float("nan"), 0.0], [1.0, 2.0], None, "far", [[1.0], [2.0, 3.0]]])
def test_numbers_refuses(tiny_nusc: Any, value: Any) -> None:
    with pytest.raises(UserError, match=r"ego_pose\.json: translation of token 'p'"):
        numbers(tiny_nusc, "ego_pose", {"token": "p", "translation": value}, "translation", (3,))


def test_numbers_accepts_json_integers_and_checks_quaternions(tiny_nusc: Any) -> None:
    read: Callable[..., Any] = lambda value: numbers(  # noqa: E731
        tiny_nusc,
        "ego_pose",
        json.loads(json.dumps({"token": "p", "rotation": value})),
        "rotation",
        (4,),
        unit=True,
    )
    assert read([1, 0, 0, 0]).dtype == float
    with pytest.raises(UserError, match="unit quaternion"):
        read([0, 0, 0, 0])
