"""Ledger and report ask for nothing that is not there, unless everything is being made."""

import re
from pathlib import Path

import pytest

from nexusflow.config.closing import Closing
from nexusflow.config.workflow import Pipeline
from nexusflow.core.files import write_text
from tests.paper.report.fabricate import write_results

ROOT = Path(__file__).parents[2]


@pytest.fixture
def closing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Closing:
    pipeline = Pipeline({"scale": "smoke", "seeds": [0]}, ROOT / "config")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nexusflow").symlink_to(ROOT / "nexusflow", target_is_directory=True)
    return Closing(pipeline)


def test_by_name_nothing_is_asked_for(closing: Closing, tmp_path: Path) -> None:
    assert closing.report_inputs("smoke", False) == closing.claim_inputs("smoke", False) == []
    write_results(Path("results/smoke"))
    inputs = closing.report_inputs("smoke", False)
    assert str(tmp_path.resolve() / "results/smoke/table2.csv") in inputs and len(inputs) == 17
    assert all(Path(path).is_absolute() and Path(path).exists() for path in inputs)


def test_with_everything_else_they_wait_for_it(closing: Closing) -> None:
    waited = set(closing.report_inputs("smoke", True))
    expected = {f"results/smoke/{name}" for name in (*closing.pipeline.targets, "claims.csv")}
    assert expected <= waited
    assert "results/smoke/checkpoints/nuscenes/baseline/seed0/log.csv" in waited
    metrics = set(closing.claim_inputs("smoke", True))
    assert "results/smoke/runs/nuscenes/nexusflow_two_stage/seed0/metrics.json" in metrics
    assert "results/smoke/checkpoints/nuscenes/nexusflow_two_stage/seed0/log.csv" in metrics


def test_what_everything_makes_does_not_change_what_is_waited_for(closing: Closing) -> None:
    before = closing.report_inputs("smoke", True), closing.claim_inputs("smoke", True)
    for path in {*before[0], *before[1]}:
        write_text(Path(path), "made")
    assert (closing.report_inputs("smoke", True), closing.claim_inputs("smoke", True)) == before


def test_plots_that_come_with_tables_are_waited_for(closing: Closing) -> None:
    rule = (ROOT / "workflow" / "rules" / "tables.smk").read_text().split("rule plotted_table:")[1]
    names = re.findall(r'table="([\w|]+)"', rule)[0].split("|")
    plots = {f"results/smoke/{name}.{ending}" for name in names for ending in ("png", "pdf")}
    assert plots and plots <= set(closing.report_inputs("smoke", True))


def test_other_scales_wait_for_nothing(closing: Closing) -> None:
    assert closing.report_inputs("embedded", True) == closing.claim_inputs("embedded", True) == []


def test_templates_are_inputs(closing: Closing) -> None:
    assert {"page.html.j2", "page.css", "page.js"} <= {Path(path).name for path in closing.report_templates}
    assert all(Path(path).is_file() for path in closing.report_templates)
