"""Makes everything of the smoke scale in two folders, with one and with two cores, and compares the bytes.

    python benchmarks/same_bytes.py

Compared are weights, training logs, metrics, tables and figures, except for what measures time and memory:
Table 5, columns and claims of tables, and pages that show them. The exit code is 1 if a single byte differs.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compared import fingerprint

ROOT = Path(__file__).resolve().parents[1]
COMPARED = (".safetensors", ".csv", ".png", ".pdf", ".gif", "metrics.json", "resampled.json", ".npz")
# Measured anew in every run, so never the same twice.
MEASURED = ("benchmarks/", "logs/", "cost/", "table5.", "report.")


def make(folder: Path, cores: int, target: str) -> float:
    """Make a target of the smoke scale in a folder of its own and return the seconds it took."""
    for name in ("workflow", "profiles", "config"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    (folder / "nexusflow").symlink_to(ROOT / "nexusflow", target_is_directory=True)
    configuration = folder / "config" / "config.yaml"
    configuration.write_text(configuration.read_text().replace("scale: embedded", "scale: smoke"))
    begin = time.perf_counter()
    with (folder / "log.txt").open("wb") as log:
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), target]
        code = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT).returncode
    if code:
        sys.exit((folder / "log.txt").read_text(errors="replace")[-3000:])
    return time.perf_counter() - begin


def hashes(folder: Path) -> dict[str, str]:
    """Hash what must be the same, by path under results/smoke."""
    results = folder / "results" / "smoke"
    named = {str(path.relative_to(results)): path for path in sorted(results.rglob("*")) if path.is_file()}
    return {
        name: fingerprint(path)
        for name, path in named.items()
        if name.endswith(COMPARED) and not name.startswith(MEASURED)
    }


def main() -> None:
    """Make, compare, and print what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", default="all", help="target of the workflow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="same_bytes_") as name:
        found = []
        for cores in (1, 2):
            folder = Path(name) / f"cores{cores}"
            folder.mkdir()
            seconds = make(folder, cores, arguments.target)
            found.append(hashes(folder))
            print(f"{cores} core(s): {seconds:.0f} s, {len(found[-1])} files", flush=True)
    first, second = found
    differing = sorted(path for path in first | second if first.get(path) != second.get(path))
    print("\n".join(differing) or "all identical")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
