"""Hands what is there of a scale's results to the writer of the report."""

from __future__ import annotations

from nexusflow.config.contexts import suite_contexts
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.outputs import FIGURES, TABLES, VIDEOS, is_on_request
from nexusflow.paper.report.outputs import Output
from nexusflow.paper.report.page import ReportSource, write_report
from nexusflow.paper.report.present import find_files

__all__ = ["write_report_page"]


def write_report_page(configuration: Configuration, layout: Layout, seeds: list[int]) -> None:
    """Write report.html.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        seeds: training seeds that were asked for.

    Raises:
        UserError: for a malformed result file.
    """
    named = [(name, "csv") for name in TABLES] + [(name, "png") for name in FIGURES]
    named += [(name, "gif") for name in VIDEOS]
    source = ReportSource(
        scale=layout.scale,
        description=configuration.scale.description,
        contexts=suite_contexts(configuration, seeds),
        paper=configuration.paper,
        outputs=[Output(name, ending, is_on_request(name)) for name, ending in named],
    )
    write_report(find_files(layout.base), source, layout.base / "report.html")
