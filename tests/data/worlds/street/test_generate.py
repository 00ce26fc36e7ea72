from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from nexusflow.core.errors import UserError
from nexusflow.data.worlds.street import generate
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.generate import VERSION, generate_street_world
from nexusflow.data.worlds.street.tables import TABLES

SMALL = StreetWorldConfig(train_scenes=2, val_scenes=2, key_frames=2, supersample=1, ground_cell_m=0.4)


def _manifest(root: Path) -> dict:
    return json.loads((root / "manifest.json").read_text())


def test_every_link_leads_to_a_record(nusc) -> None:
    for table in TABLES:
        records = getattr(nusc, table)
        assert records, table
        assert len({r["token"] for r in records}) == len(records)
        for record in records:
            for field, value in record.items():
                if field.endswith("_token") and field not in ("first_sample_token", "last_sample_token"):
                    target = field.removesuffix("_token").removeprefix("first_").removeprefix("last_")
                    target = "sample_annotation" if target == "annotation" else target
                    nusc.get(target, value)
                if field in ("attribute_tokens", "log_tokens"):
                    for key in value:
                        nusc.get(field.removesuffix("_tokens"), key)


@pytest.mark.parametrize("table", ["sample", "sample_data", "sample_annotation"])
def test_chains_run_both_ways(nusc, table: str) -> None:
    for record in getattr(nusc, table):
        if record["next"]:
            following = nusc.get(table, record["next"])
            assert following["prev"] == record["token"]
        if record["prev"]:
            assert nusc.get(table, record["prev"])["next"] == record["token"]


def test_scenes_and_instances_span_their_chains(nusc, tiny_config) -> None:
    for scene in nusc.scene:
        token, seen, times = scene["first_sample_token"], 0, []
        while token:
            sample = nusc.get("sample", token)
            assert sample["scene_token"] == scene["token"]
            assert len(sample["data"]) == 7
            times.append(sample["timestamp"])
            last, token, seen = token, sample["next"], seen + 1
        assert (seen, last) == (scene["nbr_samples"], scene["last_sample_token"])
        assert seen == tiny_config.key_frames
        assert np.all(np.diff(times) == 500_000)
    for instance in nusc.instance:
        token, tokens = instance["first_annotation_token"], []
        while token:
            record = nusc.get("sample_annotation", token)
            assert record["instance_token"] == instance["token"]
            tokens.append(token)
            token = record["next"]
        assert (len(tokens), tokens[-1]) == (instance["nbr_annotations"], instance["last_annotation_token"])


def test_scene_names_are_official_and_split_by_city_and_street(nusc, tiny_config) -> None:
    from nuscenes.utils.splits import create_splits_scenes

    splits = create_splits_scenes()
    places: dict[str, set[str]] = {"train": set(), "val": set()}
    cities: dict[str, list[str]] = {"train": [], "val": []}
    for scene in nusc.scene:
        split = "train" if scene["name"] in splits["train"] else "val"
        assert scene["name"] in splits[split]
        log = nusc.get("log", scene["log_token"])
        places[split].add(log["token"])
        cities[split].append(log["location"].split("-")[0])
    assert not places["train"] & places["val"]
    for split, number in (("train", tiny_config.train_scenes), ("val", tiny_config.val_scenes)):
        assert cities[split].count("boston") == number // 2
        assert cities[split].count("singapore") == number // 2


def test_files_hold_what_the_tables_say(nusc, tiny_world: Path) -> None:
    assert len(list(tiny_world.glob("samples/*/*"))) == len(nusc.sample_data)
    for record in nusc.sample_data[:: len(nusc.sample_data) // 30]:
        path = tiny_world / record["filename"]
        if record["sensor_modality"] == "camera":
            assert cv2.imread(str(path)).shape == (record["height"], record["width"], 3)
        else:
            assert np.fromfile(path, np.float32).size % 5 == 0


def test_worker_count_does_not_change_a_byte(tmp_path: Path) -> None:
    root = tmp_path / "world"
    generate_street_world(SMALL, root, workers=1)
    one = _manifest(root)
    count = sum(p.is_file() for p in root.rglob("*"))
    assert one["files"] == count - 1  # all but the manifest itself
    (root / "manifest.json").unlink()  # as Snakemake does before it makes an output again
    (root / "samples" / "CAM_FRONT" / "left_over.jpg").touch()
    generate_street_world(SMALL, root, workers=2)
    assert _manifest(root) == one
    assert sum(p.is_file() for p in root.rglob("*")) == count
    assert [p.name for p in tmp_path.iterdir()] == ["world"]


def test_broken_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("stop")

    monkeypatch.setattr(generate, "make_scene", fail)
    with pytest.raises(RuntimeError, match="stop"):
        generate_street_world(SMALL, tmp_path / "world", workers=1)
    assert list(tmp_path.iterdir()) == []


def test_user_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="val_scenes = 151"):
        generate_street_world(SMALL.model_copy(update={"val_scenes": 151}), tmp_path / "w", workers=1)
    with pytest.raises(UserError, match="workers = 0"):
        generate_street_world(SMALL, tmp_path / "w", workers=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        generate_street_world(SMALL, tmp_path / "mine", workers=1)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "irreplaceable"
    with pytest.raises(ValidationError):
        StreetWorldConfig(domain_gap=1.5)
    with pytest.raises(ValidationError):
        StreetWorldConfig(gap=0.5)  # type: ignore[call-arg]


def test_version_folder_has_the_13_tables(tiny_world: Path) -> None:
    assert sorted(p.stem for p in (tiny_world / VERSION).iterdir()) == sorted(TABLES)
