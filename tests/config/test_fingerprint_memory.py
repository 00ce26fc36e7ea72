"""Fingerprints are remembered by the bytes of a source, for one Python and one way of computing them."""

import json
from pathlib import Path

import pytest

from nexusflow.config.fingerprint import module_fingerprint
from nexusflow.config.fingerprint_memory import FingerprintMemory

SOURCES = [b"a = 1\n", b"a = 2\n"]


class Counting:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, source: str) -> str:
        self.calls += 1
        return module_fingerprint(source)


@pytest.fixture
def author(tmp_path: Path) -> Path:
    path = tmp_path / "author.py"
    path.write_text("first\n")
    return path


def test_a_second_process_computes_nothing_again_and_an_edit_counts(tmp_path: Path, author: Path) -> None:
    count = Counting()
    first = FingerprintMemory(count, author, tmp_path)
    values = [first(source) for source in SOURCES + SOURCES]
    assert count.calls == 2 and values[0] != values[1] and values[:2] == values[2:]
    assert values[0] == module_fingerprint("a = 1")
    first.save()
    second = FingerprintMemory(count, author, tmp_path)
    assert [second(source) for source in SOURCES] == values[:2] and count.calls == 2
    assert second(b"a = 3\n") not in values and count.calls == 3


def test_another_way_of_computing_forgets(tmp_path: Path, author: Path) -> None:
    count = Counting()
    memory = FingerprintMemory(count, author, tmp_path)
    memory(SOURCES[0])
    memory.save()
    author.write_text("second\n")
    FingerprintMemory(count, author, tmp_path)(SOURCES[0])
    assert count.calls == 2


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"valid for": "", "fingerprints": 3}', "\x00"])
def test_a_damaged_file_is_no_memory(tmp_path: Path, author: Path, content: str) -> None:
    (tmp_path / "module_fingerprints.json").write_text(content)
    count = Counting()
    memory = FingerprintMemory(count, author, tmp_path)
    assert memory(SOURCES[0]) == module_fingerprint("a = 1") and count.calls == 1
    memory.save()
    assert len(json.loads((tmp_path / "module_fingerprints.json").read_text())["fingerprints"]) == 1


def test_nothing_is_written_where_no_workflow_ran(tmp_path: Path, author: Path) -> None:
    memory = FingerprintMemory(module_fingerprint, author, tmp_path / "none")
    memory(SOURCES[0])
    memory.save()
    assert not (tmp_path / "none").exists()
