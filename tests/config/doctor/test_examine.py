"""The verb: exit code 1 if something must be done, and a broken configuration is a finding."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nexusflow import cli
from nexusflow.config.doctor import examine as module
from nexusflow.config.doctor.examine import examine
from nexusflow.config.doctor.findings import ok


@pytest.fixture
def elsewhere(config_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the configuration in a folder without results; the environment is taken as sound."""
    monkeypatch.setattr(module, "check_environment", lambda folder: [ok("Python", "3.11")])
    monkeypatch.setattr(cli, "Folder", config_folder)
    monkeypatch.chdir(config_folder.parent)
    return config_folder


def test_nothing_to_do(elsewhere: Path) -> None:
    result = CliRunner().invoke(cli.app, ["doctor", "--scale", "smoke"])
    assert result.exit_code == 0, result.output
    assert "smoke: no mistake" in result.output and "Snakemake's locks" in result.output


def test_something_to_do(elsewhere: Path) -> None:
    (elsewhere / "paper.yaml").write_text("nothing: 1\n")
    result = CliRunner().invoke(cli.app, ["doctor", "--scale", "smoke"])
    assert result.exit_code == 1 and "paper.yaml" in result.output and "-> correct it" in result.output


def test_scales_without_results_are_left_out(elsewhere: Path) -> None:
    assert all(finding.subject != "configuration" for finding in examine(elsewhere, None))
