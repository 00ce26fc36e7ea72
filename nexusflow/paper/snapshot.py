"""Copies the tables and figures of a scale into docs/results, with date and provenance of their runs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path, read_json, sha256_file, write_text

__all__ = ["write_snapshot"]

_PAGE_WIDTH = 1400  # pixels
_ENDINGS = (".csv", ".md", ".png")


def _run_line(provenance: dict[str, Any], with_suite: bool) -> str:
    """Describe a run; runs of two suites may share a name."""
    seconds, steps = provenance["train_seconds"], provenance["steps"]
    name = f"{provenance['suite']}/{provenance['run']}" if with_suite else provenance["run"]
    cells = [name, provenance["seed"], steps, f"{seconds:.0f}", provenance["precision"]]
    cells += [f"`{provenance['code']}`", f"`{provenance['data'][:12]}`", provenance["finished"][:10]]
    return "| " + " | ".join(map(str, cells)) + " |"


def _copy(source: Path, destination: Path) -> None:
    """Copy a file; figures are brought to the width of a page, so that the repository stays small."""
    if source.suffix != ".png":
        shutil.copyfile(source, destination)
        return
    with Image.open(source) as picture:
        height = round(picture.height * min(1.0, _PAGE_WIDTH / picture.width))
        width = min(picture.width, _PAGE_WIDTH)
        resized = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        resized.quantize(256).save(destination, format="PNG", optimize=True)


def write_snapshot(source: Path, provenance_files: Sequence[Path], destination: Path) -> None:
    """Copy tables and figures and write a page that says which runs they are made of.

    Args:
        source: results folder of a scale.
        provenance_files: provenance of every run behind the tables.
        destination: folder for the copies and their README.md.

    Raises:
        UserError: if there is nothing to copy.
    """
    files = sorted(path for path in source.iterdir() if path.suffix in _ENDINGS)
    if not files:
        raise UserError(f"{source} holds no table or figure; run `snakemake --cores all` first.")
    for path in files:
        with atomic_path(destination / path.name) as temporary:
            _copy(path, temporary)
    runs = [read_json(path) for path in sorted(provenance_files)]
    suites = {run.get("suite") for run in runs}
    dates = sorted(run["finished"][:10] for run in runs)
    versions = ", ".join(f"{name} {number}" for name, number in sorted(runs[0]["versions"].items()))
    lines = [
        f"# Results of the `{runs[0]['scale']}` scale",
        "",
        f"Copied by `nexusflow snapshot`; the runs ended between {dates[0]} and {dates[-1]}.",
        f"One CPU thread per run; {versions}.",
        "",
        "| run | seed | steps | training seconds | precision | code | data | finished |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_run_line(run, with_suite=len(suites) > 1) for run in runs),
        "",
        "| file | sha256 |",
        "| --- | --- |",
        *(
            f"| [{path.name}]({path.name}) | `{sha256_file(destination / path.name)[:16]}` |"
            for path in files
        ),
        "",
    ]
    write_text(destination / "README.md", "\n".join(lines))
