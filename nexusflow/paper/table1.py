"""Table 1: MMD between the tasks' features in every reading, beside the paper's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file, write_text
from nexusflow.paper.method_markdown import EMPTY
from nexusflow.paper.published import published_cell
from nexusflow.paper.rows import mean_and_std
from nexusflow.paper.tables import markdown_grid, write_csv

__all__ = ["MMDRow", "build_table1", "table1_markdown", "write_table1"]

_PAPER_ROWS = {"nuscenes": "nuScenes", "nyuv2": "NYU-V2"}
_MEASURES = ("mmd2", "mmd2_std", "null_mmd2", "null_mmd2_std", "unbiased_mmd2", "p_value")
_FEATURES = {"h": "h, pooled in the branch", "embedding": "h′, embedding", "latent": "z, latent"}
_SETS = {
    "cross_domain": "each task in the domain that shows its labels (the paper's wording)",
    "same_frames": "all tasks on the same frames",
    "domain_gap": "one task in two domains",
}
_BANDWIDTHS = {"data": "bandwidth from the data", "fixed": "standardised, fixed bandwidth"}


@dataclass(frozen=True)
class MMDRow:
    """A run of Table 1 and its analysis files.

    Args:
        suite: suite name.
        run: run name.
        label: shown name.
        paper_column: column label in the paper, None for runs that only we have.
        files: one file of `nexusflow analyse mmd` per seed; empty if the run does not exist yet.
    """

    suite: str
    run: str
    label: str
    paper_column: str | None
    files: tuple[Path, ...] = ()


def _read(path: Path, row: MMDRow, scale: str) -> dict[str, Any]:
    content = read_json(path)
    for key, wanted in (("scale", scale), ("suite", row.suite), ("run", row.run)):
        if not isinstance(content, dict) or content.get(key) != wanted:
            raise UserError(f"{path}: key '{key}' must be {wanted}; analyse the run again.")
    for key in ("readings", "post_hoc", "subset_size"):
        if key not in content:
            raise UserError(f"{path} has no key '{key}'; analyse the run again.")
    return content


def _records(row: MMDRow, scale: str) -> list[dict[str, Any]]:
    """One record per reading, averaged over seeds."""
    contents = [_read(path, row, scale) for path in row.files]
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for content in contents:
        for reading in content["readings"]:
            key = (reading["features"], reading["sets"], reading["bandwidth"])
            found.setdefault(key, []).append(reading)
    cell = None
    if row.paper_column is not None:
        cell = published_cell("table1", _PAPER_ROWS[row.suite], row.paper_column)
    records = []
    for (features, sets, bandwidth), readings in found.items():
        means = {name: mean_and_std([reading[name] for reading in readings])[0] for name in _MEASURES}
        records.append(
            {
                "suite": row.suite,
                "run": row.run,
                "method": row.label,
                "features": features,
                "sets": sets,
                "bandwidth": bandwidth,
                **means,
                "mmd2 std over seeds": mean_and_std([reading["mmd2"] for reading in readings])[1],
                "paper": cell.printed if cell else None,
                "post hoc": contents[0]["post_hoc"],
                "subset size": contents[0]["subset_size"],
                "n": len(readings),
                "scale": scale,
                "inputs sha256": " ".join(sha256_file(path)[:16] for path in row.files),
            }
        )
    return records


def build_table1(rows: Sequence[MMDRow], scale: str) -> pd.DataFrame:
    """Gather the analyses of all runs.

    Args:
        rows: runs in order.
        scale: scale that the files must be of.

    Returns:
        One line per run and reading; every number is an MMD², without unit.

    Raises:
        UserError: if a file is malformed or of another run, or there is nothing to show.

    Source: Table 1 of the paper.
    """
    frame = pd.DataFrame.from_records([record for row in rows for record in _records(row, scale)])
    if frame.empty:
        raise UserError(f"No run of Table 1 has an analysis at the scale {scale}; analyse one first.")
    return frame


def _cell(record: pd.Series) -> str:
    text = f"{record['mmd2']:.2f} ± {record['mmd2_std']:.2f}"
    return text + " (post hoc)" if record["post hoc"] and record["features"] != "h" else text


def _grid(part: pd.DataFrame) -> str:
    lines = [
        [
            str(record["method"]),
            _cell(record),
            EMPTY if record["paper"] is None or pd.isna(record["paper"]) else f"[{record['paper']}]",
            f"{record['null_mmd2']:.2f} ± {record['null_mmd2_std']:.2f}",
            f"{record['unbiased_mmd2']:.3f}",
            f"{record['p_value']:.3f}",
        ]
        for _, record in part.iterrows()
    ]
    header = ["Method", "MMD² ↓", "paper", "two halves of one set", "unbiased, one kernel", "p"]
    return markdown_grid(header, lines)


def table1_markdown(frame: pd.DataFrame, title: str, source: str) -> str:
    """Write the table for people, one grid per suite and reading.

    Args:
        frame: result of `build_table1`.
        title: heading.
        source: scale, data and seeds.

    Returns:
        Markdown.
    """
    parts = [
        f"# {title}\n\n{source}.\n\n"
        "Sum of five Gaussian kernels, V-statistic, mean ± standard deviation over random subsets, "
        "averaged over pairs of tasks; the paper states neither features, sets, kernel nor estimator, "
        "so every reading has a grid of its own. Two readings of the paper's “Ref”: two halves of one "
        "set (a column), and full supervision (a row). Post hoc: the run has no surrogates; they were "
        "trained afterwards on its frozen features. p: permutation test, the largest over pairs; "
        "frames of a scene are not independent, which makes it too small. In square brackets: the "
        "paper's value, of the recorded data at full scale; it is **not comparable in absolute "
        "terms**.\n"
    ]
    for suite, name in _PAPER_ROWS.items():
        for features, of in reversed(_FEATURES.items()):
            for sets, between in _SETS.items():
                for bandwidth, width in _BANDWIDTHS.items():
                    chosen = (frame["features"] == features) & (frame["sets"] == sets)
                    part = frame[chosen & (frame["suite"] == suite) & (frame["bandwidth"] == bandwidth)]
                    if not part.empty:
                        parts.append(f"\n## {name}: {of}; {between}; {width}\n\n{_grid(part)}")
    return "".join(parts)


def write_table1(
    rows: Sequence[MMDRow], scale: str, title: str, source: str, csv_path: Path, markdown_path: Path
) -> None:
    """Build Table 1 and write it as CSV and Markdown.

    Args:
        rows: runs in order.
        scale: scale that the files must be of.
        title: heading.
        source: scale, data and seeds.
        csv_path: destination of the CSV.
        markdown_path: destination of the Markdown.

    Raises:
        UserError: naming file and key if an input is malformed.
    """
    frame = build_table1(rows, scale)
    write_csv(csv_path, frame)
    write_text(markdown_path, table1_markdown(frame, title, source))
