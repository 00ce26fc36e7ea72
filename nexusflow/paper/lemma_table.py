"""Lemma 1 in numbers: one line per run, pair of tasks and reading of L, as CSV, Markdown, figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nexusflow.core.files import sha256_file, write_text
from nexusflow.paper.analysis_files import AnalysedRun, AnalysisContext
from nexusflow.paper.lemma_data import LOSSES, READINGS, SUITES, LemmaPair, factor_text, read_lemma
from nexusflow.paper.lemma_figure import draw_lemma
from nexusflow.paper.style import save_figure
from nexusflow.paper.tables import markdown_grid, write_csv

__all__ = ["lemma_frame", "lemma_markdown", "write_lemma"]


def _records(pair: LemmaPair, context: AnalysisContext) -> list[dict[str, Any]]:
    item = pair.analysis.item
    return [
        {
            "suite": item.suite,
            "run": item.run,
            "method": item.label,
            "seed": context.seed,
            "tasks": f"{pair.tasks[0]}-{pair.tasks[1]}",
            "loss": pair.loss,
            "reduction": pair.reduction,
            "factor": pair.factor,
            "delta": pair.delta,
            "reading": key,
            "L": side.lipschitz,
            "share": side.share,
            "vacuous": side.vacuous,
            "median left": float(np.median(pair.left_N)),
            "median right": None if side.vacuous else float(np.median(side.right_N)),
            "samples": len(pair.left_N),
            "scale": context.scale,
            "inputs sha256": sha256_file(pair.analysis.path)[:16],
        }
        for key, side in pair.sides.items()
    ]


def lemma_frame(pairs: Sequence[LemmaPair], context: AnalysisContext) -> pd.DataFrame:
    """Lay out what Lemma 1 says.

    Args:
        pairs: pairs of tasks of all runs.
        context: scale, data and seed.

    Returns:
        One line per pair and reading of L; sides and delta in units of h', L and factor without unit, `L` and
        `delta` empty where infinite.
    """
    return pd.DataFrame.from_records([record for pair in pairs for record in _records(pair, context)])


def _cell(value: Any) -> str:
    return "∞" if value is None or pd.isna(value) else f"{value:.3g}"


def lemma_markdown(
    pairs: Sequence[LemmaPair], frame: pd.DataFrame, context: AnalysisContext, title: str
) -> str:
    """Write the table for people.

    Args:
        pairs: pairs of tasks of all runs.
        frame: their `lemma_frame`.
        context: scale, data and seed.
        title: heading.

    Returns:
        Markdown.
    """
    factors = [factor_text(pair) for pair in pairs for _ in pair.sides]
    lines = [
        [
            f"{SUITES.get(record['suite'], record['suite'])}, {record['method']}",
            record["tasks"],
            READINGS[record["reading"]],
            _cell(record["L"]),
            _cell(record["delta"]),
            f"{factor} ({LOSSES.get(record['loss'], record['loss'])})",
            "says nothing" if record["vacuous"] else f"{record['share']:.1%}",
            _cell(record["median left"]),
            _cell(record["median right"]),
        ]
        for record, factor in zip(frame.to_dict("records"), factors, strict=True)
    ]
    header = ["Run", "tasks", "L read as", "L", "δ", "factor", "holds for", "median left", "median right"]
    return (
        f"# {title}\n\n{context.source([pair.analysis for pair in pairs])}.\n\n"
        "‖h′₁ − h′₂‖ ≤ L · factor · √loss + δ, for every sample and two tasks. The paper assumes L and δ "
        "and measures neither. δ: largest distance between the two flows' inverses of one latent. Factor: "
        "what times √loss of two tasks is the distance of their latents; the paper's proof has 1, which "
        "fits the pair loss, while the centre loss needs √2. L: no affine coupling has a finite one on the "
        "whole space, so it is read on the segments between the two latents of a sample: an upper bound "
        "from weights and clamp, which must hold; the largest expansion at the latents, which may be too "
        "small between them; the largest ratio of distances, the smallest L that the proof can use.\n\n"
        + markdown_grid(header, lines, left=3)
    )


def write_lemma(
    runs: Sequence[AnalysedRun],
    context: AnalysisContext,
    csv_path: Path,
    markdown_path: Path,
    figure_paths: Sequence[Path],
    title: str,
    dpi: int = 200,
    width_in: float = 12.0,
) -> None:
    """Write Lemma 1 as table and figure.

    Args:
        runs: runs with their files of `nexusflow analyse lemma`.
        context: scale, data and seed.
        csv_path: destination of the CSV.
        markdown_path: destination of the Markdown.
        figure_paths: destinations of the figure, .png or .pdf.
        title: heading of both.
        dpi: dots per inch of the PNG.
        width_in: width of the figure, inches.

    Raises:
        UserError: naming file and key if an input is missing, malformed or of another run.
    """
    pairs = read_lemma(runs, context)
    frame = lemma_frame(pairs, context)
    write_csv(csv_path, frame)
    write_text(markdown_path, lemma_markdown(pairs, frame, context, f"{title} (seed {context.seed})"))
    save_figure(draw_lemma(pairs, context, title, width_in), figure_paths, dpi)
