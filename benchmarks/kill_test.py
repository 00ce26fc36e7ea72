"""Kills smoke trainings with SIGKILL at random moments and compares the bytes they end with.

    python benchmarks/kill_test.py --kills 50 --suite nuscenes
    python benchmarks/kill_test.py --kills 50 --suite nyuv2

Two kills of five are aimed at a save: the process is killed as soon as the temporary file of a checkpoint is
seen. Every kill is a training of its own, killed once or more, called again, and compared with one that was
not killed. The exit code is 1 if a single byte of weights or log differs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from nexusflow.config.assemble import train_from_configuration
from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.core.files import sha256_file

COMPARED = ("model.safetensors", "method.safetensors", "log.csv")
# How often a smoke training saves.
SAVES = {"nuscenes": 2, "nyuv2": 1}
RUNS = {"nuscenes": "nexusflow_one_stage", "nyuv2": "nexusflow_centre"}
ROOT = Path(__file__).resolve().parents[1]
CONTEXT = multiprocessing.get_context("forkserver")


def train(results: str, suite: str) -> None:
    """Train the suite's run at the smoke scale."""
    os.chdir(ROOT)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    layout = Layout("smoke", Path(results))
    train_from_configuration(load_configuration(Path("config"), "smoke"), layout, suite, RUNS[suite], 0)


def prepare(results: Path, suite: str, ready: Path | None) -> None:
    """Make the world, the decoded data and the partition that the run reads, or link those that are there."""
    if ready is not None:
        for part in ("cache", "partitions"):
            (results / "smoke").mkdir(parents=True, exist_ok=True)
            (results / "smoke" / part).symlink_to((ready / "smoke" / part).resolve())
        return
    configuration, layout, binding = (
        load_configuration(ROOT / "config", "smoke"),
        Layout("smoke", results),
        binding_of(suite),
    )
    world = configuration.suite(suite).default_world
    run = configuration.resolve(suite, RUNS[suite])
    binding.make_data(configuration, layout, world, 1)
    binding.make_cache(configuration, layout, world, 1)
    binding.make_partition(configuration, layout, world, run.partition)


def hashes(folder: Path) -> dict[str, str]:
    """Hash what a run publishes, apart from the times in its provenance."""
    return {name: sha256_file(folder / name) for name in COMPARED}


def kill_once(results: Path, folder: Path, suite: str, seconds: float, saving: bool) -> str:
    """Start the training and kill it; tell what was hit."""
    process = CONTEXT.Process(target=train, args=(str(results), suite))
    process.start()
    assert process.pid is not None
    if saving:
        work = folder / "work"
        nth, seen = random.randint(1, SAVES[suite]), set[str]()
        while process.is_alive() and len(seen) < nth:
            seen |= {path.name for path in work.glob(".resume_*")} if work.is_dir() else set()
            time.sleep(0.0002)
        time.sleep(random.choice((0.0, 0.0005, 0.002)))
    else:
        process.join(timeout=random.uniform(0.0, seconds))
    if not process.is_alive():
        process.join()
        return "finished before the kill"
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return "within a save" if any((folder / "work").glob(".resume_*")) else "between saves"


def main() -> None:
    """Run the campaign and print one line per kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10, help="number of kills")
    parser.add_argument("--suite", choices=sorted(RUNS), default="nuscenes", help="suite")
    parser.add_argument("--data", type=Path, help="results folder with the smoke data (default: made anew)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    CONTEXT.set_forkserver_preload(["nexusflow.training.run", f"nexusflow.suites.{arguments.suite}.suite"])
    results = Path(tempfile.mkdtemp(prefix="kill_test_"))
    folder = Layout("smoke", results).checkpoint(arguments.suite, RUNS[arguments.suite], 0)
    try:
        prepare(results, arguments.suite, arguments.data)
        seconds = 0.0
        # The first call of all also compiles and fills caches; the second one tells how long one takes.
        for _ in range(2):
            shutil.rmtree(folder, ignore_errors=True)
            start = time.perf_counter()
            whole = CONTEXT.Process(target=train, args=(str(results), arguments.suite))
            whole.start()
            whole.join()
            seconds = time.perf_counter() - start
        expected = hashes(folder)
        different = 0
        counts: dict[str, int] = {}
        for number in range(arguments.kills):
            shutil.rmtree(folder)
            hit = kill_once(results, folder, arguments.suite, seconds, saving=number % 5 < 2)
            again = CONTEXT.Process(target=train, args=(str(results), arguments.suite))
            again.start()
            again.join()
            same = again.exitcode == 0 and hashes(folder) == expected
            different += not same
            counts[hit] = counts.get(hit, 0) + 1
            print(f"kill {number + 1}: {hit}: {'identical' if same else 'DIFFERENT'}", flush=True)
    finally:
        shutil.rmtree(results, ignore_errors=True)
    summary = ", ".join(f"{count} {hit}" for hit, count in sorted(counts.items()))
    print(f"{arguments.suite}: {arguments.kills} kills ({summary}), {different} differ")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
