"""Time of our coupling stacks against those of other libraries, as far as these are installed.

    pip install -r benchmarks/requirements.txt
    python benchmarks/coupling_stack.py --out coupling_stack.csv

Same width, depth and hidden size, log-determinant included. With several tasks the others run once per task
and ours run as one batched product, as in training. All libraries take turns in every round; times are
medians over the rounds, ratios are of medians of one run. `bare products` are the matrix products alone, of
all tasks and layers, forward and back. Modes: float32; bf16 is autocast, under which ours stay in full
precision; compiled is torch.compile, which gets our modules task by task. Writes a table and a plot.

Legend: N tasks, B batch, D dimensions, H hidden units, C changed dimensions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import cast

import seaborn
import torch
from coupling_peers import Contender, contenders, equal_to_normflows
from tables import version_of, write_rows
from torch import Tensor

from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy

OPERATIONS = ("forward", "forward+backward", "inverse")
Row = dict[str, object]


def bare_products(tasks: int, dim: int, depth: int, hidden: int, batched: bool) -> Contender:
    """The products of weights with activations and gradients, in their order, and nothing else."""
    count, parts = (1, (tasks,)) if batched else (tasks, ())
    half = dim // 2
    layers = [
        [(torch.randn(*parts, hidden, half), torch.randn(*parts, dim, hidden)) for _ in range(depth)]
        for _ in range(count)
    ]

    def forward(x_NBD: Tensor, backward: bool = False) -> list[tuple[Tensor, Tensor]]:
        for x, weights in zip([x_NBD] if batched else x_NBD, layers, strict=True):
            output, saved = x, []
            for w1, w2 in weights:
                kept = output[..., :half]
                active = kept @ w1.mT
                output = active @ w2.mT
                saved.append((kept, active))
            if backward:
                for (w1, w2), (kept, active) in zip(weights[::-1], saved[::-1], strict=True):
                    _ = x.mT @ active
                    grad = x @ w2
                    _ = grad.mT @ kept
                    _ = grad @ w1
        return []

    return Contender("bare products", [], forward, forward)


@cache
def given(shape: torch.Size) -> Tensor:
    """The gradient of an output, the same for all; a loss would cost time that is no stack's."""
    return torch.randn(shape)


def work(contender: Contender, operation: str, x_NBD: Tensor) -> None:
    """Runs an operation once."""
    if operation == "inverse":
        with torch.no_grad():
            contender.inverse(x_NBD)
    elif operation == "forward" or contender.name == "bare products":
        with torch.no_grad():
            if operation == "forward":
                contender.forward(x_NBD)
            else:
                contender.forward(x_NBD, backward=True)  # type: ignore[call-arg]
    else:
        pairs = cast("list[tuple[Tensor, Tensor]]", contender.forward(x_NBD))
        outputs = [part for pair in pairs for part in pair]
        torch.autograd.backward(outputs, [given(part.shape) for part in outputs])
        x_NBD.grad = None
        for parameter in contender.parameters:
            parameter.grad = None


def seconds(call: Callable[[], None], repeats: int) -> float:
    """Mean wall time of a few calls in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def compiled(contender: Contender) -> Contender:
    """The same behind torch.compile, for any batch size."""
    forward, inverse = (torch.compile(f, dynamic=True) for f in (contender.forward, contender.inverse))
    return contender._replace(forward=forward, inverse=inverse)


def group_of(arguments: argparse.Namespace, tasks: int, mode: str) -> list[Contender]:
    """Who takes part: ours first, the floor last."""
    sizes = (tasks, arguments.dim, arguments.depth, arguments.hidden)
    group = list(contenders(*sizes, compiled=mode == "compiled"))
    if mode == "compiled":
        return [compiled(contender) for contender in group]
    if mode == "bf16":
        return [contender for contender in group if contender.name != "nexusflow, not packed"]
    return [*group, *(bare_products(*sizes, batched) for batched in (True, False))]


def ready(group: list[Contender], operation: str, x_NBD: Tensor) -> list[Contender]:
    """Who can do it at all; the first calls, not counted."""
    able = []
    for contender in group:
        try:
            for _ in range(3):
                work(contender, operation, x_NBD)
            able.append(contender)
        except Exception as error:  # what a compiler raises has no common type
            print(f"{contender.name} is left out of {operation}: {type(error).__name__}")
    return able


def measure(arguments: argparse.Namespace, mode: str, tasks: int) -> list[Row]:
    """Rows of the table of one mode and number of tasks."""
    rows: list[Row] = []
    group = group_of(arguments, tasks, mode)
    for batch in arguments.batches:
        torch.manual_seed(1)
        x_NBD = torch.randn(tasks, batch, arguments.dim).requires_grad_()
        repeats = max(1, arguments.repeated // batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bf16"):
            for operation in OPERATIONS:
                able = ready(group, operation, x_NBD)
                calls = [partial(work, contender, operation, x_NBD) for contender in able]
                turns = [[seconds(call, repeats) for call in calls] for _ in range(arguments.rounds)]
                found: dict[str, float] = {}
                for contender, times in zip(able, zip(*turns, strict=True), strict=True):
                    typical = 1e3 * median(times)
                    # The floor is the faster of two ways to multiply.
                    found[contender.name] = min(typical, found.get(contender.name, typical))
                rows += rows_of(found, mode, tasks, batch, operation)
                print_rows(rows[-len(found) :])
    return rows


def rows_of(found: dict[str, float], mode: str, tasks: int, batch: int, operation: str) -> list[Row]:
    """A row per library, with its time over ours."""
    return [
        {
            "mode": mode,
            "tasks": tasks,
            "batch": batch,
            "operation": operation,
            "library": name,
            "version": version_of("torch" if name == "bare products" else name.split(",")[0]),
            "median_ms": round(milliseconds, 4),
            "times_ours": round(milliseconds / found["nexusflow"], 3),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        for name, milliseconds in found.items()
    ]


def print_rows(rows: list[Row]) -> None:
    """One line per operation: ours in milliseconds, the others as multiples of it."""
    first = rows[0]
    others = "  ".join(f"{row['library']} {row['times_ours']}" for row in rows[1:])
    place = f"{first['mode']} tasks {first['tasks']} batch {first['batch']} {first['operation']}"
    print(f"{place}: {first['median_ms']} ms; {others}", flush=True)


def draw(rows: list[Row], path: Path, source: str) -> None:
    """Time over ours against the batch: a row of panels per operation, a column per number of tasks."""
    chosen = [row for row in rows if row["mode"] == "fp32"]
    counts = sorted({int(str(row["tasks"])) for row in chosen})
    names = [name for name in dict.fromkeys(str(row["library"]) for row in chosen) if name != "nexusflow"]
    colours = seaborn.color_palette("colorblind", len(names))
    with paper_style():
        figure = new_figure(3.6 * len(counts), 8.4)
        grid = figure.subplots(len(OPERATIONS), len(counts), sharex=True, sharey=True, squeeze=False)
        for axes, operation in zip(grid, OPERATIONS, strict=True):
            for axis, tasks in zip(axes, counts, strict=True):
                axis.axhline(1, color="black", linewidth=1, label="nexusflow")
                here = [row for row in chosen if (row["tasks"], row["operation"]) == (tasks, operation)]
                for name, colour, marker in zip(names, colours, "PosD^v", strict=False):
                    points = [row for row in here if row["library"] == name]
                    x, y = ([row[key] for row in points] for key in ("batch", "times_ours"))
                    line = ":" if name == "bare products" else "-"
                    axis.plot(x, y, color=colour, marker=marker, markersize=4, linestyle=line, label=name)
                axis.set(xscale="log", title=f"{operation}, {tasks} task{'s' * (tasks > 1)}")
                tidy(axis)
            axes[0].set(ylim=(0, None), ylabel="time over ours")
        for axis in grid[-1]:
            axis.set_xlabel("samples per batch")
        grid[0][-1].legend(frameon=False, fontsize="small")
        heading(figure, "Coupling stacks: above one is slower than ours", source)
        save_figure(figure, [path])


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modes", nargs="+", choices=("fp32", "bf16", "compiled"), default=["fp32", "bf16"])
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64, 512, 4096])
    parser.add_argument("--rounds", type=int, default=21, help="turns of each library (default: 21)")
    parser.add_argument("--repeated", type=int, default=64, help="samples of a turn, at least one call")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: torch's")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("coupling_stack.csv"))
    return parser.parse_args()


def main() -> None:
    """Check, measure, print, write."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    try:
        difference = equal_to_normflows(arguments.dim, arguments.depth, arguments.hidden)
    except ImportError:
        print("without normflows no results are compared")
    else:
        print(f"with equal weights normflows gives our numbers within {difference:.1e} (float64)")
        if difference > 1e-7:
            raise SystemExit("the results differ: times would compare different things")
    rows: list[Row] = []
    for mode in arguments.modes:
        for tasks in arguments.tasks:
            rows += measure(arguments, mode, tasks)
            write_rows(arguments.out, rows)
    title = (
        f"D {arguments.dim}, depth {arguments.depth}, hidden {arguments.hidden}, torch {torch.__version__}, "
        f"float32, threads: {torch.get_num_threads()}; medians of {arguments.rounds}"
    )
    if "fp32" in arguments.modes:
        draw(rows, arguments.out.with_suffix(".png"), title)


if __name__ == "__main__":
    main()
