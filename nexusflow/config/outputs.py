"""Names of every table, figure and video, and what is made on request only."""

from __future__ import annotations

__all__ = ["ABLATIONS", "FIGURES", "PLOTS_OF_TABLES", "TABLES", "VIDEOS", "is_on_request"]

TABLES = (
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "tableA1",
    "tableA2",
    "tableB1",
    "tableB2",
    "comparison",
    "alignment_options",
    "alignment_settings",
    "compute_matched",
    "weights_nuscenes",
    "weights_nyuv2",
    "matching",
    "taps_nuscenes",
    "taps_nyuv2",
    "normalisation_nyuv2",
    "gap_sweep",
    "lemma",
)
FIGURES = (
    "figure2",
    "figure3",
    "figure3_v1",
    "figure4",
    "figure5",
    "figure6",
    "figure7",
    "comparison",
    "collapse",
    "learning_curves",
    "rivals_nuscenes",
    "rivals_nyuv2",
    "gap_sweep",
    "lemma",
)
VIDEOS = ("video",)
# Made with the table of the same name.
PLOTS_OF_TABLES = ("tableB1", "tableB2")
# These train many further models, so they are made when they are asked for by name only.
_ON_REQUEST = (
    *("gap_sweep", "alignment_settings", "compute_matched", "weights_nuscenes", "weights_nyuv2"),
    *("matching", "taps_nuscenes", "taps_nyuv2", "normalisation_nyuv2"),
)
# What their runs change is measured against runs of the other tables, which they share.
ABLATIONS = ("table1", "table3", "tableA1", "tableA2", "tableB1", "tableB2", "alignment_options")


def is_on_request(output: str) -> bool:
    """Tell whether a table or figure is made when it is asked for by name only.

    Args:
        output: name of the table or figure.

    Returns:
        True if its runs serve nothing else.
    """
    return output in _ON_REQUEST
