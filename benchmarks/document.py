"""Writes the tables of docs/guide/benchmarks.md anew from the CSV files of the benchmarks.

    python benchmarks/document.py

The files lie in docs/results/benchmarks/. A table stands between two comments of the page that name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tables import read_rows

from nexusflow.core.files import write_text

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "guide" / "benchmarks.md"
OURS = "nexusflow"
FLOOR = "bare products"


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def coupling_table(mode: str) -> str:
    """A row per operation, number of tasks and batch; the others as multiples of our time."""
    rows = [row for row in read_rows(DOCS / "results/benchmarks/coupling_stack.csv") if row["mode"] == mode]
    if not rows:
        return "Not measured."
    names = list(dict.fromkeys(row["library"] for row in rows if row["library"] != OURS))
    versions = {row["library"]: row["version"] for row in rows}
    cells: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        cells.setdefault((row["operation"], row["tasks"], row["batch"]), {})[row["library"]] = row
    # The sort is stable and by operation only: numbers stay in the order of the file.
    body = [
        [f"{operation}, {tasks}, {batch}", f"{float(found[OURS]['median_ms']):.2f} ms"]
        + [f"{float(found[name]['times_ours']):.2f}" if name in found else "" for name in names]
        for (operation, tasks, batch), found in sorted(cells.items(), key=lambda item: item[0][0])
    ]
    plain = (FLOOR, f"{OURS}, not packed")
    head = [name if name in plain else f"{name} {versions[name]}" for name in names]
    note = f"torch {rows[0]['torch']}, threads: {rows[0]['threads']}; others as multiples of our time."
    return note + "\n\n" + markdown(["operation, tasks, batch", "ours", *head], body)


def mmd_table() -> str:
    """A row per size; the others as multiples of our time."""
    rows = read_rows(DOCS / "results/benchmarks/mmd.csv")
    names = list(dict.fromkeys(row["library"] for row in rows if row["library"] != OURS))
    versions = {row["library"]: row["version"] for row in rows}
    body = []
    for size in dict.fromkeys(row["points_per_sample"] for row in rows):
        found = {row["library"]: row for row in rows if row["points_per_sample"] == size}
        line = [size, f"{float(found[OURS]['median_s']):.2f} s"]
        for name in names:
            sign = "≈ " if name in found and found[name]["extrapolated"] == "yes" else ""
            line.append(f"{sign}{float(found[name]['times_ours']):.1f}" if name in found else "")
        body.append(line)
    first = rows[0]
    note = (
        f"{first['dimensions']} dimensions, {first['permutations']} permutations, NumPy {first['numpy']}, "
        f"cores: {first['cores']}; others as multiples of our time, ≈ where extrapolated."
    )
    head = [name if versions[name] == "source" else f"{name} {versions[name]}" for name in names]
    return note + "\n\n" + markdown(["points per sample", "ours", *head], body)


def replaced(page: str, name: str, table: str) -> str:
    """The page with another table between the comments of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def main() -> None:
    """Write the page."""
    page = PAGE.read_text(encoding="utf-8")
    for mode in ("fp32", "bf16", "compiled"):
        page = replaced(page, f"coupling {mode}", coupling_table(mode))
    write_text(PAGE, replaced(page, "mmd", mmd_table()))


if __name__ == "__main__":
    main()
