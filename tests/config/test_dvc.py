"""The stages of dvc.yaml keep what the workflow's stages make, and watch the rows that decide it."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from nexusflow.config.bindings.registry import BINDINGS
from nexusflow.config.closing import Closing
from nexusflow.config.records import RECORDS
from nexusflow.config.workflow import Pipeline

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stages() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("stage", ["pretrain", "finetune", "ablations"])
def test_a_stage_keeps_the_checkpoints_of_its_runs(stages: dict, stage: str) -> None:
    pipeline = Pipeline({"scale": "embedded", "seeds": [0]}, ROOT / "config")
    runs = [(suite, run) for suite in BINDINGS for run in pipeline.stage_runs(stage, suite)]
    outs = {name for out in stages[stage]["outs"] for name in out}
    assert runs and outs == {f"results/${{scale}}/checkpoints/{suite}/{run}" for suite, run in runs}
    watched = next(
        p["config/experiments.yaml"] for p in stages[stage]["params"] if "config/experiments.yaml" in p
    )
    assert set(watched) == {f"{suite}.{run}" for suite, run in runs}


def test_every_stage_calls_its_rule(stages: dict) -> None:
    rules = (ROOT / "workflow/rules/stages.smk").read_text()
    for stage, content in stages.items():
        name = content["cmd"].split(" && ")[0].split()[-1]
        assert f"rule {name}:" in rules, stage


def test_the_last_stage_keeps_every_table_and_figure(stages: dict) -> None:
    pipeline = Pipeline({"scale": "embedded", "seeds": [0]}, ROOT / "config")
    outs = {name for out in stages["paper"]["outs"] for name in out}
    published = {f"results/{name}" for name in (*pipeline.targets, *Closing.names)}
    assert {name for name in outs if "$" not in name} == published
    assert f"results/${{scale}}/{RECORDS}" in outs


@pytest.mark.parametrize(
    ("file", "scale", "target"),
    [("dvc.yaml", "embedded", "all"), ("workflow/smoke/dvc.yaml", "smoke", "stage_paper_of_scale")],
)
def test_every_file_that_the_workflow_makes_is_kept(file: str, scale: str, target: str) -> None:
    """What is published is kept once, and copied back from there."""
    stages = yaml.safe_load((ROOT / file).read_text().replace("${scale}", scale))["stages"]
    kept = {name for stage in stages.values() for out in stage["outs"] for name in out}
    command = ["snakemake", "--config", f"scale={scale}", "--cores", "1", "--summary", "--", target]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    made = [line.split("\t")[0] for line in done.stdout.splitlines() if line.startswith("results/")]
    assert len(made) > 300

    def is_kept(name: str) -> bool:
        twin = name.replace(f"results/{scale}/", "results/")
        return name in kept or twin in kept or any(name.startswith(f"{folder}/") for folder in kept)

    assert [name for name in made if not is_kept(name)] == []


def test_metrics_and_plots_are_of_files_that_stages_keep(stages: dict) -> None:
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    kept = {name for stage in stages.values() for out in stage.get("outs", []) for name in out}
    plots = [plot if isinstance(plot, str) else next(iter(plot.values())) for plot in content["plots"]]
    files = [
        *content["metrics"],
        *(name for plot in plots if not isinstance(plot, str) for name in plot["y"]),
    ]
    files += [plot for plot in plots if isinstance(plot, str)]
    assert len(files) > 10
    for file in files:
        assert any(file == name or file.startswith(f"{name}/") for name in kept), file


def test_the_smoke_pipeline_is_that_of_the_default_scale() -> None:
    spec = importlib.util.spec_from_file_location("smoke_pipeline", ROOT / "scripts/smoke_pipeline.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written = (ROOT / "workflow/smoke/dvc.yaml").read_text()
    assert written == script.smoke_pipeline((ROOT / "dvc.yaml").read_text())
    assert "embedded" not in written and "${" not in written
    assert not re.findall(r"results/(?!smoke/)", written)
