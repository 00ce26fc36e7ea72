"""What whole trainings on NYUv2 reach in bfloat16 and in float32, from the metrics files of runs that ended.

snakemake --cores 2 results/embedded/runs/nyuv2/baseline{,_fp32}/seed{0,1,2}/metrics.json
python benchmarks/precision.py --out precision.csv

Writes a table and a plot.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, stdev

from records import conditions
from tables import write_rows

from nexusflow.config.layout import Layout
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json
from nexusflow.paper.style import heading, new_figure, paper_style, save_figure, tidy

RUNS = {"bf16": "baseline", "fp32": "baseline_fp32"}
SHOWN = {"Seg IoU": "%", "Depth aErr": "m", "Norm mErr": "°"}


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}"


def draw(found: dict[str, list[dict[str, float]]], seeds: list[int], path: Path, source: str) -> None:
    """A panel per metric; a line per seed from float32 to bfloat16."""
    with paper_style():
        figure = new_figure(8.4, 3.2)
        for axis, (metric, unit) in zip(figure.subplots(1, len(SHOWN)), SHOWN.items(), strict=True):
            for number, seed in enumerate(seeds):
                pair = [float(found[name][number][metric]) for name in ("fp32", "bf16")]
                axis.plot(["fp32", "bf16"], pair, marker="o", label=f"seed {seed}")
            axis.set(title=f"{metric} ({unit})")
            axis.margins(x=0.3)
            tidy(axis)
        axis.legend(frameon=False, fontsize="small")
        heading(figure, "Whole trainings in float32 and in bfloat16", source)
        save_figure(figure, [path])


def main() -> None:
    """Read, compare by seed, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--scale", default="embedded")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="at least two")
    parser.add_argument("--out", type=Path, default=Path("precision.csv"))
    arguments = parser.parse_args()
    layout = Layout(arguments.scale, arguments.results)
    try:
        found = {
            name: [
                read_json(layout.metrics("nyuv2", run, seed))["metrics"]["overall"]
                for seed in arguments.seeds
            ]
            for name, run in RUNS.items()
        }
    except UserError as error:
        raise SystemExit(str(error)) from error
    rows: list[dict[str, object]] = []
    for metric in (name for name in found["bf16"][0] if "/" not in name):  # without single classes
        values = {name: [float(run[metric]) for run in runs] for name, runs in found.items()}
        paired = [a - b for a, b in zip(values["bf16"], values["fp32"], strict=True)]
        texts = {name: spread(numbers) for name, numbers in values.items()}
        rows.append({"metric": metric, **texts, "difference": spread(paired), "seeds": len(arguments.seeds)})
        print(*rows[-1].values(), sep="  ")
    about = conditions(["torch"])
    write_rows(arguments.out, [{**row, "conditions": about} for row in rows])
    source = f"NYUv2, scale {arguments.scale}; {about}"
    draw(found, arguments.seeds, arguments.out.with_suffix(".png"), source)


if __name__ == "__main__":
    main()
