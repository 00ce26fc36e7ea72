"""The training log: one CSV row of averaged scalars every few steps, free of wall-clock times."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nexusflow.core.files import write_text

__all__ = ["TrainingLog"]


class TrainingLog:
    """Collects scalars step by step and writes them as a table with the union of all columns.

    Args:
        every: steps averaged into one row.
        rows: rows of an earlier, interrupted part of the same run.
        open_row: the row that was under way then, from the property of the same name.
    """

    def __init__(
        self,
        every: int,
        rows: list[dict[str, float]] | None = None,
        open_row: dict[str, dict[str, float]] | None = None,
    ) -> None:
        self.every = every
        self.rows: list[dict[str, float]] = list(rows or [])
        begun = open_row or {"sums": {}, "counts": {}}
        self._sums, self._counts = dict(begun["sums"]), dict(begun["counts"])

    @property
    def open_row(self) -> dict[str, dict[str, float]]:
        """Sums and counts of the row under way, to go on with after an interruption."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def add(self, scalars: dict[str, float]) -> None:
        """Add one step's scalars to the row under way.

        Args:
            scalars: value by name; names may differ from step to step.
        """
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def close_row(self, step: int, once: dict[str, float]) -> dict[str, float]:
        """End the row under way.

        Args:
            step: number of steps done.
            once: values that are not averaged, such as the learning rate and the monitors.

        Returns:
            The finished row.
        """
        means = {name: self._sums[name] / self._counts[name] for name in self._sums}
        row = {"step": float(step), **means, **once}
        self.rows.append(row)
        self._sums, self._counts = {}, {}
        return row

    def write(self, path: Path) -> None:
        """Write all rows as CSV, the step first and the other columns in alphabetical order.

        Args:
            path: destination file.
        """
        columns = ["step", *sorted({name for row in self.rows for name in row} - {"step"})]
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=columns, lineterminator="\n", restval="")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
        write_text(path, buffer.getvalue())
