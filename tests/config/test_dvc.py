"""The stages of dvc.yaml keep what the workflow's stages make, and watch the rows that decide it."""

import importlib.util
import re
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
    assert outs == published | {f"results/${{scale}}/{RECORDS}"}


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
