"""What a kill leaves behind: locks, incomplete marks, half-written files, a damaged dvc.lock."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from nexusflow.config.doctor.findings import Finding, act, note, ok
from nexusflow.config.locks import stale_locks

__all__ = ["check_dvc", "check_leftovers", "check_snakemake"]

# As tempfile names what takes a file's or folder's place at the end.
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.[a-z0-9]+)?")
_PROFILE = Path("profiles/default/config.yaml")


def check_snakemake(project: Path) -> list[Finding]:
    """Look at Snakemake's locks and marks.

    Args:
        project: folder of the project.

    Returns:
        The findings.
    """
    folder, findings = project / ".snakemake", []
    locks = sorted((folder / "locks").glob("*.lock"))
    if not locks:
        findings.append(ok("Snakemake's locks", "none"))
    elif stale_locks(folder):
        text = f"{len(locks)} left by a Snakemake that was killed; the next call removes them"
        findings.append(note("Snakemake's locks", text))
    else:
        findings.append(note("Snakemake's locks", "another Snakemake of this project is running"))
    marks = [path for path in (folder / "incomplete").rglob("*") if path.is_file()]
    marks = [path for path in marks if path.name != "migration_underway"]
    if marks and not _makes_again(project / _PROFILE):
        advice = f"put `rerun-incomplete: true` back into {_PROFILE}"
        findings.append(act("Snakemake's marks", f"{len(marks)} files are marked as incomplete", advice))
    elif marks:
        text = f"{len(marks)} files were being made when a job ended; the next call makes them again"
        findings.append(note("Snakemake's marks", text))
    return findings


def _makes_again(profile: Path) -> bool:
    try:
        content = yaml.safe_load(profile.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return False
    return isinstance(content, dict) and content.get("rerun-incomplete") is True


def check_leftovers(results: Path) -> list[Finding]:
    """Look for files and folders that a killed job was writing.

    Args:
        results: the results folder.

    Returns:
        A finding if there are any.
    """
    found = [path for path in results.rglob(".*") if _TEMPORARY.fullmatch(path.name)]
    if not found:
        return []
    text = f"{len(found)} half-written files or folders of killed jobs, the first {found[0]}"
    return [note("leftovers", text, "nobody reads them; delete them when no job is running")]


def _outs_are_whole(stage: Any) -> bool:
    """Whether a stage of dvc.lock has a command and hashes of what it made."""
    if not isinstance(stage, dict) or not isinstance(stage.get("cmd"), str | list):
        return False
    outs = stage.get("outs", [])
    return isinstance(outs, list) and all(
        isinstance(out, dict) and isinstance(out.get("path"), str) and isinstance(out.get("md5"), str)
        for out in outs
    )


def _lock_fault(path: Path) -> str | None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        return f"is not valid YAML{f' at line {place.line + 1}' if place else ''}"
    except (OSError, UnicodeDecodeError):
        return "cannot be read"
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        return "has no stages"
    broken = [name for name, stage in stages.items() if not _outs_are_whole(stage)]
    return f"is incomplete at stage `{broken[0]}`" if broken else None


def check_dvc(project: Path) -> list[Finding]:
    """Look at dvc.lock, those of further pipelines below workflow/, and DVC's own lock.

    Args:
        project: folder of the project.

    Returns:
        The findings.
    """
    findings = []
    if not (project / "dvc.lock").exists():
        findings.append(note("dvc.lock", "not there yet; `dvc repro` writes it"))
    for path in (project / "dvc.lock", *sorted(project.glob("workflow/*/dvc.lock"))):
        name = path.relative_to(project).as_posix()
        if path.exists() and (fault := _lock_fault(path)):
            pipeline = name.replace(".lock", ".yaml")
            advice = f"run `git checkout {name}`, or delete it and run `dvc repro {pipeline}`"
            findings.append(act(name, fault, advice))
        elif path.exists():
            findings.append(ok(name, "whole"))
    inner = project / ".dvc" / "tmp" / "rwlock"
    if inner.is_file():
        try:
            json.loads(inner.read_text(encoding="utf-8") or "{}")
        except (OSError, ValueError):
            findings.append(act("DVC's lock", f"{inner} is damaged", "delete it when no `dvc` is running"))
    return findings
