"""The fast tracking evaluator against the official devkit: equal numbers, and how many times as fast.

    python benchmarks/tracking_evaluation.py --rounds 3 --out tracking_evaluation.csv

A validation split of the embedded size, with predictions that err as trackers do. Compared are the devkit as
its own command line runs it, the devkit as this project runs it for the numbers that it reports (by class, in
one and in several processes), and the fast evaluator, with which thresholds are chosen. Each reads the files
and evaluates; the two are timed apart where they can be told apart. Every metric must agree to 1e-9, or the
benchmark ends with an error. Writes a table and a plot.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from records import conditions, load, version_of, write_table
from tracking_world import VERSION, make_world, write_predictions

from nexusflow.core.progress import track
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.evaluate import TOLERANCE
from nexusflow.evaluation.fast_tracking import evaluate_tracks
from nexusflow.evaluation.ground_truth import load_ground_truth
from nexusflow.evaluation.predictions import read_tracking
from nexusflow.evaluation.tracking import evaluate_tracking, resolve_class_range
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy

Metrics = Mapping[str, Any]  # "overall" → metric → value, "classes" → class → metric → value
RANGE_M = 25.0  # of the embedded scale


def devkit(root: Path) -> tuple[float, float, Metrics]:
    """The unmodified devkit: seconds of reading and of evaluating, and its metrics."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking.evaluate import TrackingEval

    config = config_factory("tracking_nips_2019")
    config.class_range = resolve_class_range(RANGE_M)
    files = (str(root / "tracking.json"), "val", str(root / "out"), VERSION, str(root / "world"))
    start = time.perf_counter()
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):  # its bars
        warnings.simplefilter("ignore")  # means of nothing
        evaluation = TrackingEval(config, *files, verbose=False)
        middle = time.perf_counter()
        metrics, _ = evaluation.evaluate()
        end = time.perf_counter()
        found = metrics.serialize()
    names = list(found["label_metrics"])
    classes = {c: {name: found["label_metrics"][name][c] for name in names} for c in TRACKING_CLASSES}
    return (
        middle - start,
        end - middle,
        {"overall": {name: found[name] for name in names}, "classes": classes},
    )


def by_class(root: Path, workers: int) -> tuple[float, float, Metrics]:
    """The devkit as `nexusflow evaluate` runs it; all seconds count as evaluating."""
    start = time.perf_counter()
    found = evaluate_tracking(root / "tracking.json", root / "world", VERSION, "val", RANGE_M, workers)
    return 0.0, time.perf_counter() - start, found


def fast(root: Path) -> tuple[float, float, Metrics]:
    """The fast evaluator, from the same files."""
    start = time.perf_counter()
    ranges = resolve_class_range(RANGE_M)
    truth = load_ground_truth(root / "world", VERSION)
    predicted = truth.submission_tracks(
        read_tracking(root / "tracking.json", truth.timeline.sample_tokens), ranges
    )
    true = truth.within_range(truth.tracks, ranges)
    middle = time.perf_counter()
    scores = evaluate_tracks(true, predicted, truth.timeline)
    end = time.perf_counter()
    return middle - start, end - middle, {"overall": scores.overall, "classes": scores.classes}


def largest_difference(found: Metrics, official: Metrics) -> float:
    """Over all metrics that `found` has, of all classes and overall; nan agrees with nan."""
    pairs = [(found["overall"], official["overall"])]
    pairs += [(found["classes"][name], official["classes"][name]) for name in TRACKING_CLASSES]
    differences = [
        0.0 if math.isnan(ours[key]) and math.isnan(theirs[key]) else abs(ours[key] - theirs[key])
        for ours, theirs in pairs
        for key in ours
    ]
    return float(np.max(differences))  # nan, where only one of the two is nan, wins


def measure(root: Path, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """All take turns; rows of medians and of ratios to the devkit."""
    calls: dict[str, Callable[[], tuple[float, float, Metrics]]] = {
        "devkit": partial(devkit, root),
        **{f"devkit by class, processes: {n}": partial(by_class, root, n) for n in arguments.workers},
        "fast": partial(fast, root),
    }
    fast(root)  # imports
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    official: Metrics = {}
    differences = dict.fromkeys(calls, 0.0)
    for _ in track(range(arguments.rounds), "rounds", total=arguments.rounds):
        for name, call in calls.items():
            reading, evaluating, found = call()
            official = official or found
            times[name].append((reading, evaluating))
            differences[name] = max(differences[name], largest_difference(found, official))
    totals = {name: median(a + b for a, b in values) for name, values in times.items()}
    evaluations = {name: median(b for _, b in values) for name, values in times.items()}
    return [
        {
            "evaluator": name,
            "reading s": round(median(a for a, _ in times[name]), 3),
            "evaluating s": round(evaluations[name], 3),
            "total s": round(totals[name], 3),
            "times as fast, evaluating": round(evaluations["devkit"] / evaluations[name], 2),
            "times as fast, total": round(totals["devkit"] / totals[name], 2),
            "largest difference": differences[name],
            "scenes": arguments.scenes,
            "key frames of each": arguments.key_frames,
            "rounds": arguments.rounds,
            **{f"{library} version": version_of(library) for library in ("nuscenes-devkit", "motmetrics")},
            "load": load(),
        }
        for name in calls
    ]


def draw(rows: list[dict[str, Any]], path: Path, source: str) -> None:
    """Bars of seconds, reading before evaluating; labels tell how many times as fast as the devkit."""
    names = [row["evaluator"] for row in rows][::-1]
    reading, evaluating = ([row[f"{part} s"] for row in rows][::-1] for part in ("reading", "evaluating"))
    with paper_style():
        figure = new_figure(6.4, 2.8)
        axis = figure.subplots()
        axis.barh(names, reading, color="0.75", label="reading")
        bars = axis.barh(names, evaluating, left=reading, label="evaluating")
        axis.bar_label(bars, [f"{row['times as fast, total']:.1f}×" for row in rows][::-1], padding=3)
        axis.set(xlabel="seconds")
        axis.margins(x=0.12)
        axis.legend(frameon=False)
        tidy(axis)
        heading(figure, "Evaluation of tracks", source)
        save_figure(figure, [path])


def main() -> None:
    """Measure, compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=48, help="validation scenes (default: 48)")
    parser.add_argument("--key-frames", type=int, default=20, help="frames of each (default: 20)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument(
        "--workers", type=int, nargs="*", default=[1, 2], help="processes for the devkit by class"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the predictions' errors")
    parser.add_argument("--out", type=Path, default=Path("tracking_evaluation.csv"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        truth = make_world(root / "world", arguments.scenes, arguments.key_frames)
        write_predictions(truth, root / "tracking.json", arguments.seed)
        frames, boxes = len(truth.timeline.sample_tokens), len(truth.tracks)
        print(f"{arguments.scenes} scenes, {frames} key frames, {boxes} true boxes")
        rows = measure(root, arguments)
    write_table(rows, arguments.out)
    about = conditions(["nuscenes-devkit", "motmetrics"])
    draw(rows, arguments.out.with_suffix(".png"), f"{frames} key frames, {boxes} true boxes; {about}")
    if not all(float(str(row["largest difference"])) <= TOLERANCE for row in rows):
        raise SystemExit(f"Metrics differ by more than {TOLERANCE}.")


if __name__ == "__main__":
    main()
