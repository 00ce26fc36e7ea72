"""What the alignment changed: differences between runs, paired by training seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_json, write_text
from nexusflow.paper.comparison_figure import draw_comparison
from nexusflow.paper.metrics import NUSCENES_METRICS, REGIONS, RunMetrics, load_run
from nexusflow.paper.paired import paired_interval
from nexusflow.paper.published import metric_info, metric_label
from nexusflow.paper.rows import TableContext, mean_and_std
from nexusflow.paper.style import REGION_LABELS, save_figure
from nexusflow.paper.tables import markdown_grid, write_csv

__all__ = ["LabelledRun", "compare_runs", "comparison_markdown", "write_comparison"]

_EMPTY = "–"


@dataclass(frozen=True)
class LabelledRun:
    """A run, the name it goes by and its files.

    Args:
        run: run name.
        label: shown name.
        metrics: one metrics.json per seed; may be empty.
    """

    run: str
    label: str
    metrics: tuple[Path, ...] = ()


def _record(
    pairs: Sequence[tuple[RunMetrics, RunMetrics]], region: str, metric: str, confidence: float
) -> dict[str, Any]:
    """Summarise one metric in one region."""
    values = [
        (first.seed, ours, theirs)
        for first, second in pairs
        if (ours := first.value(region, metric)) is not None
        and (theirs := second.value(region, metric)) is not None
    ]
    differences = [ours - theirs for _, ours, theirs in values]
    info = metric_info(metric)
    sign = 1.0 if info.direction == "up" else -1.0
    mean, std = mean_and_std(differences)
    interval = paired_interval(differences, confidence)
    return {
        "region": region,
        "metric": metric,
        "better": info.direction,
        "n": len(values),
        "seeds": " ".join(str(seed) for seed, _, _ in values),
        "treatment mean": mean_and_std([ours for _, ours, _ in values])[0],
        "reference mean": mean_and_std([theirs for _, _, theirs in values])[0],
        "difference mean": mean,
        "difference std": std,
        "interval low": interval[0] if interval else None,
        "interval high": interval[1] if interval else None,
        "seeds better": sum(sign * difference > 0 for difference in differences),
        "seeds equal": sum(difference == 0 for difference in differences),
        "seeds worse": sum(sign * difference < 0 for difference in differences),
        "differences": " ".join(f"{difference:.6g}" for difference in differences),
    }


def _check_labels(treatments: Sequence[LabelledRun], references: Sequence[LabelledRun]) -> None:
    both = {run.run for run in treatments} & {run.run for run in references}
    if both:
        raise UserError(
            f"config/paper.yaml: comparison names {', '.join(sorted(both))} as treatment and as reference; "
            "remove one of the two."
        )


def compare_runs(
    treatments: Sequence[LabelledRun],
    references: Sequence[LabelledRun],
    scale: str | None = None,
    confidence: float = 0.95,
    domain_gap: float | None = None,
) -> tuple[pd.DataFrame, dict[tuple[str, int], str]]:
    """Compare every treatment with every reference, seed by seed.

    Args:
        treatments: runs whose effect is asked for.
        references: runs to compare with.
        scale: scale that all files must carry.
        confidence: level of the interval.
        domain_gap: domain gap that all files must carry.

    Returns:
        One row per treatment × reference × region × metric (differences are treatment − reference; only
        seeds that both runs have), and the sha256 of every input by (run, seed).

    Raises:
        UserError: naming the file and key if an input is malformed.
    """
    _check_labels(treatments, references)
    loaded: Mapping[str, list[RunMetrics]] = {
        run.run: load_run(run.metrics, run.run, scale, domain_gap) for run in (*treatments, *references)
    }
    records = []
    for treatment in treatments:
        for reference in references:
            by_seed = {file.seed: file for file in loaded[reference.run]}
            pairs = [(file, by_seed[file.seed]) for file in loaded[treatment.run] if file.seed in by_seed]
            names = {"treatment": treatment.run, "reference": reference.run}
            labels = {"treatment label": treatment.label, "reference label": reference.label}
            records += [
                names | labels | _record(pairs, region, metric, confidence)
                for region in REGIONS
                for metric in NUSCENES_METRICS
            ]
    hashes = {(file.run, file.seed): file.sha256 for files in loaded.values() for file in files}
    return pd.DataFrame.from_records(records), hashes


def _signed(value: Any, metric: str) -> str:
    if pd.isna(value):
        return _EMPTY
    decimals = 3 if metric in ("AMOTA", "AMOTP", "Recall") else 1
    return f"{value:+.{decimals}f}".replace("-", "−")


def _lines(part: pd.DataFrame) -> list[list[str]]:
    lines = []
    for record in part.to_dict("records"):
        metric = str(record["metric"])
        interval = _EMPTY
        if not pd.isna(record["interval low"]):
            interval = (
                f"{_signed(record['interval low'], metric)} … {_signed(record['interval high'], metric)}"
            )
        spread = _signed(record["difference std"], metric).lstrip("+")
        counts = f"{record['seeds better']} / {record['seeds equal']} / {record['seeds worse']}"
        region = REGION_LABELS[str(record["region"])]
        difference = _signed(record["difference mean"], metric)
        count = str(record["n"]) if record["n"] else "not yet run"
        lines.append([region, metric_label(metric), difference, spread, interval, counts, count])
    return lines


def comparison_markdown(
    frame: pd.DataFrame, context: TableContext, inputs_sha256: str, confidence: float = 0.95
) -> str:
    """Write the comparison for people.

    Args:
        frame: result of `compare_runs`.
        context: scale, data, seeds.
        inputs_sha256: hash over all inputs.
        confidence: level of the interval.

    Returns:
        Markdown: a caption and one grid per pair of runs.
    """
    gap = "" if context.domain_gap is None else f", domain gap {context.domain_gap:g}"
    parts = [
        "# What the alignment changed\n\n"
        f"Scale `{context.scale}`; data: {context.data}{gap}; {context.start}. "
        "Differences are paired by training seed: each "
        f"run against the other run with the same seed. Interval: Student's t, {confidence:.0%}, given from "
        "three seeds on; it covers the variation between training seeds, not between worlds, and is not "
        "corrected for the number of metrics. Seeds better / equal / worse take the metric's direction into "
        f"account.\n\nInputs: sha256 over all metrics files `{inputs_sha256[:16]}`.\n"
    ]
    header = ["Region", "Metric", "Difference", "std", "Interval", "better / equal / worse", "seeds"]
    for labels, part in frame.groupby(["treatment label", "reference label"], sort=False):
        parts.append(f"\n## {labels[0]} − {labels[1]}\n\n" + markdown_grid(header, _lines(part), left=2))
    return "".join(parts)


def write_comparison(
    treatments: Sequence[LabelledRun],
    references: Sequence[LabelledRun],
    context: TableContext,
    csv_path: Path,
    markdown_path: Path,
    figure_paths: Sequence[Path],
    confidence: float = 0.95,
    dpi: int = 200,
    width_in: float = 12.0,
) -> pd.DataFrame:
    """Compare runs and write CSV, Markdown and the dot plot.

    Args:
        treatments: runs whose effect is asked for; the figure shows the last of them that has results.
        references: runs to compare with.
        context: scale, data, seeds.
        csv_path: destination of the CSV.
        markdown_path: destination of the Markdown.
        figure_paths: destinations of the figure, .png or .pdf.
        confidence: level of the interval.
        dpi: dots per inch of the PNG.
        width_in: width of the figure, inches.

    Returns:
        The table written to the CSV.

    Raises:
        UserError: naming the file and key if an input is malformed.
    """
    frame, hashes = compare_runs(treatments, references, context.scale, confidence, context.domain_gap)
    digest = sha256_json([[run, seed, value] for (run, seed), value in sorted(hashes.items())])
    write_csv(csv_path, frame)
    write_text(markdown_path, comparison_markdown(frame, context, digest, confidence))
    figure = draw_comparison(frame, confidence, context.source(), width_in)
    save_figure(figure, figure_paths, dpi)
    return frame
