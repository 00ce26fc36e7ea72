"""Makes the smoke scale with DVC, pushes it to a folder, restores it in a clone, and counts what is left.

    python benchmarks/restore_test.py [--lock workflow/smoke/dvc.lock]

The clone must have nothing to do. Then λ of NexusFlow is changed there: exactly the nuScenes runs whose
method reads it may train again. The exit code is 1 if anything else happens.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nexusflow.config.load import Configuration, load_configuration

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = "workflow/smoke/dvc.yaml"
EVERYTHING = ("--config", "scale=smoke", "--", "stage_paper_of_scale")
JOB = re.compile(r"^rule (\w+):|^localrule (\w+):", re.MULTILINE)
TRAIN = re.compile(r"^rule train:.*?wildcards: scale=\w+, suite=(\w+), run=(\w+), seed=\d+", re.M | re.S)


def call(project: Path, *command: str) -> str:
    """Run a command of this environment in a project and return what it says."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(project), "TERM": "dumb"}
    begin = time.perf_counter()
    done = subprocess.run(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
    print(f"{' '.join(command)[:90]}: {time.perf_counter() - begin:.0f} s", flush=True)
    return done.stdout


def make(project: Path, remote: Path) -> None:
    """Clone the project, make everything of the smoke scale with DVC, and push it."""
    call(ROOT, "git", "clone", "--quiet", str(ROOT), str(project))
    call(project, "dvc", "remote", "add", "--default", "folder", str(remote))
    call(project, "dvc", "repro", PIPELINE)
    again = call(project, "dvc", "repro", PIPELINE)
    if again.count("didn't change, skipping") != len(re.findall(r"^  \w+:$", _stages(project), re.M)):
        sys.exit(f"a second `dvc repro` does something:\n{again}")
    call(project, "git", "add", "--all")
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    call(project, "git", *author, "commit", "--quiet", "--message", "smoke results")
    call(project, "dvc", "push", PIPELINE)


def _stages(project: Path) -> str:
    return (project / PIPELINE).read_text().split("\nstages:\n")[1].split("\nmetrics:")[0]


def jobs(project: Path) -> list[str]:
    """Name the rule of every job that a dry run plans."""
    text = call(project, "snakemake", "--cores", "1", "--dry-run", *EVERYTHING)
    return [a or b for a, b in JOB.findall(text)]


def readers(before: Configuration, after: Configuration, runs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which runs are no longer what they were, or start from one that is not."""

    def differs(suite: str, run: str) -> bool:
        old, new = before.resolve(suite, run), after.resolve(suite, run)
        return old.method != new.method or bool(new.init and differs(suite, new.init))

    return {(suite, run) for suite, run in runs if differs(suite, run)}


def main() -> None:
    """Make, push, restore, change, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lock", type=Path, help="keep a copy of the dvc.lock that was made under this name")
    keep = parser.parse_args().lock
    with tempfile.TemporaryDirectory(prefix="restore_test_") as name:
        made, clone, remote = (Path(name) / part for part in ("made", "clone", "remote"))
        make(made, remote)
        if keep:
            shutil.copy(made / "workflow" / "smoke" / "dvc.lock", keep)
        call(made, "git", "clone", "--quiet", str(made), str(clone))
        call(clone, "nexusflow", "restore", "--scale", "smoke")
        left = jobs(clone)
        print(f"after restore: {len(left)} jobs", flush=True)
        everything = call(clone, "snakemake", "--cores", "1", "--dry-run", "--forceall", *EVERYTHING)
        before = load_configuration(clone / "config", "smoke")
        scale = clone / "config" / "scales" / "smoke.yaml"
        text, changed = re.subn(
            r"(\n    nexusflow: \{ )", r"\1lambda_align: 3.0, ", scale.read_text(), count=1
        )
        assert changed == 1, "the smoke scale's section of NexusFlow is written in another way"
        scale.write_text(text)
        expected = readers(
            before, load_configuration(clone / "config", "smoke"), set(TRAIN.findall(everything))
        )
        planned = call(clone, "snakemake", "--cores", "1", "--dry-run", *EVERYTHING)
        again = set(TRAIN.findall(planned))
        print(f"after λ: {len(again)} trainings, {len(JOB.findall(planned))} jobs; expected {len(expected)}")
        print(call(clone, "dvc", "status", PIPELINE))
    sys.exit(0 if not left and again == expected and expected else 1)


if __name__ == "__main__":
    main()
