"""Snakemake's records of finished jobs, kept with the results, so that another machine can trust them.

The records say with which parameters, code and inputs each file was made. Put back, they let Snakemake judge
on its own whether the files still belong to the configuration and code that are there.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file, write_json

__all__ = ["RECORDS", "pull_results", "restore_results", "seal_results"]

RECORDS = "records.json"
_FORMAT = 1
_METADATA = Path(".snakemake") / "metadata"
# Longer names are spread over folders by Snakemake.
_LONGEST = 254


def seal_results(root: Path, scale: str) -> int:
    """Collect the records and hashes of a scale's results in `results/{scale}/records.json`.

    Args:
        root: folder of the project.
        scale: name of the scale.

    Returns:
        Number of files that are recorded.

    Raises:
        UserError: if Snakemake has made nothing of that scale here.
    """
    entries = []
    for path in sorted((root / _METADATA).rglob("*")):
        if not path.is_file():
            continue
        name = _name_of(path.relative_to(root / _METADATA))
        belongs = name.startswith(f"results/{scale}/") or (
            name.startswith("results/") and name.count("/") == 1
        )
        record = read_json(path)
        if belongs and (root / name).is_file() and not record.get("incomplete"):
            entries.append(
                {
                    "path": name,
                    "sha256": sha256_file(root / name),
                    "modified_ns": (root / name).stat().st_mtime_ns,
                    "record": record,
                }
            )
    if not any(str(entry["path"]).startswith(f"results/{scale}/") for entry in entries):
        raise UserError(f"results/{scale} has no file that Snakemake made here; run the workflow first.")
    entries.sort(key=lambda entry: (entry["modified_ns"], entry["path"]))
    write_json(root / "results" / scale / RECORDS, {"format": _FORMAT, "scale": scale, "files": entries})
    return len(entries)


def pull_results(root: Path, scale: str, remote: str | None = None) -> None:
    """Fetch what DVC keeps of a scale.

    Args:
        root: folder of the project.
        scale: name of the scale; it has a pipeline below workflow/, or is the default one's.
        remote: name of a DVC remote; None takes the default one.

    Raises:
        UserError: with DVC's last line, if it cannot fetch everything.
    """
    pipelines = (f"workflow/{scale}/dvc.yaml", "dvc.yaml")
    pipeline = next(([name] for name in pipelines if (root / name).exists()), [])
    command = [sys.executable, "-m", "dvc", "pull", *pipeline, *(["--remote", remote] if remote else [])]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise UserError(
            f"`dvc pull` failed ({lines[-1] if lines else 'no message'}); check the remote with "
            "`dvc remote list`."
        )


def restore_results(root: Path, scale: str) -> int:
    """Check every restored file against its hash and put Snakemake's records back.

    Args:
        root: folder of the project, with the results of the scale in place.
        scale: name of the scale.

    Returns:
        Number of files.

    Raises:
        UserError: naming the first file that is missing or differs; nothing is changed then.
    """
    source = root / "results" / scale / RECORDS
    if not source.exists():
        raise UserError(f"{source} is missing; pull the results, or seal them where they were made.")
    content = read_json(source)
    if content.get("format") != _FORMAT or content.get("scale") != scale:
        raise UserError(f"{source}: keys 'format' and 'scale' must be {_FORMAT} and {scale}; seal again.")
    entries: list[dict[str, Any]] = content["files"]
    copies = _check(root, entries)
    for path, twin in copies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(twin, path)
    # In the order in which they were made, and younger than the sources of a fresh clone.
    now_ns = time.time_ns()
    for place, entry in enumerate(entries):
        moment_ns = now_ns - (len(entries) - place) * 1_000_000
        os.utime(root / entry["path"], ns=(moment_ns, moment_ns))
        target = root / _METADATA / _place_of(entry["path"])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(entry["record"]), encoding="utf-8")
    # A measurement older than its job's inputs would make Snakemake run the job again.
    for path in (root / "results" / scale / "benchmarks").rglob("*.tsv"):
        os.utime(path, ns=(now_ns, now_ns))
    return len(entries)


def _check(root: Path, entries: list[dict[str, Any]]) -> dict[Path, Path]:
    """Compare all hashes; a file that is not kept twice is copied from its twin."""
    present: dict[str, Path] = {}
    missing: dict[Path, str] = {}
    for entry in entries:
        path = root / entry["path"]
        if not path.is_file():
            missing[path] = entry["sha256"]
        elif sha256_file(path) != entry["sha256"]:
            raise UserError(f"{path} is not the file that was sealed; pull it again, or run the workflow.")
        else:
            present[entry["sha256"]] = path
    lost = next((path for path, digest in missing.items() if digest not in present), None)
    if lost is not None:
        raise UserError(f"{lost} is missing; pull the results again, or run the workflow.")
    return {path: present[digest] for path, digest in missing.items()}


def _place_of(name: str) -> Path:
    """Where Snakemake keeps the record of a file."""
    text = base64.urlsafe_b64encode(name.encode()).decode()
    parts = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    return Path(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _name_of(place: Path) -> str:
    """The file that a record is about."""
    text = "".join(part.removeprefix("@") for part in place.parts)
    return base64.urlsafe_b64decode(text.encode()).decode()
