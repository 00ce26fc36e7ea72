"""config/paper.yaml fits its model; mistakes in it are found."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from nexusflow.paper.config import PaperConfig
from nexusflow.paper.metrics import SUITE_REPORTS
from nexusflow.paper.published import published_cell, published_metric

PATH = Path(__file__).parents[2] / "config" / "paper.yaml"


@pytest.fixture
def content() -> dict[str, Any]:
    return yaml.safe_load(PATH.read_text(encoding="utf-8"))


def test_file_is_valid_and_names_rows_of_the_paper(content: dict[str, Any]) -> None:
    config = PaperConfig.model_validate(content)
    in_paper = [row.paper for row in config.table2.rows if row.paper is not None]
    assert len(in_paper) == 6
    for row in in_paper:
        published_cell(config.table2.paper_table, row, "AMOTA")


def test_unknown_keys_are_refused(content: dict[str, Any]) -> None:
    content["table2"]["rows"][0]["papr"] = "x"
    with pytest.raises(ValidationError, match="papr"):
        PaperConfig.model_validate(content)


def test_rows_of_the_paper_come_first(content: dict[str, Any]) -> None:
    content["table2"]["rows"].reverse()
    with pytest.raises(ValidationError, match="must come before"):
        PaperConfig.model_validate(content)


def test_repeated_rows_and_gaps_are_refused(content: dict[str, Any]) -> None:
    content["table2"]["rows"].append(content["table2"]["rows"][-1])
    content["gap_sweep"]["points"].append(content["gap_sweep"]["points"][0])
    with pytest.raises(ValidationError) as caught:
        PaperConfig.model_validate(content)
    assert "row id repeated: trivial" in str(caught.value)
    assert "gap repeated: 0.0" in str(caught.value)


@pytest.mark.parametrize(("table", "printed"), [("table4", 5), ("tableB1", 7), ("tableB2", 7)])
def test_dense_tables_name_what_the_paper_prints(content: dict[str, Any], table: str, printed: int) -> None:
    section = getattr(PaperConfig.model_validate(content), table)
    labels = [row.paper for row in section.rows if row.paper is not None]
    assert len(labels) == len(set(labels)) == printed
    assert {row.suite for row in section.rows} == {"nyuv2"}
    for label in labels:
        for metric in SUITE_REPORTS["nyuv2"].metrics:
            assert published_metric(section.paper_table, label, metric) is not None


def test_cost_table_names_what_the_paper_prints(content: dict[str, Any]) -> None:
    section = PaperConfig.model_validate(content).table5
    printed = [row.paper for row in section.rows if row.paper]
    assert [published_cell("table5", row, "GPU memory").value for row in printed] == [
        3906.0,
        3906.0,
        8900.0,
        4554.0,
    ]


def test_settings_references_and_runs_are_checked(content: dict[str, Any]) -> None:
    content["tableB1"]["rows"][2]["value"] = 1
    content["table5"]["reference"] = "nobody"
    content["figure7"]["runs"].append(content["figure7"]["runs"][0])
    content["table4"]["rows"][0]["suite"] = "nuscenes"
    with pytest.raises(ValidationError) as caught:
        PaperConfig.model_validate(content)
    for part in ("value repeated: 1", "no row has the id nobody", "run repeated: full", "'nyuv2'"):
        assert part in str(caught.value)
