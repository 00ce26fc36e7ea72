"""Time of everything around training: the command line, the plan of jobs, worlds, and the loading of data.

    python benchmarks/pipeline.py --rounds 5 --out pipeline.csv

Commands take turns in every round and are compared with what they rest on: starting Python or Snakemake. Runs
with nothing to do are measured on results that exist in name only. Worlds and batches are those of the
embedded scale, with fewer scenes and images. Writes a table, and a plot of the time against the number of
jobs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from records import conditions, write_table


def draw(rows: list[dict[str, Any]], path: Path, source: str) -> None:
    """Seconds of dry runs against the number of jobs."""
    from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy

    chosen = sorted((int(row["size"]), float(row["median s"])) for row in rows if row["unit"] == "jobs")
    with paper_style():
        figure = new_figure(4.6, 3.4)
        axis = figure.subplots()
        axis.plot(*zip(*chosen, strict=True), marker="o")
        axis.set(xlim=(0, None), ylim=(0, None), xlabel="jobs", ylabel="seconds")
        tidy(axis)
        heading(figure, "Dry run of the workflow", source)
        save_figure(figure, [path])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--parts",
        nargs="+",
        default=["commands", "worlds", "loading"],
        choices=("commands", "worlds", "loading"),
        help="what to measure (default: everything)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 3, 7, 14], help="numbers of seeds of all targets"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes that make worlds")
    parser.add_argument("--threads", type=int, default=1, help="threads of a training step (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("pipeline.csv"))
    arguments = parser.parse_args()
    # Not at the top: the processes that make worlds import this file, and would wait for torch.
    from pipeline_commands import command_rows
    from pipeline_data import loading_rows, world_rows

    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        if "commands" in arguments.parts:
            rows += command_rows(Path(name), arguments.rounds, arguments.seeds)
        if "worlds" in arguments.parts:
            rows += world_rows(Path(name), arguments.rounds, arguments.workers)
        if "loading" in arguments.parts:
            rows += loading_rows(Path(name), arguments.rounds, arguments.threads)
    about = conditions(["snakemake", "torch"])
    write_table([{**row, "conditions": about} for row in rows], arguments.out)
    if "commands" in arguments.parts:
        draw(rows, arguments.out.with_suffix(".png"), f"{about}; medians of {arguments.rounds}")


if __name__ == "__main__":
    main()
