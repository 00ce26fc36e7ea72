"""Our NYUv2 training step against the plain design of `plain_dense.py`, and what bfloat16 costs in accuracy.

    python benchmarks/dense_plain.py --threads 2 --out dense_plain.csv

Split SegNet at full width, 288 × 384 pixels, two images per step, run by run: `baseline` sees one view of
every image, `mtpsl` two, as the reference design does for it. First both are shown to compute the same in
fp32; then all contenders take turns, data and optimiser included. Writes a table of times, another of
differences, and a plot.
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
from dense_step import build, make_data
from plain_dense import PlainMapping, PlainSegNet, PlainStep
from records import conditions, load, write_table
from torch import Tensor, nn
from turns import Build, measure_in_turns

from nexusflow.data.nyuv2.batch import DenseBatch
from nexusflow.methods.base import Method
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy
from nexusflow.suites.base import Suite
from nexusflow.suites.nyuv2.suite import ViewedBatch
from nexusflow.training.determinism import make_deterministic
from nexusflow.training.loop import Trainer
from nexusflow.training.resume import ResumeFiles

CONTENDERS = ("plain", "plain, channels last", "plain, channels last, bf16", "ours, fp32", "ours, bf16")
SIZE = (288, 384)
TOLERANCE = 1e-4  # of the total loss, plain against ours in fp32


def views_of(batch: DenseBatch | ViewedBatch) -> list[DenseBatch]:
    """All views of a batch, that of the task losses first."""
    return [batch] if isinstance(batch, DenseBatch) else [batch.first, *batch.extra]


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


def relative(value: Tensor, truth: Tensor) -> float:
    """Length of the difference over the length of the truth."""
    return float((value.double() - truth.double()).norm() / truth.double().norm())


def gradient(modules: list[nn.Module | None]) -> Tensor:
    """All gradients in one vector; zeros where there is none."""
    parameters = [p for module in modules if module is not None for p in module.parameters()]
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
    )


def ours_once(trainer: Trainer, batch: Any) -> tuple[dict[str, float], Tensor, dict[str, Tensor]]:
    """Losses, gradient and outputs of the first batch; weights stay."""
    suite, method = trainer.suite, trainer.method
    with trainer.fabric.autocast():
        result = suite.forward(batch, 0, False)
        extra = method.extra_losses(result.taps, result.outputs, result.visible, 0, result.views)
    named = {**result.losses, **extra}
    torch.stack([value.float() for value in named.values()]).sum().backward()
    vector = gradient([suite.model, method])
    for module in (suite.model, method):
        module.zero_grad(set_to_none=True)
    outputs = {task: value.detach().float() for task, value in result.outputs.items()}
    return {name.split("/")[0]: float(value.detach()) for name, value in named.items()}, vector, outputs


def plain_once(
    step: PlainStep, views: list[DenseBatch], seed: int
) -> tuple[dict[str, float], Tensor, dict[str, Tensor]]:
    """The same of the plain design, its classes drawn with the noise that ours draws."""
    generator = torch.Generator().manual_seed(seed)
    step.noise = lambda log_1KHW: torch.rand(log_1KHW.shape, generator=generator)
    losses = step.losses(views)
    torch.stack(list(losses.values())).sum().backward()
    vector = gradient([step.network, step.mapping])
    with torch.no_grad():
        outputs, _ = step.network(torch.cat([view.images_B3HW for view in views]))
    first = {task: value[: len(views[0].images_B3HW)] for task, value in outputs.items()}
    return {name: float(value.detach()) for name, value in losses.items()}, vector, first


def differences(folder: Path, run: str, threads: int, steps: int) -> list[dict[str, object]]:
    """Plain and bf16 against ours in fp32, before training and after some steps of it."""
    exact = ours(folder, run, threads, "32-true")
    half = ours(folder, run, threads, "bf16-mixed")
    rows: list[dict[str, object]] = []
    for done in (0, steps):
        for number in range(0 if done else steps, steps):
            exact.step(number)
        half.suite.model.load_state_dict(exact.suite.model.state_dict())
        half.method.load_state_dict(exact.method.state_dict())
        batch = exact.suite.batch(steps)
        other = plain(exact.suite, exact.method, 1e-4)
        truth = ours_once(exact, batch)
        torch.use_deterministic_algorithms(False)  # the plain design unpools by a call that may not be
        found = {"plain": plain_once(other, views_of(batch), 0), "ours, bf16": ours_once(half, batch)}
        torch.use_deterministic_algorithms(True)
        rows += [difference(run, done, name, value, truth) for name, value in found.items()]
    return rows


def difference(run: str, steps: int, contender: str, found: Any, truth: Any) -> dict[str, object]:
    """One row: how far losses, gradient and outputs are from ours in fp32."""
    names = {"mtpsl": "consistency"}
    losses = {names.get(name, name): value for name, value in found[0].items()}
    wanted = {names.get(name, name): value for name, value in truth[0].items()}
    assert losses.keys() == wanted.keys()
    classes, true_classes = (x[2]["segmentation"].argmax(1) for x in (found, truth))
    cosine = (found[2]["normal"] * truth[2]["normal"]).sum(1).clamp(-1, 1)
    return {
        "run": run,
        "after steps": steps,
        "contender": contender,
        "largest relative difference of a loss": max(
            abs(losses[name] - wanted[name]) / abs(wanted[name]) for name in losses if wanted[name]
        ),
        "relative difference of the total": abs(sum(losses.values()) / sum(wanted.values()) - 1),
        "relative difference of the gradient": relative(found[1], truth[1]),
        "pixels of another class": float((classes != true_classes).float().mean()),
        "mean difference of depth, m": float((found[2]["depth"] - truth[2]["depth"]).abs().mean()),
        "mean difference of normals, degrees": float(cosine.acos().rad2deg().mean()),
    }


def times(folder: Path, arguments: argparse.Namespace, run: str) -> list[dict[str, object]]:
    """Rows of one run: every contender's seconds per step; how many times as long as ours in bf16."""
    before = load()
    builds: dict[str, Build] = {
        name: partial(prepare, folder, run, arguments.threads, name) for name in arguments.contenders
    }
    seconds = measure_in_turns(builds, arguments.rounds, title=f"{run}: training steps")
    last = median(seconds[arguments.contenders[-1]])
    first = median(seconds[arguments.contenders[0]])
    return [
        {
            "run": run,
            "contender": name,
            "seconds": round(median(values), 3),
            "fastest": round(min(values), 3),
            "first over this": round(first / median(values), 3),
            "this over last": round(median(values) / last, 3),
            "rounds": arguments.rounds,
            "threads": arguments.threads,
            "torch": torch.__version__,
            "load before": before,
            "load after": load(),
        }
        for name, values in seconds.items()
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
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--threads", type=int, default=2, help="OpenMP threads (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default: 5)")
    parser.add_argument(
        "--steps", type=int, default=3, help="steps before the second comparison (default: 3)"
    )
    parser.add_argument("--out", type=Path, default=Path("dense_plain.csv"))
    arguments = parser.parse_args()
    rows, differing = [], []
    with tempfile.TemporaryDirectory() as name:
        make_data(Path(name), *SIZE)
        for run in arguments.runs:
            if arguments.steps:
                differing += differences(Path(name), run, arguments.threads, arguments.steps)
            if arguments.rounds:
                rows += times(Path(name), arguments, run)
    if differing:
        write_table(differing, arguments.out.with_name(f"{arguments.out.stem}_differences.csv"))
    if rows:
        write_table(rows, arguments.out)
        draw(rows, arguments.out.with_suffix(".png"), conditions(["torch"], arguments.threads))
    plain_rows = [row for row in differing if row["contender"] == "plain"]
    if any(float(str(row["relative difference of the total"])) > TOLERANCE for row in plain_rows):
        raise SystemExit("The plain design computes other losses than ours.")


if __name__ == "__main__":
    main()
