"""Puts the report together and writes it as one page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from nexusflow.core.files import sha256_json, write_text
from nexusflow.paper.config import PaperConfig
from nexusflow.paper.metrics import SUITE_REPORTS
from nexusflow.paper.report import curves
from nexusflow.paper.report.embed import Picture, data_uri, embed_picture
from nexusflow.paper.report.grid import Grid, read_cells
from nexusflow.paper.report.ledger import count_verdicts, read_ledger
from nexusflow.paper.report.outputs import Missing, Output, load_captions, order_of, title_of
from nexusflow.paper.report.present import PresentFiles
from nexusflow.paper.report.runs import jobs_grid, read_runs, run_labels, runs_grid, seeds_of, versions_of
from nexusflow.paper.report.tables import table_grids
from nexusflow.paper.rows import TableContext

__all__ = ["FigureSection", "ReportSource", "TableSection", "render_report", "write_report"]


@dataclass(frozen=True)
class ReportSource:
    """What the report is about, apart from the files.

    Args:
        scale: name of the scale.
        description: its data and models in a few words.
        contexts: suite → scale, data and seeds, for the suites that the scale has.
        paper: content of config/paper.yaml.
        outputs: tables and figures that the workflow can make, in order.
    """

    scale: str
    description: str
    contexts: Mapping[str, TableContext]
    paper: PaperConfig
    outputs: Sequence[Output]


@dataclass(frozen=True)
class TableSection:
    """A table in the page.

    Args:
        name: stem of its files.
        title: heading.
        caption: what it shows.
        source: data and seeds, as its CSV says.
        grids: its parts.
        downloads: file name → address.
    """

    name: str
    title: str
    caption: str
    source: str
    grids: Sequence[Grid]
    downloads: Mapping[str, str]


@dataclass(frozen=True)
class FigureSection:
    """A figure in the page.

    Args:
        name: stem of its files.
        title: heading.
        caption: what it shows.
        alt: words in its place.
        picture: the figure.
    """

    name: str
    title: str
    caption: str
    alt: str
    picture: Picture


def _source_line(frame: pd.DataFrame) -> str:
    """Say what a table was measured on, as its cells do."""
    parts = []
    if "data" in frame.columns:
        parts += sorted(set(frame["data"]) - {""})
    if "seeds" in frame.columns:
        seeds = sorted({seed for text in frame["seeds"] for seed in text.split()}, key=lambda s: (len(s), s))
        parts.append("seeds " + ", ".join(seeds) if seeds else "no seed")
    else:
        counts = [name for name in frame.columns if name == "n" or name.endswith(" n")]
        numbers = sorted({text for name in counts for text in frame[name]} - {""}, key=lambda s: (len(s), s))
        if numbers:
            parts.append("number of seeds: " + ", ".join(numbers))
    return "; ".join(parts)


def _tables(files: PresentFiles, source: ReportSource) -> list[TableSection]:
    known = tuple(output.name for output in source.outputs if output.is_table)
    sections = []
    for name in order_of(files.tables, known):
        path, frame = files.tables[name], read_cells(files.tables[name])
        downloads = {path.name: data_uri(path.read_bytes(), "text/csv")}
        if name in files.notes:
            notes = files.notes[name]
            downloads[notes.name] = data_uri(notes.read_bytes(), "text/markdown")
        caption = load_captions().tables.get(name, "")
        title = title_of(name, source.paper)
        sections.append(
            TableSection(name, title, caption, _source_line(frame), table_grids(frame), downloads)
        )
    return sections


def _figures(files: PresentFiles, source: ReportSource) -> list[FigureSection]:
    known = tuple(output.name for output in source.outputs if not output.is_table)
    sections = []
    for name in order_of(files.figures, (*known, *files.tables)):
        title, words = title_of(name, source.paper), load_captions().figures.get(name)
        caption, alt = (words.caption, words.alt) if words else ("", title)
        sections.append(FigureSection(name, title, caption, alt, embed_picture(files.figures[name])))
    return sections


def _missing(files: PresentFiles, source: ReportSource) -> list[Missing]:
    found = []
    for output in source.outputs:
        there = files.tables if output.is_table else files.figures
        if output.name not in there:
            command = f"snakemake --cores all results/{source.scale}/{output.file}"
            title, kind = title_of(output.name, source.paper), "table" if output.is_table else "figure"
            title += "" if title.lower().startswith(kind) else f" ({kind})"
            found.append(Missing(title, command, output.on_request))
    if files.claims is None:
        command = f"snakemake --cores all results/{source.scale}/claims.csv"
        found.append(Missing("Ledger of claims", command, False))
    return found


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nexusflow.paper.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def asset(name: str) -> str:
        """Give the text of a file of the package as it is."""
        assert environment.loader is not None
        return environment.loader.get_source(environment, name)[0]

    environment.globals["asset"] = asset
    return environment


def render_report(files: PresentFiles, source: ReportSource) -> str:
    """Write the page.

    Args:
        files: result files that are there.
        source: what the report is about.

    Returns:
        HTML; equal files give equal text.

    Raises:
        UserError: naming file and key if a result file is malformed.
    """
    labels = run_labels(source.paper)
    records = read_runs(files.provenance)
    claims = read_ledger(files.claims, files.claim_parts, source.paper) if files.claims else []
    tables, figures, missing = _tables(files, source), _figures(files, source), _missing(files, source)
    content: dict[str, Any] = {
        "source": source,
        "suites": {name: report.title for name, report in SUITE_REPORTS.items()},
        "tables": tables,
        "figures": figures,
        "missing": missing,
        "known": {
            "csv": sum(o.is_table for o in source.outputs),
            "png": sum(not o.is_table for o in source.outputs),
        },
        "absent": {
            "csv": sum(o.is_table and o.name not in files.tables for o in source.outputs),
            "png": sum(not o.is_table and o.name not in files.figures for o in source.outputs),
        },
        "claims": claims,
        "verdicts": count_verdicts(claims),
        "topics": list(dict.fromkeys(row.topic for row in claims)),
        "claim_suites": list(dict.fromkeys(row.suite for row in claims)),
        "runs": runs_grid(records, labels) if records else None,
        "trained": len({(record["suite"], record["run"]) for record in records}),
        "seeds": seeds_of(records),
        "versions": versions_of(records),
        "jobs": jobs_grid(files.benchmarks) if files.benchmarks else None,
        "charts": curves.draw_charts(files.logs, labels),
        "chart_width": curves.WIDTH,
        "chart_height": curves.HEIGHT,
    }
    template = _environment().get_template("page.html.j2")
    text = template.render(content)
    return text.replace("@digest@", sha256_json(text)[:16])


def write_report(files: PresentFiles, source: ReportSource, path: Path) -> None:
    """Write the page into a file.

    Args:
        files: result files that are there.
        source: what the report is about.
        path: destination.

    Raises:
        UserError: naming file and key if a result file is malformed.
    """
    write_text(path, render_report(files, source))
