"""Rows of tables: joined with files, checked against the table; means and spreads."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.config import DenseTableConfig, MethodTableConfig
from nexusflow.paper.rows import (
    MethodRow,
    TableContext,
    load_row,
    mean_and_std,
    row_group,
    row_notes,
    rows_from_config,
    suite_of,
)
from tests.paper.fabricate import write_metrics
from tests.paper.fabricate_dense import write_dense_metrics

CONTEXT = TableContext("smoke", "fabricated", (0, 1, 2), 0.25)


def test_mean_and_std() -> None:
    assert mean_and_std([]) == (None, None)
    assert mean_and_std([2.0]) == (2.0, None)
    mean, std = mean_and_std([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    assert std == pytest.approx(statistics.stdev([1.0, 2.0, 4.0]))


def test_source_line() -> None:
    assert (
        CONTEXT.source() == "Scale smoke; fabricated, domain gap 0.25; no pretrained weights; seeds 0, 1, 2"
    )
    assert CONTEXT.source(with_gap=False) == "Scale smoke; fabricated; no pretrained weights; seeds 0, 1, 2"
    started = TableContext("full", "nuScenes", (0,), initialisation="imagenet")
    assert started.source() == "Scale full; nuScenes; backbone pretrained on ImageNet; seed 0"


def test_rows_from_config_join_runs_with_files(tmp_path: Path) -> None:
    content = {
        "title": "T",
        "rows": [
            {"id": "jtr", "label": "JTR", "run": "jtr", "paper": "JTR"},
            {"id": "x", "label": "X", "run": "x", "seeds": [0]},
        ],
    }
    path = tmp_path / "metrics.json"
    section = MethodTableConfig.model_validate(content | {"paper_table": "table2"})
    joined = rows_from_config(section, {"x": [path]})
    assert [(row.id, row.metrics, row.seeds) for row in joined] == [("jtr", (), None), ("x", (path,), (0,))]
    assert {row.suite for row in joined} == {"nuscenes"}
    dense = DenseTableConfig.model_validate(content | {"paper_table": "table4"})
    assert {row.suite for row in rows_from_config(dense, {})} == {"nyuv2"}


def test_rows_of_two_suites_or_with_one_id_are_refused() -> None:
    first, second = MethodRow("a", "A", "a"), MethodRow("b", "B", "b", suite="nyuv2")
    assert suite_of([second], "table4") == "nyuv2"
    with pytest.raises(UserError, match="are of 2 suites"):
        suite_of([first, second], "table2")
    with pytest.raises(UserError, match="repeat an `id`"):
        suite_of([first, MethodRow("a", "B", "b")], "table2")


def test_files_of_another_suite_or_seed_are_refused(tmp_path: Path) -> None:
    dense = write_dense_metrics(tmp_path / "nyuv2", "full")
    with pytest.raises(UserError, match="key 'suite' is nyuv2, not nuscenes"):
        load_row(MethodRow("full", "Full", "full", metrics=dense), CONTEXT)
    row = MethodRow("full", "Full", "full", metrics=write_metrics(tmp_path, "full", (0, 7)))
    with pytest.raises(UserError, match="key 'seed' is 7"):
        load_row(row, CONTEXT)


def test_runs_that_started_with_other_weights_than_configured_are_refused(tmp_path: Path) -> None:
    files = write_metrics(tmp_path, "full", (0,))
    row = MethodRow("full", "Full", "full", metrics=files)
    path = files[0].with_name("provenance.json")
    path.write_text(json.dumps({"initialisation": {"source": "uniad"}}))
    with pytest.raises(UserError, match=r"key 'initialisation.source' is uniad, but .* is none"):
        load_row(row, CONTEXT)
    assert load_row(row, replace(CONTEXT, initialisation="uniad"))
    path.write_text(json.dumps({"initialisation": {}}))
    with pytest.raises(UserError, match=r"has no key 'initialisation\.source'"):
        load_row(row, CONTEXT)


def test_notes_and_group_of_a_row(tmp_path: Path) -> None:
    row = MethodRow("a", "A", "a", "Paper's A", write_metrics(tmp_path, "a", (1,)), "A note.")
    assert row_group(row) == "paper"
    assert row_notes(row, load_row(row, CONTEXT), CONTEXT) == ["A note.", "Not yet run at seed 0, 2."]
    waiting = MethodRow("b", "B", "b")
    assert row_group(waiting) == "ours only"
    assert row_notes(waiting, [], CONTEXT) == ["Not yet run: there is no result to report."]
