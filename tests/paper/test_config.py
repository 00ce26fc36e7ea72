"""config/paper.yaml fits its model; mistakes in it are found."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from nexusflow.paper.config import PaperConfig
from nexusflow.paper.published import published_cell

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
