"""Kills whole Snakemake process groups at random moments; the same command must finish what they left.

    python benchmarks/kill_workflow.py --kills 20

The smoke table is made once without a kill. Then, in a second copy of the project, Snakemake is started and
its process group killed, again and again, until the kills are used up; a table that is finished early is
removed with all its results, and made anew. Each start is the same command, without --unlock or
--rerun-incomplete.
The exit code is 1 if the last call fails, or if weights, logs or tables differ from those without a kill.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compared import fingerprint

ROOT = Path(__file__).resolve().parents[1]
TABLES = {"nuscenes": "results/smoke/table2.csv", "nyuv2": "results/smoke/table4.csv"}
COMPARED = ("*.safetensors", "log.csv", "table*.csv")


def copy_project(folder: Path) -> Path:
    """Copy what Snakemake reads."""
    for name in ("workflow", "profiles", "config"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    (folder / "nexusflow").symlink_to(ROOT / "nexusflow", target_is_directory=True)
    return folder


def start(project: Path, target: str, cores: int) -> subprocess.Popen[bytes]:
    """Start Snakemake in a process group of its own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (project / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", str(cores), target],
            cwd=project,
            env=os.environ | {"PATH": path},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def hashes(project: Path) -> dict[str, str]:
    """Hash what must not depend on kills."""
    results = project / "results"
    paths = sorted(path for pattern in COMPARED for path in results.rglob(pattern))
    return {str(path.relative_to(results)): fingerprint(path) for path in paths}


def main() -> None:
    """Run the campaign and print one line per kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=5, help="number of kills")
    parser.add_argument("--suite", choices=sorted(TABLES), default="nyuv2", help="suite")
    parser.add_argument("--cores", type=int, default=2, help="cores of Snakemake")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    arguments = parser.parse_args()
    draw, target = random.Random(arguments.seed), TABLES[arguments.suite]
    with tempfile.TemporaryDirectory(prefix="kill_workflow_") as name:
        whole, killed = copy_project(Path(name) / "whole"), copy_project(Path(name) / "killed")
        begin = time.perf_counter()
        if start(whole, target, arguments.cores).wait():
            sys.exit((whole / "log.txt").read_text(errors="replace")[-3000:])
        seconds = time.perf_counter() - begin
        kills = 0
        while kills < arguments.kills:
            process = start(killed, target, arguments.cores)
            try:
                code = process.wait(timeout=draw.uniform(0.0, 0.5 * seconds))
                print(f"was finished before the kill, with exit code {code}; made anew", flush=True)
                shutil.rmtree(killed / "results")
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                print(f"kill {kills}: done", flush=True)
        code = start(killed, target, arguments.cores).wait()
        if code:
            sys.exit((killed / "log.txt").read_text(errors="replace")[-3000:])
        first, second = hashes(whole), hashes(killed)
        differing = sorted(path for path in first | second if first.get(path) != second.get(path))
        print(
            f"{arguments.suite}: {arguments.kills} kills, {len(first)} files, different: {differing or None}"
        )
        sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
