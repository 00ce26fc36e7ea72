"""Writes the tables of docs/guide/benchmarks.md anew from the CSV files of the benchmarks.

    python benchmarks/document.py

The files lie in docs/results/benchmarks/. A table stands between two comments of the page that name it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def columns_table(name: str, columns: Mapping[str, str], where: Mapping[str, str] | None = None) -> str:
    """Chosen columns of a file as they stand, the first of them to the left.

    Args:
        name: of the CSV file, without ending.
        columns: column of the file → head in the page.
        where: column → text it begins with in the rows that are shown.
    """
    rows = [
        row
        for row in read_rows(DOCS / f"results/benchmarks/{name}.csv")
        if all(row[column].startswith(start) for column, start in (where or {}).items())
    ]
    return markdown(list(columns.values()), [[_short(row[column]) for column in columns] for row in rows])


def _short(cell: str) -> str:
    """Three digits of small numbers; everything else as it stands."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return f"{number:.2g}" if 0 < abs(number) < 1e-3 else cell


def pipeline_table() -> str:
    """Commands first, then worlds and loading."""
    columns = {
        "what": "what",
        "size": "size",
        "unit": "of",
        "median s": "seconds",
        "ratio": "ratio",
        "to": "to",
    }
    about = read_rows(DOCS / "results/benchmarks/pipeline.csv")[0]["conditions"]
    return about + "\n\n" + columns_table("pipeline", columns)


def tracking_table() -> str:
    """A row per evaluator."""
    columns = {
        "evaluator": "evaluator",
        "reading s": "reading, s",
        "evaluating s": "evaluating, s",
        "times as fast, evaluating": "times as fast",
        "times as fast, total": "with reading",
        "largest difference": "largest difference",
    }
    return columns_table("tracking_evaluation", columns)


def dense_table(run: str) -> str:
    """A row per contender."""
    columns = {
        "contender": run,
        "seconds": "seconds per step",
        "first over this": "times as fast as the plain one",
    }
    return columns_table("dense_plain", columns, {"run": run})


def precision_table() -> str:
    """How far one step is from double precision."""
    columns = {
        "run": "run",
        "after steps": "after steps",
        "contender": "contender",
        "relative difference of the total": "loss",
        "relative difference of the gradient": "gradient",
        "pixels of another class": "other class",
        "mean difference of depth, m": "depth, m",
        "mean difference of normals, degrees": "normals, °",
    }
    return columns_table("dense_plain_differences", columns)


def trained_table() -> str:
    """What whole trainings reach in either precision."""
    columns = {"metric": "metric", "bf16": "bfloat16", "fp32": "float32", "difference": "difference, paired"}
    return columns_table("precision", columns)


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
    for run in ("baseline", "mtpsl"):
        page = replaced(page, f"dense {run}", dense_table(run))
    for name, table in (
        ("mmd", mmd_table()),
        ("one step", precision_table()),
        ("trained", trained_table()),
        ("tracking", tracking_table()),
        ("pipeline", pipeline_table()),
    ):
        page = replaced(page, name, table)
    write_text(PAGE, page)


if __name__ == "__main__":
    main()
