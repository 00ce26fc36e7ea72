"""Time of our coupling stacks against those of other libraries, as far as these are installed.

    pip install FrEIA nflows normflows zuko
    python benchmarks/coupling_stack.py --out coupling_stack.csv

Same width, depth and hidden size, log-determinant included. With several tasks the others run once per task
and ours run as one batched product, as in training. All libraries take turns in every round; times are
medians over the rounds, ratios are of medians of one run. Writes a table and beside it a plot.

Legend: N tasks, B batch, D dimensions.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import NamedTuple

import seaborn
import torch
from torch import Tensor, nn

from nexusflow.alignment import CouplingStack
from nexusflow.alignment.batched import BatchPlan
from nexusflow.core.files import write_text
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy

OPERATIONS = ("forward", "forward+backward", "inverse")


class Contender(NamedTuple):
    """A library's stacks: parameters, and what runs all tasks forward or back."""

    name: str
    parameters: list[nn.Parameter]
    forward: Callable[[Tensor], list[tuple[Tensor, Tensor]]]
    inverse: Callable[[Tensor], list[Tensor]]


def network(inputs: int, outputs: int, hidden: int) -> nn.Sequential:
    """The network of s and t, the same for every library that lets one choose it."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def ours(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """All tasks in one product; the inverse, which training never needs, task by task."""
    flows = nn.ModuleList(CouplingStack(dim, depth, hidden) for _ in range(tasks))
    plan = BatchPlan([nn.Identity() for _ in flows], list(flows))

    def forward(x_NBD: Tensor) -> list[tuple[Tensor, Tensor]]:
        _, z_NBD, log_det_NB = plan.apply(x_NBD)
        return [(z_NBD, log_det_NB)]

    return Contender(
        "nexusflow",
        list(flows.parameters()),
        forward,
        lambda z_NBD: [flow.inverse(z_BD) for flow, z_BD in zip(flows, z_NBD, strict=True)],  # type: ignore[operator]
    )


def per_task(
    name: str,
    modules: list[nn.Module],
    forward: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]],
    inverse: Callable[[nn.Module, Tensor], Tensor],
) -> Contender:
    """A library that runs once per task."""
    return Contender(
        name,
        [parameter for module in modules for parameter in module.parameters()],
        lambda x_NBD: [forward(module, x_BD) for module, x_BD in zip(modules, x_NBD, strict=True)],
        lambda z_NBD: [inverse(module, z_BD) for module, z_BD in zip(modules, z_NBD, strict=True)],
    )


def freia(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """FrEIA: one-sided couplings with permutations between them."""
    from FrEIA.framework import SequenceINN
    from FrEIA.modules import AffineCouplingOneSided, PermuteRandom

    def stack() -> nn.Module:
        sequence = SequenceINN(dim)
        for index in range(depth):
            if index:
                sequence.append(PermuteRandom, seed=index)
            sequence.append(AffineCouplingOneSided, subnet_constructor=lambda a, b: network(a, b, hidden))
        return sequence

    modules = [stack() for _ in range(tasks)]
    return per_task("FrEIA", modules, lambda m, x: m(x), lambda m, z: m(z, rev=True)[0])


def nflows(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """nflows: affine couplings with alternating masks."""
    from nflows.transforms import AffineCouplingTransform, CompositeTransform

    class Network(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.network = network(inputs, outputs, hidden)

        def forward(self, x_BD: Tensor, context: Tensor | None = None) -> Tensor:
            return self.network(x_BD)

    half_D = (torch.arange(dim) >= dim // 2).long()
    modules: list[nn.Module] = [
        CompositeTransform(
            [AffineCouplingTransform(half_D if index % 2 else 1 - half_D, Network) for index in range(depth)]
        )
        for _ in range(tasks)
    ]
    return per_task("nflows", modules, lambda m, x: m(x), lambda m, z: m.inverse(z)[0])  # type: ignore[operator]


def normflows(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """normflows: affine coupling blocks with swapped halves."""
    import normflows as nf

    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parts: list[nn.Module] = []
            for _ in range(depth):
                net = nf.nets.MLP([dim // 2, hidden, dim])
                parts += [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(dim, mode="swap")]
            self.parts = nn.ModuleList(parts)

        def forward(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
            log_det_B = x_BD.new_zeros(len(x_BD))
            for part in self.parts:
                x_BD, change_B = part(x_BD)
                log_det_B = log_det_B + change_B
            return x_BD, log_det_B

        def inverse(self, z_BD: Tensor) -> Tensor:
            for part in reversed(list(self.parts)):
                z_BD, _ = part.inverse(z_BD)  # type: ignore[operator]
            return z_BD

    modules: list[nn.Module] = [Stack() for _ in range(tasks)]
    return per_task("normflows", modules, lambda m, x: m(x), lambda m, z: m.inverse(z))  # type: ignore[operator]


def zuko(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """zuko: RealNVP with alternating masks."""
    from zuko.flows import RealNVP

    modules: list[nn.Module] = [
        RealNVP(dim, transforms=depth, hidden_features=(hidden,)) for _ in range(tasks)
    ]
    return per_task(
        "zuko", modules, lambda m, x: m().transform.call_and_ladj(x), lambda m, z: m().transform.inv(z)
    )


def contenders(tasks: int, dim: int, depth: int, hidden: int) -> Iterator[Contender]:
    """Ours, then every library that can be imported."""
    for build in (ours, freia, nflows, normflows, zuko):
        torch.manual_seed(0)
        try:
            yield build(tasks, dim, depth, hidden)
        except ImportError as error:
            print(f"{build.__name__} is left out: {error}")


def seconds(contender: Contender, operation: str, x_NBD: Tensor) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    if operation == "inverse":
        with torch.no_grad():
            contender.inverse(x_NBD)
    elif operation == "forward":
        with torch.no_grad():
            contender.forward(x_NBD)
    else:
        outputs = contender.forward(x_NBD)
        torch.stack([z.square().sum() + log_det.sum() for z, log_det in outputs]).sum().backward()
        for parameter in contender.parameters:
            parameter.grad = None
    return time.perf_counter() - start


def measure(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Rows of the table: every library, number of tasks, batch and operation."""
    rows: list[dict[str, object]] = []
    for tasks in arguments.tasks:
        group = list(contenders(tasks, arguments.dim, arguments.depth, arguments.hidden))
        for batch in arguments.batches:
            x_NBD = torch.randn(tasks, batch, arguments.dim).requires_grad_()
            for operation in OPERATIONS:
                for contender in group:  # warm-up, not counted
                    seconds(contender, operation, x_NBD)
                rounds = [[seconds(c, operation, x_NBD) for c in group] for _ in range(arguments.rounds)]
                medians = [1e3 * median(times) for times in zip(*rounds, strict=True)]
                for contender, milliseconds in zip(group, medians, strict=True):
                    rows.append(
                        {
                            "tasks": tasks,
                            "batch": batch,
                            "operation": operation,
                            "library": contender.name,
                            "version": version_of(contender.name),
                            "median_ms": round(milliseconds, 4),
                            "times_ours": round(milliseconds / medians[0], 3),
                        }
                    )
    return rows


def version_of(library: str) -> str:
    """The installed version; 'source' where there is none."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "source"


def draw(rows: list[dict[str, object]], path: Path, source: str) -> None:
    """Time of forward and backward over ours, against the batch, a panel per number of tasks."""
    chosen = [row for row in rows if row["operation"] == "forward+backward"]
    counts = sorted({int(str(row["tasks"])) for row in chosen})
    names = list(dict.fromkeys(str(row["library"]) for row in chosen))
    colours = seaborn.color_palette("colorblind", len(names))
    with paper_style():
        figure = new_figure(4 * len(counts), 4.2)
        axes = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
        for axis, tasks in zip(axes, counts, strict=True):
            for name, colour, marker in zip(names, colours, "osD^v", strict=False):
                points = [row for row in chosen if row["tasks"] == tasks and row["library"] == name]
                x, y = ([row[key] for row in points] for key in ("batch", "times_ours"))
                axis.plot(x, y, color=colour, marker=marker, label=name)
            axis.set(xscale="log", title=f"{tasks} task{'s' * (tasks > 1)}", xlabel="samples per batch")
            tidy(axis)
        axes[0].set(ylim=(0, None), ylabel="time over ours")
        axes[-1].legend(frameon=False)
        heading(figure, "Coupling stacks: forward and backward", source)
        save_figure(figure, [path])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64, 512, 4096])
    parser.add_argument("--rounds", type=int, default=21, help="turns of each library (default: 21)")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("coupling_stack.csv"))
    arguments = parser.parse_args()
    rows = measure(arguments)
    for row in rows:
        print("  ".join(str(value) for value in row.values()))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    write_text(arguments.out, text.getvalue())
    title = (
        f"D {arguments.dim}, depth {arguments.depth}, hidden {arguments.hidden}, torch {torch.__version__}, "
        f"threads: {torch.get_num_threads()}; medians of {arguments.rounds}"
    )
    draw(rows, arguments.out.with_suffix(".png"), title)


if __name__ == "__main__":
    main()
