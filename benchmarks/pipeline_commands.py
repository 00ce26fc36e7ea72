"""Time of commands: help, dry runs of few and many jobs, and runs that have nothing to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from nexusflow.core.progress import track

__all__ = ["command_rows"]

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2"]
Command = tuple[list[str], Path]


def make_project(folder: Path) -> Path:
    """A checkout's workflow without results."""
    folder.mkdir()
    for name in ("workflow", "profiles", "config"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    (folder / "nexusflow").symlink_to(ROOT / "nexusflow", target_is_directory=True)
    return folder


def run(command: Command) -> str:
    """Run to the end and give the output; a failure ends the benchmark with it."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command[0],
        cwd=command[1],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[0])}\n{done.stdout}")
    return done.stdout


def seconds(command: Command) -> float:
    """Wall time of a command."""
    start = time.perf_counter()
    run(command)
    return time.perf_counter() - start


def pretend_results(folder: Path, target: str) -> Path:
    """Make every output of a target, empty, and let Snakemake record it as done."""
    for line in run(([*SNAKEMAKE, "--summary", target], folder)).splitlines():
        if line.startswith("results/"):
            path = folder / line.split("\t")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    run(([*SNAKEMAKE, "--touch", "--forceall", target], folder))
    if "Nothing to be done" not in run(([*SNAKEMAKE, target], folder)):
        raise SystemExit(f"{target} is not finished after everything was marked as made.")
    return folder


def jobs_of(command: Command) -> int:
    """Number of jobs of a dry run."""
    counted = re.search(r"^total\s+(\d+)$", run(command), re.MULTILINE)
    assert counted
    return int(counted[1])


def command_rows(folder: Path, rounds: int, seeds: list[int]) -> list[dict[str, object]]:
    """Rows of all commands; ratios are to the start of Python or of Snakemake, on which a command rests."""
    project, finished = make_project(folder / "new"), pretend_results(make_project(folder / "done"), "all")
    dry = [*SNAKEMAKE, "--dry-run"]
    planned: dict[str, Command] = {"dry run of Table 2": ([*dry, "results/table2.csv"], project)}
    for count in seeds:
        numbers = ",".join(map(str, range(count)))
        name = "dry run of everything" + (f", {count} seeds" if count > 1 else "")
        planned[name] = ([*dry, "all", "--config", f"seeds={numbers}"], project)
    jobs = {name: jobs_of(command) for name, command in planned.items()}
    commands: dict[str, Command] = {
        "python -c pass": ([sys.executable, "-c", "pass"], project),
        "nexusflow --help": ([sys.executable, "-m", "nexusflow", "--help"], project),
        "nexusflow train --help": ([sys.executable, "-m", "nexusflow", "train", "--help"], project),
        "snakemake --version": ([sys.executable, "-m", "snakemake", "--version"], project),
        "nothing to do, Table 2": ([*SNAKEMAKE, "results/table2.csv"], finished),
        "nothing to do, everything": ([*SNAKEMAKE, "all"], finished),
        **planned,
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in track(range(rounds), "commands", total=rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    medians = {name: median(values) for name, values in times.items()}
    rows: list[dict[str, object]] = []
    for name, values in times.items():
        bare = "python -c pass" if name.startswith(("python", "nexusflow")) else "snakemake --version"
        rows.append(
            {
                "what": name,
                "size": jobs.get(name, ""),
                "unit": "jobs" if name in jobs else "",
                "median s": round(medians[name], 3),
                "fastest s": round(min(values), 3),
                "ratio": round(medians[name] / medians[bare], 2),
                "to": bare,
                "rounds": rounds,
            }
        )
    return rows
