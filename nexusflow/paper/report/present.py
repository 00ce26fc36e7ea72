"""Which result files of a scale are there; the report shows these and asks for no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["PresentFiles", "find_files"]

_LEDGER = ("claims", "claims_parts")


@dataclass(frozen=True)
class PresentFiles:
    """Result files of a scale.

    Args:
        tables: name → CSV file.
        notes: name → Markdown file of the same table.
        figures: name → PNG file.
        claims: the ledger of claims, one row per claim.
        claim_parts: one row per comparison behind the claims.
        provenance: provenance.json of every run and seed.
        logs: log.csv of every run and seed, below `checkpoints/<suite>/<run>/seed<k>/`.
        benchmarks: time and memory of every job, below `benchmarks/<rule>/`.
    """

    tables: Mapping[str, Path] = field(default_factory=dict)
    notes: Mapping[str, Path] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)
    claims: Path | None = None
    claim_parts: Path | None = None
    provenance: tuple[Path, ...] = ()
    logs: tuple[Path, ...] = ()
    benchmarks: tuple[Path, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """All of them, in a fixed order."""
        ledger = [path for path in (self.claims, self.claim_parts) if path is not None]
        named = [path for group in (self.tables, self.notes, self.figures) for path in group.values()]
        return [*named, *ledger, *self.provenance, *self.logs, *self.benchmarks]


def _by_name(folder: Path, ending: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob(f"*{ending}")) if path.stem not in _LEDGER}


def find_files(base: Path) -> PresentFiles:
    """Look for the result files of a scale.

    Args:
        base: results folder of the scale; need not exist.

    Returns:
        What is there. A run's provenance is taken from beside its weights, else from beside its scores.
    """
    provenance: dict[Path, Path] = {}
    for folder in ("runs", "checkpoints"):
        for path in sorted((base / folder).glob("*/*/seed*/provenance.json")):
            provenance[path.relative_to(base / folder)] = path
    claims, parts = base / "claims.csv", base / "claims_parts.csv"
    tables = _by_name(base, ".csv")
    return PresentFiles(
        tables=tables,
        notes={name: path for name, path in _by_name(base, ".md").items() if name in tables},
        figures={**_by_name(base, ".png"), **_by_name(base, ".gif")},
        claims=claims if claims.exists() else None,
        claim_parts=parts if parts.exists() else None,
        provenance=tuple(provenance[key] for key in sorted(provenance)),
        logs=tuple(sorted((base / "checkpoints").glob("*/*/seed*/log.csv"))),
        benchmarks=tuple(sorted((base / "benchmarks").glob("*/*.tsv"))),
    )
