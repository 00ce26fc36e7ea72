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
NOT_MEASURED = "Not measured."
PICTURES = {
    "coupling_stack": "Times of other libraries over ours",
    "alignment_overhead": "Time and memory with the alignment over those without",
    "mmd": "Seconds against points per sample",
    "dense_plain": "Seconds per training step",
    "precision": "Scores of every seed in float32 and in bfloat16",
    "tracking_evaluation": "Seconds of evaluating tracks",
    "pipeline": "Dry runs of the workflow",
}


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def table_of(name: str) -> list[dict[str, str]]:
    """The rows of a benchmark; none where it was not measured."""
    path = DOCS / "results" / "benchmarks" / f"{name}.csv"
    return read_rows(path) if path.exists() else []


def coupling_table(mode: str) -> str:
    """A row per operation, number of tasks and batch; the others as multiples of our time."""
    rows = [row for row in table_of("coupling_stack") if row["mode"] == mode]
    if not rows:
        return NOT_MEASURED
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
    rows = table_of("mmd")
    if not rows:
        return NOT_MEASURED
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
        for row in table_of(name)
        if all(row[column].startswith(start) for column, start in (where or {}).items())
    ]
    if not rows:
        return NOT_MEASURED
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
    about = [row["conditions"] for row in table_of("pipeline")[:1]]
    return "\n\n".join([*about, columns_table("pipeline", columns)])


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
        "processor, first over this": "by processor time",
        "peak MiB": "peak, MiB",
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


def alignment_table() -> str:
    """A row per pair of runs."""
    rows = table_of("alignment_overhead")
    if not rows:
        return NOT_MEASURED
    head = [
        "suite, phase",
        "without",
        "aligned",
        "time",
        "single repeats",
        "processor",
        "memory",
        "own memory",
    ]
    body = [
        [
            row["pair"],
            f"{float(row['without ms']):.0f} ms",
            f"{float(row['aligned ms']):.0f} ms",
            f"{float(row['time ratio']):.3f}",
            f"{float(row['from']):.2f} to {float(row['to']):.2f}",
            *(f"{float(row[name]):.3f}" for name in ("processor ratio", "memory ratio", "own memory ratio")),
        ]
        for row in rows
    ]
    note = f"{rows[0]['conditions']}; repeats: {rows[0]['repeats']}, steps of each run: {rows[0]['steps']}."
    return note + "\n\n" + markdown(head, body)


def picture(name: str, caption: str) -> str:
    """The plot of a benchmark; nothing where there is none."""
    exists = (DOCS / "results" / "benchmarks" / f"{name}.png").exists()
    return f"![{caption}](../results/benchmarks/{name}.png)" if exists else ""


def replaced(page: str, name: str, table: str) -> str:
    """The page with another table between the comments of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    shown = f"\n{table}\n\n" if table else ""
    return f"{before}{begin}\n{shown}{end}{after}"


def main() -> None:
    """Write the page."""
    page = PAGE.read_text(encoding="utf-8")
    for mode in ("fp32", "bf16", "compiled"):
        page = replaced(page, f"coupling {mode}", coupling_table(mode))
    for run in ("baseline", "mtpsl"):
        page = replaced(page, f"dense {run}", dense_table(run))
    for name, table in (
        ("alignment", alignment_table()),
        ("mmd", mmd_table()),
        ("one step", precision_table()),
        ("trained", trained_table()),
        ("tracking", tracking_table()),
        ("pipeline", pipeline_table()),
    ):
        page = replaced(page, name, table)
    for name, caption in PICTURES.items():
        page = replaced(page, f"picture {name}", picture(name, caption))
    write_text(PAGE, page)


if __name__ == "__main__":
    main()
