"""A further ablation is two lines of YAML: one for the run, one for its place in a table."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = "  nexusflow_depth3: { method: { name: nexusflow, depth: 3 }, budget: finetune, init: baseline }\n"
ROW = "    - { id: depth3, label: 3 layers, run: nexusflow_depth3 }\n"


def _insert(path: Path, line: str, before: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, line + before), encoding="utf-8")


def _planned(folder: Path) -> set[str]:
    """Outputs of the jobs that Table 3 needs."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--snakefile", ROOT / "Snakefile", "--directory", folder,
         "--", "results/table3.csv"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.strip() for line in done.stdout.splitlines()]
    return {file for line in lines if line.startswith("output: ") for file in line[8:].split(", ")}


def test_coupling_depth_3_is_two_lines(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "nexusflow").symlink_to(ROOT / "nexusflow", target_is_directory=True)
    before = _planned(tmp_path)
    _insert(tmp_path / "config" / "experiments.yaml", RUN, "  nexusflow_depth4:")
    _insert(tmp_path / "config" / "paper.yaml", ROW, "    - { id: depth0, label:")
    after = _planned(tmp_path)
    added = after - before
    assert before <= after
    folder = "nuscenes/nexusflow_depth3/seed0"
    assert {file for file in added if folder not in file} == set()
    assert any(file.endswith(f"checkpoints/{folder}/model.safetensors") for file in added)
    assert any(file.endswith(f"runs/{folder}/metrics.json") for file in added)
