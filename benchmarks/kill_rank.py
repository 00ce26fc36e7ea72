"""Kills one of several ranks of a smoke training at random moments, again and again.

    python benchmarks/kill_rank.py --kills 20 --ranks 2

The command of the command line is started, a rank of it is killed by SIGKILL, and the job must end by itself:
with code 1, with one sentence that names the rank, within a minute, and without a process left. The same
command then goes on and is killed in turn; whenever a run is finished, its weights and its log must have the
bytes of one that was not killed. The exit code is 1 if anything of this fails.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.core.files import sha256_file

COMPARED = ("model.safetensors", "method.safetensors", "log.csv")
SUITE, RUN = "nuscenes", "nexusflow_one_stage"
ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0


@dataclass
class Tally:
    """What was seen.

    Attributes:
        kills: kills that hit a running rank.
        finished: runs that were finished after kills.
        resumed: finished runs that had gone on from a checkpoint.
        failures: what should not be.
        seconds: from each kill to the end of the job.
    """

    kills: int = 0
    finished: int = 0
    resumed: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def prepare(folder: Path, ranks: int) -> None:
    """Make a configuration whose trainings have so many ranks, and the data that they read."""
    shutil.copytree(ROOT / "config", folder / "config")
    path = folder / "config" / "scales" / "smoke.yaml"
    scale = yaml.safe_load(path.read_text(encoding="utf-8"))
    for budget in scale[SUITE]["budgets"].values():
        budget |= {"devices": ranks, "batch_size": 2 * ranks, "checkpoint_every": 2, "steps": 12}
    path.write_text(yaml.safe_dump(scale), encoding="utf-8")
    os.chdir(folder)
    configuration, layout = load_configuration(Path("config"), "smoke"), Layout("smoke")
    binding, world = binding_of(SUITE), configuration.suite(SUITE).default_world
    binding.make_data(configuration, layout, world, 1)
    binding.make_cache(configuration, layout, world, 1)
    binding.make_partition(configuration, layout, world, configuration.resolve(SUITE, RUN).partition)


def start() -> subprocess.Popen[str]:
    """Start the training as a user does."""
    command = [sys.executable, "-m", "nexusflow", "train", "--scale", "smoke", "--suite", SUITE, "--run", RUN]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def ranks_of(launcher: int) -> list[int]:
    """The processes that the launcher has started."""
    try:
        text = Path(f"/proc/{launcher}/task/{launcher}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(number) for number in text.split()]


def finish(
    process: subprocess.Popen[str], patience_s: float = 20 * PATIENCE_S
) -> tuple[int | None, list[str]]:
    """Wait for the end; gives the code, None for a hang, and the sentences."""
    try:
        said = process.communicate(timeout=patience_s)[1]
    except subprocess.TimeoutExpired:
        for rank in ranks_of(process.pid):
            os.kill(rank, 9)
        process.kill()
        process.communicate()
        return None, []
    return process.returncode, [line for line in said.splitlines() if "error" in line.lower()]


def kill_once(after_s: float, number: int, tally: Tally) -> bool:
    """Start the job and kill one rank of it; tells whether the job was finished before."""
    process = start()
    deadline = time.monotonic() + after_s
    ranks: list[int] = []
    while process.poll() is None and (time.monotonic() < deadline or len(ranks) < number):
        ranks = ranks_of(process.pid)
        time.sleep(0.005)
    victim = random.randrange(number)
    if len(ranks_of(process.pid)) < number:
        code, said = finish(process)
        if code != 0:
            tally.failures.append(f"code {code} without a kill: {said}")
        return True
    before = time.monotonic()
    os.kill(ranks[victim], 9)
    code, said = finish(process, PATIENCE_S)
    tally.seconds.append(time.monotonic() - before)
    tally.kills += 1
    if code != 1 or len(said) != 1 or f"Rank {victim} of {number} was killed by SIGKILL" not in said[0]:
        tally.failures.append(f"kill {tally.kills} after {after_s:.2f} s: code {code}, {said}")
    if any(Path(f"/proc/{rank}").exists() for rank in ranks):
        tally.failures.append(f"kill {tally.kills}: a rank is left")
    print(
        f"kill {tally.kills}: rank {victim} after {after_s:.1f} s, ended in {tally.seconds[-1]:.2f} s",
        flush=True,
    )
    return False


def campaign(kills: int, ranks: int, tally: Tally) -> None:
    """Kill until enough ranks were hit, compare every finished run, and finish the last one."""
    folder = Layout("smoke").checkpoint(SUITE, RUN, 0)
    begun = time.monotonic()
    code, said = finish(start())
    seconds = time.monotonic() - begun
    if code != 0:
        tally.failures.append(f"the run that is not killed: code {code}, {said}")
        return
    expected = {name: sha256_file(folder / name) for name in COMPARED}
    shutil.rmtree(folder)
    saved = False
    while tally.kills < kills or folder.exists():
        after_s = random.uniform(0.0, seconds) if tally.kills < kills else 100 * seconds
        if not kill_once(after_s, ranks, tally):
            saved = saved or any((folder / "work").glob("resume_*"))
            continue
        missing = [name for name in COMPARED if not (folder / name).exists()]
        if missing or {name: sha256_file(folder / name) for name in COMPARED} != expected:
            tally.failures.append(f"after kill {tally.kills}: other bytes, or {missing} missing")
        tally.finished += 1
        tally.resumed += saved
        saved = False
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run the campaign and print one line per kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="number of kills")
    parser.add_argument("--ranks", type=int, default=2, help="ranks of the training")
    parser.add_argument("--seed", type=int, default=0, help="seed of moments and victims")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    folder, tally = Path(tempfile.mkdtemp(prefix="kill_rank_")), Tally()
    try:
        prepare(folder, arguments.ranks)
        campaign(arguments.kills, arguments.ranks, tally)
    finally:
        os.chdir(ROOT)
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(tally.failures))
    median, most = (statistics.median(tally.seconds), max(tally.seconds)) if tally.seconds else (0.0, 0.0)
    print(
        f"{tally.kills} kills, jobs ended in {median:.2f} s (median), {most:.2f} s (longest); "
        f"{tally.finished} runs finished, {tally.resumed} of them from a checkpoint; "
        f"{len(tally.failures)} failures"
    )
    sys.exit(1 if tally.failures else 0)


if __name__ == "__main__":
    main()
