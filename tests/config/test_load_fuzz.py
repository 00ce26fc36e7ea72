"""Mutated configurations: a sentence with file and key, or a configuration; never another exception."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexusflow.config.load import load_configuration
from nexusflow.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "config"
SCALE = "scales/smoke.yaml"
# A few rows of every kind, so that one load takes milliseconds.
RUNS = {
    "nuscenes": ("baseline", "nexusflow_two_stage", "matching_both", "jtr", "full"),
    "nyuv2": ("full", "nexusflow_centre", "baseline", "baseline_renormalised", "mtpsl"),
}


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


FILES = {name: read(name) for name in ("config.yaml", "paper.yaml", "experiments.yaml", SCALE)}
FILES["experiments.yaml"] = {
    suite: {run: FILES["experiments.yaml"][suite][run] for run in rows} for suite, rows in RUNS.items()
}
FILES["config.yaml"]["scale"] = "smoke"

Place = tuple[str, tuple[Any, ...]]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything inside a nested value."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*at, key)
        yield from places(child, (*at, key))


PLACES: list[Place] = [(name, path) for name, content in FILES.items() for path in places(content)]
# The table of runs and the scale decide what is trained: they get as many mutations as the paper's file.
BY_FILE = {name: [place for place in PLACES if place[0] == name] for name in FILES}

WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 2, 10**30, -0.5, 1e308, float("nan"), float("inf"), float("-inf")]),
    st.sampled_from(["", "text", "a b", "../../etc", "$(rm -rf x)", "line\nline", "null", "ü", "x" * 500]),
    st.sampled_from([[], {}, [None], [[]], {"a": {"b": []}}, {"name": "nexusflow"}, {"type": "mlp"}, {1: 2}]),
)
KEYS = st.sampled_from(["unknown", "stepz", "", "a.b", "line\nline", 7, None, True, 1.5])


def holder(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        content = content[key]
    return content


@st.composite
def mutation(draw: st.DrawFn) -> tuple[str, str, tuple[Any, ...], Any]:
    """What is done, in which file, where, and with which value."""
    name = draw(st.sampled_from(sorted(FILES)))
    _, path = draw(st.sampled_from(BY_FILE[name]))
    kind = draw(st.sampled_from(["replace", "remove", "add"]))
    return kind, name, path, draw(KEYS) if kind == "add" else draw(WRONG)


def mutate(files: dict[str, Any], change: tuple[str, str, tuple[Any, ...], Any]) -> None:
    kind, name, path, value = change
    inside = holder(files[name], path)
    if kind == "remove":
        del inside[path[-1]]
    elif kind == "replace":
        inside[path[-1]] = value
    elif isinstance(inside, dict):
        inside[value] = 1
    else:
        inside.append(value)


def load(files: dict[str, Any]) -> str | None:
    """Load and check; the sentence of a mistake."""
    with patch("nexusflow.config.load._read_yaml", lambda path: files[str(path.relative_to(FOLDER))]):
        try:
            load_configuration(FOLDER, "smoke").check()
        except UserError as error:
            return str(error)
    return None


def test_the_shipped_part_is_right() -> None:
    assert load(copy.deepcopy(FILES)) is None


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(mutation(), min_size=1, max_size=2))
def test_a_mutated_configuration_is_a_sentence(changes: list[tuple[str, str, tuple[Any, ...], Any]]) -> None:
    files = copy.deepcopy(FILES)
    for change in changes:
        try:
            mutate(files, change)
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # the first change took the place of the second away
    said = load(files)
    assert said is None or is_a_sentence(said), said


def is_a_sentence(said: str) -> bool:
    """One line that names a file and a key."""
    names_file = any(str(FOLDER / name) in said for name in FILES)
    return names_file and "`" in said and "\n" not in said and len(said) < 1000


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_unknown_key_at_the_top_is_named(name: str) -> None:
    files = copy.deepcopy(FILES)
    files[name]["unknown_key"] = 1
    said = load(files)
    assert said and str(FOLDER / name) in said and "unknown_key" in said


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["a: 2020-99-99", "a: " + "9" * 5000, "[" * 5000, "a: &a [*a]", "? [1]\n: 2"]),
    st.sampled_from(["a: !!python/name:os.system", "seeds: [0]\nscale: [", "scale: smoke", "- 1"]),
)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(TEXTS)
def test_any_text_is_a_configuration_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "texts"
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(UserError, match=r"config\.yaml") as caught:
        load_configuration(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", ["../smoke", "a b", "", "Smoke", "$(x)", "/etc/passwd"])
def test_a_scale_is_a_plain_name(scale: str) -> None:
    with pytest.raises(UserError, match=r"scale"):
        load_configuration(FOLDER, scale or " ")
