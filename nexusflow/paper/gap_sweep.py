"""What the domain gap of the embedded world costs: full supervision and baseline at several settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.paper.gap_figure import draw_gap_sweep
from nexusflow.paper.metrics import NUSCENES_METRICS, REGIONS, RunMetrics, load_run
from nexusflow.paper.published import published_cell
from nexusflow.paper.rows import TableContext
from nexusflow.paper.style import save_figure
from nexusflow.paper.tables import write_csv

__all__ = ["RATIO_METRICS", "GapPoint", "build_gap_sweep", "paper_ratios", "write_gap_sweep"]

RATIO_METRICS = ("AMOTA", "Lanes")


@dataclass(frozen=True)
class GapPoint:
    """Two runs at one setting of the dial.

    Args:
        gap: domain gap of the embedded world, 0 to 1.
        full_run: name of the run with all labels.
        baseline_run: name of the run with the partition's labels only.
        full: its metrics.json files, one per seed; may be empty.
        baseline: likewise for the baseline.
    """

    gap: float
    full_run: str
    baseline_run: str
    full: tuple[Path, ...] = ()
    baseline: tuple[Path, ...] = ()


def paper_ratios() -> dict[str, float]:
    """Give the paper's baseline divided by its full supervision.

    Returns:
        Metric → ratio: 0.89 for AMOTA and 0.86 for Lanes.

    Source:
        Table 2 of the paper.
    """
    ratios = {}
    for metric in RATIO_METRICS:
        baseline = published_cell("table2", "Baseline (UniAD)", metric).value
        full = published_cell("table2", "Full supervision", metric).value
        assert baseline is not None and full is not None
        ratios[metric] = baseline / full
    return ratios


def _ratio(file: RunMetrics, full: RunMetrics | None, region: str, metric: str) -> float | None:
    """Divide the baseline's value by that of full supervision at the same seed, where both exist."""
    ours = file.value(region, metric)
    theirs = full.value(region, metric) if full is not None else None
    # A model that tracks nothing has AMOTA 0; nothing can be divided by that.
    return None if ours is None or not theirs or theirs <= 0 else ours / theirs


def _records(point: GapPoint, scale: str | None) -> list[dict[str, Any]]:
    full = load_run(point.full, point.full_run, scale, point.gap)
    by_seed = {file.seed: file for file in full}
    baseline = load_run(point.baseline, point.baseline_run, scale, point.gap)
    records = []
    for role, files in (("full", full), ("baseline", baseline)):
        for file in files:
            for region in REGIONS:
                values = {metric: file.value(region, metric) for metric in NUSCENES_METRICS}
                ratios = {
                    f"{metric} ratio": _ratio(file, by_seed.get(file.seed), region, metric)
                    if role == "baseline"
                    else None
                    for metric in RATIO_METRICS
                }
                head = {"gap": point.gap, "role": role, "run": file.run, "seed": file.seed}
                records.append(head | {"region": region} | values | ratios | {"sha256": file.sha256})
    return records


def build_gap_sweep(points: Sequence[GapPoint], scale: str | None = None) -> pd.DataFrame:
    """Gather the sweep.

    Args:
        points: settings of the dial with their files.
        scale: scale that all files must carry.

    Returns:
        One row per gap × role × seed × region, sorted by gap; "AMOTA ratio" and "Lanes ratio" are
        baseline / full at the same seed and stand in the baseline's rows.

    Raises:
        UserError: if a gap repeats or a file is malformed.
    """
    gaps = [point.gap for point in points]
    if len(set(gaps)) != len(gaps):
        raise UserError("config/paper.yaml: gap_sweep repeats a `gap`; name every setting once.")
    columns = ["gap", "role", "run", "seed", "region", *NUSCENES_METRICS]
    columns += [f"{metric} ratio" for metric in RATIO_METRICS] + ["sha256"]
    ordered = sorted(points, key=lambda point: point.gap)
    records = [record for point in ordered for record in _records(point, scale)]
    return pd.DataFrame.from_records(records, columns=columns)


def write_gap_sweep(
    points: Sequence[GapPoint],
    context: TableContext,
    csv_path: Path,
    figure_paths: Sequence[Path],
    unlabelled: tuple[str, str] = ("boston", "singapore"),
    dpi: int = 200,
    width_in: float = 12.0,
) -> pd.DataFrame:
    """Gather the sweep and write CSV and figure.

    Args:
        points: settings of the dial with their files.
        context: scale, data, seeds; its domain gap is the default, marked in the figure.
        csv_path: destination of the CSV.
        figure_paths: destinations of the figure, .png or .pdf.
        unlabelled: city without track labels and city without map labels in the partition.
        dpi: dots per inch of the PNG.
        width_in: width of the figure, inches.

    Returns:
        The table written to the CSV.

    Raises:
        UserError: if an input is malformed.
    """
    frame = build_gap_sweep(points, context.scale)
    write_csv(csv_path, frame)
    source = context.source(with_gap=False)
    figure = draw_gap_sweep(frame, paper_ratios(), context.domain_gap, unlabelled, source, width_in)
    save_figure(figure, figure_paths, dpi)
    return frame
