"""Hands analyses of features to the writers of figures; which runs, config/paper.yaml says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from nexusflow.config.contexts import data_and_start
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.paper_runs import ANALYSIS_BEHIND
from nexusflow.paper.analysis_files import AnalysedRun, AnalysisContext

__all__ = ["ANALYSIS_FIGURES", "ANALYSIS_TABLES"]


def _context(configuration: Configuration, seed: int) -> AnalysisContext:
    return AnalysisContext(configuration.scale_name, data_and_start(configuration), seed)


def _runs(
    configuration: Configuration,
    layout: Layout,
    kind: str,
    names: Iterable[tuple[str, str, str]],
    seed: int,
) -> list[AnalysedRun]:
    """Runs, given by suite, name and label, with their files; no file where the run is only declared."""
    return [
        AnalysedRun(
            suite,
            run,
            label,
            None
            if configuration.row(suite, run).is_declared_only
            else layout.analysis(kind, suite, run, seed),
        )
        for suite, run, label in names
    ]


def _figure_paths(layout: Layout, name: str) -> list[Path]:
    return [layout.base / f"{name}.{ending}" for ending in ("png", "pdf")]


def _features(name: str, configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Draw t-SNE pictures or spectra of features; the seed is the figure's own."""
    from nexusflow.paper.pictures import write_pictures
    from nexusflow.paper.scree import write_scree

    kind = ANALYSIS_BEHIND[name]
    part, style = getattr(configuration.paper, name), configuration.paper.style
    configuration.suite(part.suite)  # a scale without the suite is refused
    names = [(part.suite, label.run, label.label) for label in part.runs]
    write = write_pictures if kind == "embedding" else write_scree
    write(
        _runs(configuration, layout, kind, names, part.seed),
        part.features,
        _context(configuration, part.seed),
        _figure_paths(layout, name),
        part.title,
        style.dpi,
        style.width_in,
    )


def _lemma(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write Lemma 1 of the suites that the scale has; the seed is the section's own."""
    from nexusflow.paper.lemma_table import write_lemma

    part, style = configuration.paper.lemma, configuration.paper.style
    names = [
        (label.suite, label.run, label.label)
        for label in part.runs
        if getattr(configuration.scale, label.suite) is not None
    ]
    write_lemma(
        _runs(configuration, layout, "lemma", names, part.seed),
        _context(configuration, part.seed),
        layout.base / "lemma.csv",
        layout.base / "lemma.md",
        _figure_paths(layout, "lemma"),
        part.title,
        style.dpi,
        style.width_in,
    )


ANALYSIS_TABLES: dict[str, Callable[[Configuration, Layout, list[int]], None]] = {"lemma": _lemma}
ANALYSIS_FIGURES: dict[str, Callable[[Configuration, Layout, list[int]], None]] = {
    "figure3": partial(_features, "figure3"),
    "figure3_v1": partial(_features, "figure3_v1"),
    "figure4": partial(_features, "figure4"),
    "figure5": partial(_features, "figure5"),
}
