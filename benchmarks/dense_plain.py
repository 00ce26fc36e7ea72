"""Our NYUv2 training step against the plain design of `plain_dense.py`, and what bfloat16 costs in accuracy.

    python benchmarks/dense_plain.py --threads 2 --out dense_plain.csv

Split SegNet at full width, 288 × 384 pixels, two images per step. `baseline` sees one view of every image,
`mtpsl` two. Both designs are shown to compute the same in double precision, and how far float32 and bfloat16
are from it; then all contenders take turns in float32 or bfloat16, data and optimiser included. Writes a
table of times, another of differences, and a plot.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import seaborn
import torch
from dense_accuracy import cropped, difference, in_double, ours_once, plain_once, views_of
from dense_step import build, make_data
from plain_dense import PlainMapping, PlainSegNet, PlainStep
from records import conditions, load, write_table
from torch import nn
from turns import Build, measure_turns

from nexusflow.methods.base import Method
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy
from nexusflow.suites.base import Suite
from nexusflow.training.determinism import make_deterministic
from nexusflow.training.loop import Trainer
from nexusflow.training.resume import ResumeFiles

CONTENDERS = ("plain", "plain, channels last", "plain, channels last, bf16", "ours, fp32", "ours, bf16")
# A process that sees two views takes up to 8 GB: two of them fit into 24 GB beside this one, three do not.
FEWER = {"mtpsl": ("plain", "ours, bf16")}
SIZE = (288, 384)
TOLERANCE = 1e-9  # of losses and gradient, plain against ours in double precision


def ours(folder: Path, run: str, threads: int, precision: str) -> Trainer:
    """A run of the scale `full` with our trainer."""
    suite, method, config = build(folder, "segnet", 2, threads, run)
    make_deterministic(0, threads)
    config = config.model_copy(update={"precision": precision})
    trainer = Trainer(suite, method, config, 0, ResumeFiles(Path("unused"), ""))
    suite.model.train()
    method.train()
    return trainer


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters in the order of their declaration."""
    with torch.no_grad():
        for theirs, mine in zip(source.parameters(), target.parameters(), strict=True):
            assert theirs.shape == mine.shape
            mine.copy_(theirs)


def plain(suite: Suite, method: Method, rate: float) -> PlainStep:
    """The plain design with the weights of ours."""
    model: Any = suite.model.config
    network = PlainSegNet(model.widths, model.extra_blocks, model.num_classes)
    copy_weights(suite.model, network)
    mapping = None
    if method.view_plan is not None:
        section: Any = method.config
        widths = (*section.widths, model.widths[-1])
        mapping = PlainMapping(widths, section.extra_blocks, model.num_classes)
        copy_weights(method.network, mapping)  # type: ignore[arg-type]
    return PlainStep(network, mapping, rate)


def prepare(folder: Path, run: str, threads: int, contender: str) -> Callable[[int], object]:
    """Build a contender in its own process; gives a training step."""
    if contender.startswith("ours"):
        return ours(folder, run, threads, "bf16-mixed" if "bf16" in contender else "32-true").step
    suite, method, config = build(folder, "segnet", 2, threads, run)
    suite.provide_views(method.view_plan)
    step = plain(suite, method, config.learning_rate)
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    if "channels last" in contender:
        for module in (step.network, step.mapping):
            if module is not None:
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def call(number: int) -> object:
        views = views_of(suite.batch(number))
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in contender):
            return step(views)

    return call


def differences(folder: Path, run: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Plain design, float32 and bfloat16 against ours in double precision, before and after some steps."""
    height, width = arguments.crop
    trainers = {
        "ours, fp32": ours(folder, run, arguments.threads, "32-true"),
        "ours, bf16": ours(folder, run, arguments.threads, "bf16-mixed"),
    }
    double = ours(folder, run, arguments.threads, "32-true")
    exact = trainers["ours, fp32"]
    rows: list[dict[str, object]] = []
    for done in (0, arguments.steps):
        for number in range(0 if done else arguments.steps, arguments.steps):
            exact.step(number)
        for trainer in (trainers["ours, bf16"], double):
            trainer.suite.model.load_state_dict(exact.suite.model.state_dict())
            trainer.method.load_state_dict(exact.method.state_dict())
        batch = exact.suite.batch(arguments.steps)
        step = plain(exact.suite, exact.method, 1e-4)
        for module in (double.suite.model, double.method, step.network, step.mapping):
            if module is not None:
                module.double()
        large, small = (cropped(batch, height, width, t) for t in (torch.float64, torch.float32))
        torch.use_deterministic_algorithms(False)  # the plain design unpools by a call that may not be
        with in_double():
            truth = ours_once(double, large)
            found = {"plain, double": plain_once(step, views_of(large), 0)}
        torch.use_deterministic_algorithms(True)
        found |= {name: ours_once(trainer, small) for name, trainer in trainers.items()}
        rows += [difference(run, done, name, value, truth) for name, value in found.items()]
    return rows


def times(folder: Path, arguments: argparse.Namespace, run: str) -> list[dict[str, object]]:
    """Rows of one run: every contender's seconds per step; how many times as long as ours in bf16."""
    before = load()
    chosen = arguments.contenders or FEWER.get(run, CONTENDERS)
    builds: dict[str, Build] = {
        name: partial(prepare, folder, run, arguments.threads, name) for name in chosen
    }
    taken = measure_turns(builds, arguments.rounds, title=f"{run}: training steps")
    seconds = {name: median(turns.seconds) for name, turns in taken.items()}
    busy = {name: median(turns.busy) for name, turns in taken.items()}
    first, last = chosen[0], chosen[-1]
    return [
        {
            "run": run,
            "contender": name,
            "seconds": round(seconds[name], 3),
            "fastest": round(min(turns.seconds), 3),
            "first over this": round(seconds[first] / seconds[name], 3),
            "this over last": round(seconds[name] / seconds[last], 3),
            "processor s": round(busy[name], 3),
            "processor, first over this": round(busy[first] / busy[name], 3),
            "peak MiB": round(turns.peak_mib),
            "rounds": arguments.rounds,
            "threads": arguments.threads,
            "torch": torch.__version__,
            "load before": before,
            "load after": load(),
        }
        for name, turns in taken.items()
    ]


def draw(rows: list[dict[str, Any]], path: Path, source: str) -> None:
    """Bars of seconds per step, a panel per run; labels tell how many times as fast as the first."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    with paper_style():
        figure = new_figure(4.6 * len(runs), 3.4)
        for axis, run in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
            mine = [row for row in rows if row["run"] == run][::-1]
            bars = axis.barh(
                [row["contender"] for row in mine],
                [row["seconds"] for row in mine],
                color=[
                    seaborn.color_palette("colorblind")[0 if "ours" in r["contender"] else 7] for r in mine
                ],
            )
            axis.bar_label(bars, [f"{row['first over this']:.2f}×" for row in mine], padding=3)
            axis.set(title=run, xlabel="seconds per step")
            axis.margins(x=0.15)
            tidy(axis)
        heading(figure, "NYUv2 training step, two images at 288 × 384", source)
        save_figure(figure, [path])


def main() -> None:
    """Compare, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", nargs="+", default=["baseline", "mtpsl"], help="rows of the suite nyuv2")
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        help="default: all; two where two views fill the memory",
    )
    parser.add_argument("--threads", type=int, default=2, help="OpenMP threads (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default: 5)")
    parser.add_argument(
        "--steps", type=int, default=3, help="steps before the second comparison (default: 3)"
    )
    parser.add_argument(
        "--crop", type=int, nargs=2, default=[96, 128], help="pixels of these comparisons (default: 96 128)"
    )
    parser.add_argument("--out", type=Path, default=Path("dense_plain.csv"))
    arguments = parser.parse_args()
    rows, differing = [], []
    with tempfile.TemporaryDirectory() as name:
        make_data(Path(name), *SIZE)
        for run in arguments.runs:
            if arguments.steps:
                differing += differences(Path(name), run, arguments)
            if arguments.rounds:
                rows += times(Path(name), arguments, run)
                write_table(rows, arguments.out)  # at once, should the next run need too much memory
    if differing:
        write_table(differing, arguments.out.with_name(f"{arguments.out.stem}_differences.csv"))
    if rows:
        write_table(rows, arguments.out)
        draw(rows, arguments.out.with_suffix(".png"), conditions(["torch"], arguments.threads))
    names = ("relative difference of the total", "relative difference of the gradient")
    equal = [row for row in differing if row["contender"] == "plain, double"]
    if any(float(str(row[name])) > TOLERANCE for row in equal for name in names):
        raise SystemExit("The plain design computes other losses or gradients than ours.")


if __name__ == "__main__":
    main()
