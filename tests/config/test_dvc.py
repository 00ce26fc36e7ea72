"""The stages of dvc.yaml keep what the workflow's stages make, and watch the rows that decide it."""

from pathlib import Path

import pytest
import yaml

from nexusflow.config.bindings.registry import BINDINGS
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
        name = content["cmd"].split()[-1]
        assert f"rule {name}:" in rules, stage
