"""What the workflow plans for the drawing of the pipeline and for the video."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def planned(folder: Path, *targets: str) -> list[tuple[str, str]]:
    """Rules and their wildcards that a dry run lists."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "--directory", str(folder)]
    command += ["--configfile", str(ROOT / "config/config.yaml"), "--snakefile", str(ROOT / "Snakefile")]
    result = subprocess.run(
        [*command, "--", *targets], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    text = result.stdout + result.stderr
    blocks = re.split(r"\n(?=rule )", text)
    found = []
    for block in blocks[1:]:
        wildcards = re.search(r"wildcards: (.*)", block)
        found.append((block.split()[1].rstrip(":"), wildcards.group(1) if wildcards else ""))
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("config", "nexusflow", "workflow", "environment.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_pipeline_is_drawn_without_data_or_training(project: Path) -> None:
    jobs = planned(project, "results/smoke/figure2.png", "results/full/figure2.pdf", "results/figure2.png")
    assert {rule for rule, _ in jobs} == {"outline", "figure2", "publish"}
    outlined = {wildcards for rule, wildcards in jobs if rule == "outline"}
    assert outlined == {
        f"scale={scale}, suite={suite}"
        for scale in ("smoke", "embedded", "full")
        for suite in ("nuscenes", "nyuv2")
    }


def test_the_video_needs_two_runs_and_is_published(project: Path) -> None:
    jobs = planned(project, "results/video.gif")
    rules = [rule for rule, _ in jobs]
    assert rules.count("video") == rules.count("publish") == 1
    assert ("qualitative", "scale=embedded, figure=video") in jobs
    trained = {wildcards.split("run=")[1].split(",")[0] for rule, wildcards in jobs if rule == "train"}
    assert trained == {"baseline", "nexusflow_two_stage"}
    assert rules.count("nuscenes_predict") == 2
