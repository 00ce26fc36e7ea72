"""What the alignment adds to a training step of the embedded scale, in time and in peak memory.

    python benchmarks/alignment_overhead.py --out docs/results/benchmarks/alignment_overhead.csv

Every pair is a run and the same run with the alignment: same data, budget, phase and frozen parts. Each
run has a process of its own, both take turns step by step, and all of it is repeated with new processes,
since two processes of one and the same run differ by several per cent.
Steps are those of the trainer, from loading the batch to the averaged weights. The worlds have fewer scenes
and images than the scale's; a step costs the same on any of them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from pipeline_data import WORLDS, smaller_configuration
from records import conditions, load, write_table
from turns import Turns, measure_turns

from nexusflow.config.bindings.registry import BINDINGS
from nexusflow.config.layout import Layout
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy
from nexusflow.training.determinism import make_deterministic
from nexusflow.training.loop import Trainer
from nexusflow.training.resume import ResumeFiles


@dataclass(frozen=True)
class Pair:
    """Two rows of config/experiments.yaml that differ by the alignment alone.

    Attributes:
        name: shown in table and plot.
        suite: the suite of both.
        without: the row without alignment.
        aligned: the row with it.
        first_step: step of the budget at which the measurement begins.
    """

    name: str
    suite: str
    without: str
    aligned: str
    first_step: int = 0


PAIRS = {
    pair.name: pair
    for pair in (
        # The first 35 % of phase 1 see single frames.
        Pair("nuscenes, phase 1, frames", "nuscenes", "baseline", "nexusflow_one_stage"),
        Pair("nuscenes, phase 1, clips", "nuscenes", "baseline", "nexusflow_one_stage", 600),
        Pair("nuscenes, phase 2", "nuscenes", "baseline_finetuned", "nexusflow_two_stage"),
        Pair("nyuv2, centre", "nyuv2", "baseline", "nexusflow_centre"),
        Pair("nyuv2, pair", "nyuv2", "baseline", "nexusflow_pair"),
    )
}
TIME, MEMORY = 1.03, 1.05  # what the alignment may cost


def make_data(folder: Path, pairs: list[Pair]) -> None:
    """Generate, decode and partition what the runs read."""
    configuration, layout = smaller_configuration(folder / "config"), Layout("embedded", folder)
    for suite in dict.fromkeys(pair.suite for pair in pairs):
        binding, world = BINDINGS[suite], WORLDS[suite]
        binding.make_data(configuration, layout, world, 1)
        binding.make_cache(configuration, layout, world, 1)
        partition = configuration.resolve(suite, "baseline").partition
        binding.make_partition(configuration, layout, world, partition)


def prepare(folder: Path, pair: Pair, run: str) -> Callable[[int], object]:
    """Build a run in its own process; gives its training step."""
    configuration, layout = smaller_configuration(folder / "config"), Layout("embedded", folder)
    resolved = configuration.resolve(pair.suite, run)
    make_deterministic(0, resolved.training.threads)
    suite = BINDINGS[pair.suite].make_suite(configuration, layout, run, 0)
    method = build_method(resolved.method, BuildContext(suite.tap_channels, 0, suite.canvas_spec, pair.suite))
    trainer = Trainer(suite, method, resolved.training, 0, ResumeFiles(folder / "unused", ""))
    suite.model.train()
    method.train()
    return lambda number: trainer.step(pair.first_step + number)


def summary(pair: Pair, repeats: list[dict[str, Turns]], before: float) -> dict[str, Any]:
    """One line of the table; ratios are of medians over all steps, or from and to those of single repeats."""
    runs = (pair.without, pair.aligned)
    seconds = {run: [value for repeat in repeats for value in repeat[run].seconds] for run in runs}
    busy = {run: [value for repeat in repeats for value in repeat[run].busy] for run in runs}
    peak = {run: [repeat[run].peak_mib for repeat in repeats] for run in runs}
    # Without the interpreter and its libraries, which both have.
    own = {run: [repeat[run].peak_mib - repeat[run].idle_mib for repeat in repeats] for run in runs}
    of_repeats = [ratio({run: repeat[run].seconds for run in runs}) for repeat in repeats]
    return {
        "pair": pair.name,
        "without": pair.without,
        "aligned": pair.aligned,
        "without ms": round(1e3 * median(seconds[pair.without]), 2),
        "aligned ms": round(1e3 * median(seconds[pair.aligned]), 2),
        "time ratio": ratio(seconds),
        "from": min(of_repeats),
        "to": max(of_repeats),
        "processor ratio": ratio(busy),
        "without MiB": round(median(peak[pair.without]), 1),
        "aligned MiB": round(median(peak[pair.aligned]), 1),
        "memory ratio": ratio(peak),
        "own memory ratio": ratio(own),
        "steps": len(seconds[pair.without]),
        "repeats": len(repeats),
        "load before": before,
        "load after": load(),
    }


def ratio(values: dict[str, list[float]]) -> float:
    """Median of the second over that of the first."""
    first, second = values.values()
    return round(median(second) / median(first), 4)


def measure(folder: Path, pair: Pair, rounds: int, repeats: int) -> dict[str, Any]:
    """Time one pair, with new processes per repeat."""
    before = load()
    builds = {run: partial(prepare, folder, pair, run) for run in (pair.without, pair.aligned)}
    # The other one is first built and first called in every other repeat.
    found = [
        measure_turns(dict(list(builds.items())[:: -1 if number % 2 else 1]), rounds, 3, pair.name)
        for number in range(repeats)
    ]
    return summary(pair, found, before)


def draw(rows: list[dict[str, Any]], path: Path, source: str) -> None:
    """Points of the ratios per pair; a line where the alignment would be too dear."""
    with paper_style():
        figure = new_figure(8.6, 2.8)
        left, right = figure.subplots(1, 2, sharey=True)
        names = [row["pair"] for row in rows][::-1]
        for axis, limit, column, title in (
            (left, TIME, "time ratio", "time per step"),
            (right, MEMORY, "memory ratio", "peak memory"),
        ):
            values = [row[column] for row in rows][::-1]
            axis.axvline(1.0, color="0.6", linewidth=0.8)
            axis.axvline(limit, color="0.3", linestyle="--", linewidth=0.8)
            axis.scatter(values, names)
            for name, value in zip(names, values, strict=True):
                axis.annotate(f"{value:.3f}", (value, name), (7, 0), textcoords="offset points", va="center")
            axis.margins(x=0.25, y=0.2)
            axis.set(xlabel=f"{title}, ratio (dashed: {limit})")
            tidy(axis)
        heading(figure, "What the alignment adds to a training step", source)
        save_figure(figure, [path])


def main() -> None:
    """Measure, print, write; ends with 1 where the alignment is too dear."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=PAIRS, metavar="PAIR")
    parser.add_argument("--rounds", type=int, default=10, help="steps of each run per repeat (default: 10)")
    parser.add_argument("--repeats", type=int, default=6, help="new processes of each run (default: 6)")
    parser.add_argument("--out", type=Path, default=Path("alignment_overhead.csv"))
    arguments = parser.parse_args()
    pairs = [PAIRS[name] for name in arguments.pairs]
    circumstances = conditions(["torch", "numpy"], 1)
    with tempfile.TemporaryDirectory() as name:
        make_data(Path(name), pairs)
        rows = [measure(Path(name), pair, arguments.rounds, arguments.repeats) for pair in pairs]
    write_table([row | {"conditions": circumstances} for row in rows], arguments.out)
    draw(rows, arguments.out.with_suffix(".png"), circumstances)
    dear = [row["pair"] for row in rows if row["time ratio"] > TIME or row["memory ratio"] > MEMORY]
    if dear:
        raise SystemExit(
            f"The alignment takes more than {TIME} of the time or {MEMORY} of the memory: {dear}"
        )


if __name__ == "__main__":
    main()
