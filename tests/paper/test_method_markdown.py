"""Markdown of tables of methods: precision, footnotes, captions."""

import pytest

from nexusflow.paper.method_markdown import (
    cost_section,
    format_metric,
    grouped,
    inputs_section,
    metrics_section,
    notes_section,
    number_notes,
    paper_sentence,
    scale_sentence,
)
from nexusflow.paper.rows import TableContext


@pytest.mark.parametrize(
    ("metric", "value", "std", "text"),
    [
        ("AMOTA", 0.31849, 0.0042, "0.318 ± 0.004"),
        ("AMOTA", 0.31849, None, "0.318"),
        ("Lanes", 37.06, float("nan"), "37.1"),
        ("IDS", 690.0, None, "690"),
        ("IDS", 690.5, 3.2, "690.5 ± 3.2"),
        ("IDS", None, None, "–"),
        ("Seg IoU", 31.704, 0.25, "31.70 ± 0.25"),
        ("Depth aErr", 0.60551, None, "0.6055"),
        ("Norm <11.25", 52.34, 1.26, "52.3 ± 1.3"),
    ],
)
def test_format_metric(metric: str, value: float | None, std: float | None, text: str) -> None:
    assert format_metric(metric, value, std) == text


def test_equal_notes_share_a_number() -> None:
    marks, sentences = number_notes({"a": ["x.", "y."], "b": ["y."], "c": []})
    assert sentences == ["x.", "y."]
    assert marks == {"a": "¹ ²", "b": "²", "c": ""}
    assert notes_section(sentences) == "\n## Notes\n\n1. x.\n2. y.\n"
    assert notes_section([]) == ""


def test_captions_say_whether_values_may_be_compared() -> None:
    rooms = TableContext("embedded", "rooms", (0, 1), embedded=True)
    assert scale_sentence(rooms) == "Scale `embedded`; data: rooms; no pretrained weights; seeds: 0, 1."
    sentence = paper_sentence(rooms, "NYUv2")
    assert "of NYUv2 at full scale" in sentence
    assert "**not comparable in absolute terms** with ours, which were measured in the embedded" in sentence
    recorded = paper_sentence(TableContext("full", "NYUv2", (0,)), "NYUv2")
    assert "not comparable" in recorded and "embedded" not in recorded
    full = paper_sentence(TableContext("full", "NYUv2", (0,), comparable=True), "NYUv2")
    assert "may be compared" in full


def _record(row: str, group: str, status: str = "measured") -> dict[str, object]:
    record: dict[str, object] = {"id": row, "method": row.upper(), "group": group, "status": status, "n": 2}
    record |= {"Seg IoU": 40.0, "Seg IoU std": None, "Seg IoU paper": "31.70"}
    return record | {"train seconds": 80.4, "steps": 1200.0, "peak memory MiB": float("nan")}


def test_grids_separate_what_the_paper_has_not() -> None:
    records = [_record("a", "paper"), _record("b", "ours only", "not yet run")]
    marks = {"a": "¹", "b": ""}
    lines = metrics_section(records, ["Seg IoU"], marks, "Heading").splitlines()
    assert lines[1] == "## Heading"
    assert lines[3].split("|")[3].strip() == "Seg IoU ↑ (%)"
    assert lines[5].startswith("| A¹") and "40.00 [31.70]" in lines[5]
    assert lines[6].startswith("| *Not in the paper:*")
    assert "not yet run" in lines[7]
    assert grouped(records[1:], [["x"]]) == [["x"]]
    assert "|            80 |  1200 |               – |" in cost_section(records, marks)


def test_inputs_are_listed() -> None:
    assert "| full, seed 3    | `0123456789abcdef` |" in inputs_section([("full", 3, "0123456789abcdef" * 4)])
    assert inputs_section([]) == ""
