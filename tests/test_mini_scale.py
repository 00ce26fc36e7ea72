"""The scale `mini` from archives to metrics, with an embedded world in the place of nuScenes v1.0-mini.

The world's scenes take the names of the mini split, its folders lie in archives like the real ones, and sizes
are those of the smoke scale; everything else is the code and configuration that the recorded release takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from nexusflow.config.assemble import (
    evaluate_from_configuration,
    predict_from_configuration,
    train_from_configuration,
)
from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.fetch import fetch_from_configuration
from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.generate import VERSION, generate_street_world

ROOT = Path(__file__).parents[1]
TRAIN, VAL = ("scene-0061", "scene-0553"), ("scene-0103", "scene-0916")


def pack_like_mini(world: Path, archives: Path) -> None:
    """Put a generated world into archives that look like those of v1.0-mini."""
    from nuscenes.utils.splits import train

    (world / VERSION).rename(world / "v1.0-mini")
    path = world / "v1.0-mini" / "scene.json"
    scenes = json.loads(path.read_text())
    places = {"train": iter(TRAIN), "val": iter(VAL)}
    for scene in scenes:
        scene["name"] = next(places["train" if scene["name"] in train else "val"])
    path.write_text(json.dumps(scenes))
    archives.mkdir()
    with tarfile.open(archives / "v1.0-mini.tgz", "w:gz") as tar:
        tar.add(world / "v1.0-mini", "v1.0-mini")
        tar.add(world / "samples", "samples")
        for mask in sorted((world / "maps").glob("*.png")):
            tar.add(mask, f"maps/{mask.name}")
    with zipfile.ZipFile(archives / "nuScenes-map-expansion-v1.3.zip", "w") as archive:
        for file in sorted((world / "maps/expansion").iterdir()):
            archive.write(file, f"expansion/{file.name}")


def shrink(folder: Path) -> None:
    """Give the mini scale the sizes of the smoke scale, and two steps of training."""
    mini, smoke = (
        yaml.safe_load((folder / f"scales/{name}.yaml").read_text())["nuscenes"] for name in ("mini", "smoke")
    )
    queries = mini["model"]["map"]["queries"]
    for key in ("reader", "model", "methods", "tracker", "evaluation"):
        mini[key] = smoke[key]
    instance = {"queries": 12, "encoder_layers": 1, "thing_blocks": 1, "stuff_blocks": 1}
    mini["model"]["map"] = {**mini["model"].get("map", {}), "queries": queries, "instance": instance}
    mini["budgets"] = {
        name: {**budget, "steps": 2, "log_every": 1, "checkpoint_every": 2, "warmup_steps": 1}
        for name, budget in smoke["budgets"].items()
    }
    (folder / "scales/mini.yaml").write_text(yaml.safe_dump({"description": "small", "nuscenes": mini}))


@pytest.mark.slow
def test_from_archives_to_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    for source in (ROOT / "config").rglob("*.yaml"):
        target = config / source.relative_to(ROOT / "config")
        target.parent.mkdir(exist_ok=True)
        target.write_text(source.read_text())
    shrink(config)
    small = StreetWorldConfig(train_scenes=2, val_scenes=2, key_frames=3, supersample=1)
    generate_street_world(small, tmp_path / "world", workers=1)
    pack_like_mini(tmp_path / "world", tmp_path / "archives")

    monkeypatch.chdir(tmp_path)
    fetch_from_configuration(config, "nuscenes", "v1.0-mini", tmp_path / "archives")
    configuration, layout = load_configuration(config, "mini"), Layout("mini")
    binding = binding_of("nuscenes")
    binding.make_cache(configuration, layout, "street", workers=1)
    index = json.loads((layout.cache("nuscenes", "street") / "index.json").read_text())
    assert [(scene["name"], scene["split"]) for scene in index["scenes"]] == [
        *((name, "train") for name in TRAIN),
        *((name, "val") for name in VAL),
    ]
    assert (index["version"], index["counts"]["frames"]) == ("v1.0-mini", 12)
    assert (layout.cache("nuscenes", "street") / "instances.npy").is_file() and index["instances"]
    binding.make_partition(configuration, layout, "street", "s_geo")
    table = layout.partition("nuscenes", "street", "s_geo").read_text()
    assert "scene-0061,boston,train,0,1" in table or "scene-0061,singapore,train,1,0" in table

    train_from_configuration(configuration, layout, "nuscenes", "baseline", 0)
    predict_from_configuration(configuration, layout, "nuscenes", "baseline", 0)
    evaluate_from_configuration(configuration, layout, "nuscenes", "baseline", 0, workers=1)
    metrics = json.loads(layout.metrics("nuscenes", "baseline", 0).read_text())
    assert metrics["scale"] == "mini" and "domain_gap" not in metrics
    assert set(metrics["metrics"]) >= {"overall"} and "Lanes" in metrics["metrics"]["overall"]


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["mini", "full"])
def test_table_two_is_planned_with_and_without_data(tmp_path: Path, scale: str) -> None:
    for name in ("workflow", "config", "Snakefile", "environment.yml", "nexusflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def planned() -> dict[str, int]:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", "results/table2.csv"]
        result = subprocess.run(
            [*command, "--config", f"scale={scale}"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr[-2000:]
        lines = [line.split() for line in (result.stdout + result.stderr).splitlines()]
        return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}

    jobs = planned()
    assert (jobs["data"], jobs["nuscenes_cache"], jobs["train"], jobs["table"]) == (1, 1, 7, 1)
    manifest = Layout(scale, tmp_path / "results").data("nuscenes", "street") / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    jobs = planned()
    assert "data" not in jobs and (jobs["nuscenes_cache"], jobs["train"]) == (1, 7)
