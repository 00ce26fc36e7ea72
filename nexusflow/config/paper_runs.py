"""Which runs stand behind each table and figure."""

from __future__ import annotations

from typing import NamedTuple

from nexusflow.paper.config import PaperConfig

__all__ = ["ANALYSIS_BEHIND", "RunReference", "runs_behind"]

# Tables and figures of analyses of features → kind of analysis.
ANALYSIS_BEHIND = {
    "table1": "mmd",
    "figure3": "embedding",
    "figure3_v1": "embedding",
    "figure4": "embedding",
    "figure5": "spectrum",
    "lemma": "lemma",
}


class RunReference(NamedTuple):
    """A run that a table or figure reads.

    Attributes:
        suite: suite name.
        run: row of config/experiments.yaml, or `trivial`.
        seeds: its seeds, None for those of the table.
    """

    suite: str
    run: str
    seeds: tuple[int, ...] | None = None


def runs_behind(paper: PaperConfig, output: str) -> list[RunReference]:
    """List the runs that a table or figure reads.

    Args:
        paper: content of config/paper.yaml.
        output: name of the table or figure.

    Returns:
        The runs in order, each once.
    """
    if output == "comparison":
        labels = (*paper.comparison.treatments, *paper.comparison.references)
        found = [RunReference("nuscenes", label.run) for label in labels]
    elif output == "gap_sweep":
        points = paper.gap_sweep.points
        found = [RunReference("nuscenes", run) for point in points for run in (point.full, point.baseline)]
    elif output == "collapse":
        found = [RunReference("nuscenes", label.run) for label in paper.collapse.runs]
    elif output in ("learning_curves", "rivals_nuscenes", "rivals_nyuv2"):
        part = getattr(paper, output)
        found = [RunReference(part.suite, label.run) for label in part.runs]
    elif output in ("figure6", "video"):
        pair = getattr(paper, output)
        found = [RunReference("nuscenes", label.run) for label in (pair.baseline, pair.ours)]
    elif output == "figure2":
        found = [RunReference(panel.suite, panel.run) for panel in paper.figure2.panels]
    elif output == "figure7":
        found = [RunReference("nyuv2", label.run) for label in paper.figure7.runs]
    elif output in ("figure3", "figure3_v1", "figure4", "figure5"):
        part = getattr(paper, output)
        found = [RunReference(part.suite, label.run, (part.seed,)) for label in part.runs]
    elif output == "lemma":
        found = [RunReference(label.suite, label.run, (paper.lemma.seed,)) for label in paper.lemma.runs]
    else:
        rows = getattr(paper, output).rows
        found = [RunReference(row.suite, row.run, row.seeds) for row in rows]
    return list(dict.fromkeys(found))
