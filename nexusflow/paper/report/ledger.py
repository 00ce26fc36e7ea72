"""The ledger of claims in the report: the rows of claims.csv with what they can be filtered by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.paper.claims_config import AgreeClaim, Claim, ClaimsConfig, load_claims
from nexusflow.paper.claims_statistics import VERDICTS
from nexusflow.paper.claims_values import runs_of_labels
from nexusflow.paper.config import PaperConfig
from nexusflow.paper.metrics import SUITE_REPORTS
from nexusflow.paper.report.grid import (
    Grid,
    column_grid,
    label_of,
    plain_cells,
    read_cells,
    text_cell,
    value_cell,
)

__all__ = ["ClaimRow", "count_verdicts", "read_ledger"]

_COLUMNS = ("id", "where", "statement", "paper", "ours", "seeds", "verdict", "tolerance", "note")
_NO_SUITE = "the paper's words"
_PLACE = re.compile(r"\b(Table|Figure|Eq\.|Lemma|Implementation|Method)s? ?((?:[AB]\.)?\d*)")


@dataclass(frozen=True)
class ClaimRow:
    """One claim.

    Args:
        cells: column of claims.csv → text.
        topic: table or part of the paper that it is about.
        suite: suite whose runs test it.
        parts: the comparisons behind it, None if there are none.
    """

    cells: Mapping[str, str]
    topic: str
    suite: str
    parts: Grid | None

    @property
    def words(self) -> str:
        """What a search looks through, in small letters."""
        return " ".join([*self.cells.values(), self.topic, self.suite]).lower()


def _topic(where: str) -> str:
    """Name the table or figure of a place in the paper; the last one if there are several."""
    places = [(kind, number) for kind, number in _PLACE.findall(where)]
    tables = [f"Table {number}" for kind, number in places if kind == "Table" and number]
    if tables:
        return tables[0]
    return "Figures" if any(kind == "Figure" for kind, _ in places) else "Method"


def _suite(claim: Claim | None, suites: Mapping[str, set[str]]) -> str:
    """Name the suite whose runs, or whose printed table, a claim is about."""
    if isinstance(claim, AgreeClaim):
        table: str | None = claim.first.table
    else:
        table = getattr(claim, "table", None)
    block = getattr(claim, "block", None)
    found = suites.get(f"{table}/{block}", set())
    return ", ".join(SUITE_REPORTS[name].title for name in sorted(found)) or _NO_SUITE


def _suites_of_tables(paper: PaperConfig, claims: ClaimsConfig) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for (table, block, _), (suite, _) in runs_of_labels(paper, claims).items():
        found.setdefault(f"{table}/{block}", set()).add(suite)
    return found


def _parts_grid(frame: pd.DataFrame) -> Grid:
    """Lay out the comparisons behind one claim."""
    metrics = list(frame["metric"])

    def side(name: str) -> list:
        numbers = zip(metrics, frame[f"{name} mean"], frame[f"{name} std"], strict=True)
        return [value_cell(metric, mean, std, 4) for metric, mean, std in numbers]

    columns = [
        ("Metric", [text_cell(label_of(metric)) for metric in metrics]),
        ("First", [text_cell(text) for text in frame["first"]]),
        ("Second", [text_cell(text) for text in frame["second"]]),
        ("First, mean", side("first")),
        ("Second, mean", side("second")),
        ("Effect", plain_cells("effect", list(frame["effect mean"]))),
        ("Interval from", plain_cells("low", list(frame["interval low"]))),
        ("Interval to", plain_cells("high", list(frame["interval high"]))),
        ("Verdict", [text_cell(text) for text in frame["verdict"]]),
    ]
    return column_grid("Comparisons", columns)


def read_ledger(ledger: Path, parts: Path | None, paper: PaperConfig) -> list[ClaimRow]:
    """Read the ledger of claims.

    Args:
        ledger: claims.csv.
        parts: claims_parts.csv, if it is there.
        paper: content of config/paper.yaml.

    Returns:
        Claims in the paper's order.

    Raises:
        UserError: if a column is missing.
    """
    frame = read_cells(ledger)
    if lacking := [name for name in _COLUMNS if name not in frame.columns]:
        raise UserError(f"{ledger} has no column '{lacking[0]}'; run `nexusflow claims` again.")
    declared = load_claims()
    by_id = {claim.id: claim for claim in declared.claims}
    suites = _suites_of_tables(paper, declared)
    details = read_cells(parts) if parts is not None else pd.DataFrame(columns=["id"])
    rows = []
    for record in frame.to_dict("records"):
        own = details[details["id"] == record["id"]]
        rows.append(
            ClaimRow(
                cells={name: str(record[name]) for name in _COLUMNS},
                topic=_topic(str(record["where"])),
                suite=_suite(by_id.get(str(record["id"])), suites),
                parts=None if own.empty else _parts_grid(own),
            )
        )
    return rows


def count_verdicts(rows: Sequence[ClaimRow]) -> dict[str, int]:
    """Count verdicts.

    Args:
        rows: the ledger.

    Returns:
        Verdict → number of claims, in the order of verdicts; verdicts that nothing has are left out.
    """
    found = [row.cells["verdict"] for row in rows]
    known = [*VERDICTS, *sorted(set(found) - set(VERDICTS))]
    return {verdict: found.count(verdict) for verdict in known if verdict in found}
