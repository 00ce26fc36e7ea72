"""Time of the MMD permutation test against hyppo, POT and plain code, as far as these are installed.

    pip install -r benchmarks/requirements.txt
    python benchmarks/mmd.py --out mmd.csv

Five kernels, V-statistic, all in float64. `naive` computes the kernel matrix once and looks it up for every
permutation, `recomputing` computes it anew for every permutation; both get our permutations, and the
benchmark stops if a statistic differs by more than 1e-10. hyppo tests with one Gaussian kernel, a fifth of
the kernels. POT has distances and no test: its row is the kernel matrix from them, then as `naive`. Who would
take longer than the budget runs few permutations only, and its time is extrapolated from two such runs; the
table says so. Times are medians of rounds in which all take turns. Writes a table and a plot.

Letters: N points per sample, J points of both together, D dimensions, P permutations.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import seaborn
from scipy.spatial.distance import cdist
from tables import version_of, write_rows

from nexusflow.analysis.mmd import mean_squared_distance
from nexusflow.analysis.permutation import permutation_test
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy

FACTORS = (0.25, 0.5, 1, 2, 4)
FEW = (2, 6)  # permutations that an extrapolation starts from
Row = dict[str, object]
Run = Callable[[np.ndarray, np.ndarray, int], np.ndarray | None]


def kernels(squared: np.ndarray, bandwidth: float) -> np.ndarray:
    """Sum of five Gaussian kernels as its formula reads."""
    return np.sum([np.exp(-squared / (bandwidth * factor)) for factor in FACTORS], axis=0)


def permuted(size: int, permutations: int) -> np.ndarray:
    """Which points belong to the first sample, drawn as `permutation_test` draws them, (P, J)."""
    first = np.repeat((np.arange(2 * size) < size)[:, None], permutations, 1)
    return np.random.Generator(np.random.PCG64([0, 0])).permuted(first, axis=0).T


def ours(x_ND: np.ndarray, y_ND: np.ndarray, permutations: int) -> np.ndarray:
    """The project's test."""
    return permutation_test(x_ND, y_ND, seed=0, permutations=permutations).null_P


def look_up(kernel_JJ: np.ndarray, permutations: int) -> np.ndarray:
    """Statistics of all permutations by the blocks of one kernel matrix."""
    values = []
    for first in permuted(len(kernel_JJ) // 2, permutations):
        a, b = np.flatnonzero(first), np.flatnonzero(~first)
        blocks = (kernel_JJ[np.ix_(*pair)].mean() for pair in ((a, a), (b, b), (a, b)))
        values.append(next(blocks) + next(blocks) - 2 * next(blocks))
    return np.array(values)


def naive(x_ND: np.ndarray, y_ND: np.ndarray, permutations: int) -> np.ndarray:
    """One kernel matrix, looked up for every permutation."""
    joint_JD = np.concatenate([x_ND, y_ND])
    squared_JJ = cdist(joint_JD, joint_JD, "sqeuclidean")
    return look_up(kernels(squared_JJ, mean_squared_distance(joint_JD)), permutations)


def recomputing(x_ND: np.ndarray, y_ND: np.ndarray, permutations: int) -> np.ndarray:
    """All kernels anew for every permutation."""
    joint_JD = np.concatenate([x_ND, y_ND])
    bandwidth = mean_squared_distance(joint_JD)
    values = []
    for first in permuted(len(x_ND), permutations):
        a, b = joint_JD[first], joint_JD[~first]
        means = [kernels(cdist(*pair, "sqeuclidean"), bandwidth).mean() for pair in ((a, a), (b, b), (a, b))]
        values.append(means[0] + means[1] - 2 * means[2])
    return np.array(values)


def pot(x_ND: np.ndarray, y_ND: np.ndarray, permutations: int) -> np.ndarray:
    """The kernel matrix from POT's distances, looked up for every permutation."""
    import ot

    joint_JD = np.concatenate([x_ND, y_ND])
    squared_JJ = ot.dist(joint_JD, metric="sqeuclidean")
    return look_up(kernels(squared_JJ, mean_squared_distance(joint_JD)), permutations)


def hyppo(x_ND: np.ndarray, y_ND: np.ndarray, permutations: int) -> None:
    """hyppo's test, which draws permutations of its own and keeps no statistic of them."""
    from hyppo.ksample import MMD

    gamma = 1 / mean_squared_distance(np.concatenate([x_ND, y_ND]))
    test = MMD(compute_kernel="gaussian", bias=True, gamma=gamma).test
    test(  # type: ignore[call-arg]
        x_ND, y_ND, reps=permutations, workers=1, auto=False, random_state=0
    )


def contenders() -> Iterator[tuple[str, Run]]:
    """Ours, then whoever is installed."""
    yield "nexusflow", ours
    x_ND, y_ND = np.random.default_rng(0).normal(size=(2, 8, 2))
    for name, run in (("hyppo", hyppo), ("POT", pot), ("naive", naive), ("recomputing", recomputing)):
        try:
            run(x_ND, y_ND, 2)
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        yield name, run


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def check(group: dict[str, Run], x_ND: np.ndarray, y_ND: np.ndarray, permutations: int) -> float:
    """Largest difference of anybody's statistics to ours; stops the benchmark if it is one."""
    expected_P = ours(x_ND, y_ND, permutations)
    others = [found for run in group.values() if (found := run(x_ND, y_ND, permutations)) is not None]
    difference = max(float(np.abs(found_P - expected_P).max()) for found_P in others)
    if difference > 1e-10:
        raise SystemExit(f"statistics differ by {difference:.1e} at {len(x_ND)} points")
    return difference


def expected_seconds(run: Run, x_ND: np.ndarray, y_ND: np.ndarray, permutations: int) -> float:
    """Time of all permutations, from two runs of few: what is done once, and what every permutation adds."""
    few, more = (seconds(partial(run, x_ND, y_ND, count)) for count in FEW)
    each = max((more - few) / (FEW[1] - FEW[0]), 0.0)
    return few + each * (permutations - FEW[0])


def measure_size(
    group: dict[str, Run], size: int, arguments: argparse.Namespace, known: dict[str, float]
) -> list[Row]:
    """Rows of one size; `known` is told how long everybody took."""
    x_ND, y_ND = np.random.default_rng(0).normal(size=(2, size, arguments.dimensions))
    count, budget = arguments.permutations, arguments.budget
    difference = check(group, x_ND, y_ND, 2) if size <= 2000 else None
    times: dict[str, list[float]] = {name: [] for name in group}
    extrapolated: dict[str, bool] = {}
    for _ in range(arguments.rounds):
        for name, run in group.items():
            if name not in extrapolated:
                extrapolated[name] = expected_seconds(run, x_ND, y_ND, count) > budget
            if extrapolated[name]:
                times[name].append(expected_seconds(run, x_ND, y_ND, count))
            else:
                times[name].append(seconds(partial(run, x_ND, y_ND, count)))
    medians = {name: median(found) for name, found in times.items()}
    known.update(medians)
    rows: list[Row] = [
        {
            "points_per_sample": size,
            "dimensions": arguments.dimensions,
            "permutations": count,
            "library": name,
            "version": version_of(name),
            "median_s": round(found, 4),
            "times_ours": round(found / medians["nexusflow"], 2),
            "extrapolated": "yes" if extrapolated[name] else "no",
            "largest_difference": "" if difference is None else f"{difference:.1e}",
            "cores": len(os.sched_getaffinity(0)),
            "numpy": np.__version__,
        }
        for name, found in medians.items()
    ]
    for row in rows:
        print("  ".join(str(value) for value in row.values()), flush=True)
    return rows


def draw(rows: list[Row], path: Path, source: str) -> None:
    """Seconds against points, both logarithmic; hollow where extrapolated."""
    names = list(dict.fromkeys(str(row["library"]) for row in rows))
    with paper_style():
        figure = new_figure(7.4, 4.2)
        axis = figure.subplots()
        for name, colour, marker in zip(names, seaborn.color_palette("colorblind"), "osD^v", strict=False):
            points = [row for row in rows if row["library"] == name]
            x, y = ([float(str(row[key])) for row in points] for key in ("points_per_sample", "median_s"))
            axis.plot(x, y, color=colour, label=name)
            for place_x, place_y, row in zip(x, y, points, strict=True):
                face = "white" if row["extrapolated"] == "yes" else colour
                axis.plot(place_x, place_y, color=colour, marker=marker, markerfacecolor=face)
        axis.set(xscale="log", yscale="log", xlabel="points per sample", ylabel="seconds")
        sizes = sorted({int(str(row["points_per_sample"])) for row in rows})
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
        axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        tidy(axis)
        heading(figure, "MMD permutation test (hollow: extrapolated)", source)
        save_figure(figure, [path])


def main() -> None:
    """Measure, compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = [500, 1000, 2000, 5000, 10_000, 20_000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="points per sample")
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument("--budget", type=float, default=60, help="seconds of a run that is not extrapolated")
    parser.add_argument("--out", type=Path, default=Path("mmd.csv"))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", "The number of replications is low")  # hyppo's, of extrapolations
    group = dict(contenders())
    rows: list[Row] = []
    known: dict[str, float] = {}
    for size in arguments.sizes:
        # Ours is measured at every size; a rival only while it may end.
        rows += measure_size(group, size, arguments, known)
        write_rows(arguments.out, rows)
        group = {n: run for n, run in group.items() if n == "nexusflow" or known[n] <= 4 * arguments.budget}
    title = (
        f"{arguments.dimensions} dimensions, {arguments.permutations} permutations, float64, "
        f"cores: {len(os.sched_getaffinity(0))}; medians of {arguments.rounds}"
    )
    draw(rows, arguments.out.with_suffix(".png"), title)


if __name__ == "__main__":
    main()
