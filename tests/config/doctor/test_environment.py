"""Versions, disk: what does not fit is named, with what to do."""

from importlib.metadata import version
from pathlib import Path

from nexusflow.config.doctor.environment import check_disk, check_libraries, check_python


def test_python() -> None:
    assert check_python("3.11.9", ">=3.11,<3.13").level == "ok"
    assert check_python("3.13.0", ">=3.11,<3.13").level == "act"


def test_libraries_that_fit_and_that_do_not() -> None:
    numpy = version("numpy")
    wanted = ["numpy>=1", "rich>=9999", "no-such-library>=1", 'ruff>=9999; extra == "dev"']
    findings = check_libraries(wanted, f"numpy=={numpy}\nother==1\n")
    assert [(x.subject, x.level) for x in findings] == [
        ("rich", "act"),
        ("no-such-library", "act"),
        ("libraries", "ok"),
    ]
    assert all(x.advice for x in findings if x.level == "act")


def test_other_versions_than_locked_are_told() -> None:
    last = check_libraries(["numpy>=1"], "numpy==0.0.1\n")[-1]
    assert (last.subject, last.level) == ("lock", "note") and "0.0.1" in last.text


def test_disk(tmp_path: Path) -> None:
    assert check_disk(tmp_path, needed_gb=0.0).level == "ok"
    full = check_disk(tmp_path, needed_gb=1e9)
    assert full.level == "act" and "free" in full.advice
