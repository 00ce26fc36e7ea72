"""Plain data come out as they are, anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nexusflow.core.yaml_files import read_yaml


def test_plain_data_are_those_of_the_parser_in_python(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: [1, 2.5, 1.0e-3]\nb: &x { c: null }\nd: *x\ne: 'é'\n", encoding="utf-8")
    assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_objects_are_not_made(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("!!python/object/apply:os.system ['true']\n")
    with pytest.raises(yaml.YAMLError):
        read_yaml(path)


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb: { c: 1, d: 2 }\ne: { c: 1, d: 2, c: 3 }\n")
    with pytest.raises(yaml.YAMLError, match=r"(?s)`c` is given twice.*line 3"):
        read_yaml(path)


def test_keys_of_a_merge_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &x { c: 1, d: 2 }\nb: { <<: *x, c: 3 }\n")
    assert read_yaml(path)["b"] == {"c": 3, "d": 2}
