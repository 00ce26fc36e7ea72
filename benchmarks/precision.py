"""What whole trainings on NYUv2 reach in bfloat16 and in float32, from the metrics files of runs that ended.

snakemake --cores 2 results/embedded/runs/nyuv2/baseline{,_fp32}/seed{0,1,2}/metrics.json
python benchmarks/precision.py --out precision.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, stdev

from tables import write_rows

from nexusflow.config.layout import Layout
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json

RUNS = {"bf16": "baseline", "fp32": "baseline_fp32"}


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}"


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
    write_rows(arguments.out, rows)


if __name__ == "__main__":
    main()
