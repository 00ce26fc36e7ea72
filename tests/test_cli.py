"""The command line: help with units and defaults, one sentence for mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nexusflow.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_names_every_verb() -> None:
    text = call("--help").stdout
    verbs = (
        "data",
        "cache",
        "partition",
        "train",
        "predict",
        "reference",
        "evaluate",
        "cost",
        "table",
        "outline",
        "report",
        "doctor",
    )
    assert all(verb in text for verb in verbs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--run", "nothing", "--scale", "smoke"), "has no run `nuscenes.nothing`"),
        (("train", "--run", "full", "--scale", "vast"), "no scale `vast`"),
        (("table", "table9", "--scale", "smoke"), "no table `table9`"),
        (("data", "--scale", "smoke", "--world", "atlantis"), "no world `atlantis`"),
        (("data", "--scale", "smoke", "--suite", "kitti"), "no suite `kitti`"),
        (("train", "--run", "full", "--scale", "full"), "results/full/"),
        (("fetch", "nuscenes", "--version", "v1.0-test"), "v1.0-mini, v1.0-trainval"),
    ],
)
def test_mistakes_are_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    result = call(*arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
