"""Partitions and their hashes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.scenes import SceneEntry
from nexusflow.data.partition import build_partition, read_partition, write_partition

KINDS = ["full", "s_geo", "r_geo", "random"]


@pytest.fixture
def scenes() -> list[SceneEntry]:
    """Twelve training and four validation scenes, half of each in either city."""
    return [
        SceneEntry(
            f"scene-{index:04d}",
            f"t{index}",
            ("boston", "singapore")[index % 2],
            "",
            "train" if index < 12 else "val",
            0,
            1,
        )
        for index in range(16)
    ]


def _train(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["split"] == "train"]


@pytest.mark.parametrize("kind", KINDS)
def test_validation_always_shows_both(scenes: list[SceneEntry], kind: str) -> None:
    table = build_partition(scenes, kind, seed=0)  # type: ignore[arg-type]
    assert list(table.columns) == ["scene", "city", "split", "track", "map"]
    validation = table[table["split"] == "val"]
    assert len(validation) == 4
    assert (validation[["track", "map"]] == 1).all(axis=None)


def test_full(scenes: list[SceneEntry]) -> None:
    assert (build_partition(scenes, "full", 0)[["track", "map"]] == 1).all(axis=None)


@pytest.mark.parametrize(("kind", "track_city"), [("s_geo", "singapore"), ("r_geo", "boston")])
def test_geographic(scenes: list[SceneEntry], kind: str, track_city: str) -> None:
    table = _train(build_partition(scenes, kind, 0))  # type: ignore[arg-type]
    assert (table["track"] == (table["city"] == track_city)).all()
    assert (table["map"] == (table["city"] != track_city)).all()


def test_random_halves(scenes: list[SceneEntry]) -> None:
    table = _train(build_partition(scenes, "random", 3))
    assert table["track"].sum() == table["map"].sum() == 6
    assert (table["track"] + table["map"] == 1).all()
    assert table.equals(_train(build_partition(list(reversed(scenes)), "random", 3)))
    others = [_train(build_partition(scenes, "random", seed))["track"].tolist() for seed in range(5)]
    assert len({tuple(other) for other in others}) > 1
    assert any(
        not (_train(build_partition(scenes, "random", s)).groupby("city")["track"].nunique() == 1).all()
        for s in range(5)
    )


def test_mistakes(scenes: list[SceneEntry]) -> None:
    with pytest.raises(UserError, match="'geo' is unknown"):
        build_partition(scenes, "geo", 0)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="scene-0003 is listed twice"):
        build_partition([*scenes, scenes[3]], "full", 0)
    boston = [scene for scene in scenes if scene.city == "boston"]
    with pytest.raises(UserError, match="no training scene with track labels"):
        build_partition(boston, "s_geo", 0)


def test_round_trip_and_hash(scenes: list[SceneEntry], tmp_path: Path) -> None:
    path = tmp_path / "s_geo.csv"
    table = build_partition(scenes, "s_geo", 0)
    write_partition(table, path)
    assert {p.name for p in tmp_path.iterdir()} == {"s_geo.csv", "s_geo.csv.sha256"}
    read = read_partition(path)
    assert read["scene-0000"] == {"track": False, "map": True}
    assert read["scene-0001"] == {"track": True, "map": False}
    assert read["scene-0015"] == {"track": True, "map": True}
    assert len(read) == 16
    before = path.read_bytes()
    write_partition(build_partition(scenes[::-1], "s_geo", 0), path)
    assert path.read_bytes() == before


def test_edited_or_incomplete_tables_are_refused(scenes: list[SceneEntry], tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_partition(build_partition(scenes, "s_geo", 0), path)
    path.write_text(path.read_text().replace("boston,train,0,1", "boston,train,1,1", 1))
    with pytest.raises(UserError, match="does not match its hash"):
        read_partition(path)
    (tmp_path / "p.csv.sha256").write_text("")
    with pytest.raises(UserError, match="does not match its hash"):
        read_partition(path)
    (tmp_path / "p.csv.sha256").unlink()
    with pytest.raises(UserError, match=r"p\.csv\.sha256 is missing"):
        read_partition(path)


def test_malformed_table_with_a_right_hash(scenes: list[SceneEntry], tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    table = build_partition(scenes, "full", 0)
    table.loc[0, "map"] = 2
    write_partition(table, path)
    with pytest.raises(UserError, match="must have columns"):
        read_partition(path)
