"""Runs every benchmark that compares, one after the other, and writes the page of benchmarks.

    pip install -r benchmarks/requirements.txt
    python benchmarks/run_all.py
    python benchmarks/run_all.py --only mmd dense_plain

Results go to docs/results/benchmarks/; they are worth something only on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs" / "results" / "benchmarks"
BENCHMARKS: dict[str, list[str]] = {
    "coupling_stack": ["--modes", "fp32", "bf16", "compiled"],
    "mmd": [],
    "alignment_overhead": [],
    "dense_plain": [],
    "tracking_evaluation": [],
    "pipeline": [],
}


def main() -> None:
    """Run all or the chosen ones, then write the page; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    chosen = parser.parse_args().only or BENCHMARKS
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        print(f"--- {name}", flush=True)
        start = time.perf_counter()
        command = [sys.executable, str(HERE / f"{name}.py"), *BENCHMARKS[name]]
        command += ["--out", str(RESULTS / f"{name}.csv")]
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(f"{name} failed; the page was left as it is.")
        print(f"--- {name}: {time.perf_counter() - start:.0f} s", flush=True)
    subprocess.run([sys.executable, str(HERE / "document.py")], check=True)


if __name__ == "__main__":
    main()
