"""Reading the cost file: complete in, every mistake named by file and key."""

from pathlib import Path
from typing import Any

import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_json
from nexusflow.paper.cost import read_cost
from tests.paper.fabricate_dense import cost_content


def test_content_is_read(tmp_path: Path) -> None:
    path = tmp_path / "nyuv2.json"
    write_json(path, cost_content())
    report = read_cost(path)
    assert list(report.rows) == ["full", "baseline", "nexusflow_centre"]
    assert report.rows["baseline"].peak_memory_mib == 420.0
    assert (report.device, report.batch_size, report.image_width) == ("invented CPU", 8, 128)
    assert report.sha256 == sha256_file(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("device", None, "no key 'device'"),
        ("batch_size", 2.5, "key 'batch_size' must be a whole number"),
        ("rounds", True, "key 'rounds' must be a whole number"),
        ("rows", [], "key 'rows' must list at least one run"),
        ("rows", None, "no key 'rows'"),
    ],
)
def test_mistakes_in_the_head_are_named(tmp_path: Path, key: str, value: Any, message: str) -> None:
    path = tmp_path / "nyuv2.json"
    content = cost_content()
    if value is None:
        del content[key]
    else:
        content[key] = value
    write_json(path, content)
    with pytest.raises(UserError, match=rf"nyuv2\.json.*{message}"):
        read_cost(path)


@pytest.mark.parametrize("value", ["fast", -1.0, True, None])
def test_mistakes_in_a_row_are_named(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "nyuv2.json"
    content = cost_content()
    content["rows"][1]["seconds_per_step"] = value
    write_json(path, content)
    with pytest.raises(UserError, match=r"key 'rows\[1\]\.seconds_per_step' must be a number from 0"):
        read_cost(path)


def test_missing_and_repeated_runs(tmp_path: Path) -> None:
    path = tmp_path / "nyuv2.json"
    content = cost_content(("full", "full"))
    write_json(path, content)
    with pytest.raises(UserError, match=r"'rows\[1\]\.run' repeats full"):
        read_cost(path)
    with pytest.raises(UserError, match="is missing"):
        read_cost(tmp_path / "none.json")
