"""The environment: Python, libraries, compiled operators, GPU, disk."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from nexusflow.config.doctor.findings import Finding, act, note, ok

__all__ = ["check_disk", "check_environment", "check_gpu", "check_libraries", "check_python"]

_REINSTALL = "run `make environment`, or remove .venv first if that is not enough"
_NEEDED_GB = 4.0


def check_python(running: str, allowed: str) -> Finding:
    """Check the version of Python.

    Args:
        running: version, e.g. "3.11.9".
        allowed: the project's specifier, e.g. ">=3.11,<3.13".

    Returns:
        The finding.
    """
    if SpecifierSet(allowed).contains(running, prereleases=True):
        return ok("Python", running)
    return act("Python", f"{running} is not {allowed}", "make .venv with Python 3.11 or 3.12")


def check_libraries(requirements: Iterable[str], lock: str) -> list[Finding]:
    """Check the installed libraries against what the project asks for, and against the lock.

    Args:
        requirements: requirements of the project, e.g. "numpy>=1.26,<2"; those of extras are left out.
        lock: text of requirements/core.txt; empty if it is not at hand.

    Returns:
        One finding for every library that does not fit, and one for all others.
    """
    locked = dict(line.split("==", 1) for line in lock.split() if "==" in line)
    findings, fitting, moved = [], 0, []
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            findings.append(act(requirement.name, "is not installed", _REINSTALL))
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wanted = f"{installed} is installed, {requirement.specifier} is wanted"
            findings.append(act(requirement.name, wanted, _REINSTALL))
            continue
        fitting += 1
        if locked.get(requirement.name, installed) != installed.split("+")[0]:
            moved.append(f"{requirement.name} {installed} instead of {locked[requirement.name]}")
    findings.append(ok("libraries", f"{fitting} as the project asks for"))
    if moved:
        advice = "numbers may differ in their last digits; run `make environment` for the locked versions"
        findings.append(note("lock", f"other versions than locked: {', '.join(moved)}", advice))
    return findings


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, OSError):
        # Looking for a part of a package imports the package, which may be broken.
        return False


def _check_compiled() -> list[Finding]:
    devkit = (
        ok("nuScenes devkit", "found")
        if _has("nuscenes")
        else act("nuScenes devkit", "cannot be imported", _REINSTALL)
    )
    install = "run `make environment-mmdet3d` if you need the compiled operators"
    if not _has("mmcv"):
        return [devkit, note("mmcv", "not installed; only the mmdet3d extra uses it", install)]
    if not _has("mmcv._ext"):
        return [devkit, act("mmcv", "is installed without its compiled operators", install)]
    return [devkit, ok("mmcv", "with compiled operators")]


def check_gpu() -> Finding:
    """Look for a GPU that torch can use.

    Returns:
        The finding; none is needed below the full scale.
    """
    import torch

    if not torch.cuda.is_available():
        return note("GPU", "none that torch can use", "nothing to do below the full scale")
    free, total = torch.cuda.mem_get_info()
    name = torch.cuda.get_device_name()
    return ok("GPU", f"{name}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free")


def check_disk(folder: Path, needed_gb: float = _NEEDED_GB) -> Finding:
    """Check the free space of the disk that holds the results.

    Args:
        folder: an existing folder on that disk.
        needed_gb: what the default scale takes, GB.

    Returns:
        The finding.
    """
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb >= needed_gb:
        return ok("disk", f"{free_gb:.0f} GB free")
    advice = f"free {needed_gb:.0f} GB, or make results/ a link to a larger disk"
    return act("disk", f"{free_gb:.1f} GB free", advice)


def check_environment(folder: Path) -> list[Finding]:
    """Check everything that is not part of the project's folder.

    Args:
        folder: the project.

    Returns:
        The findings.
    """
    project = distribution("nexusflow")
    lock = folder / "requirements" / "core.txt"
    return [
        check_python(platform.python_version(), project.metadata["Requires-Python"]),
        *check_libraries(project.requires or (), lock.read_text(encoding="utf-8") if lock.is_file() else ""),
        *_check_compiled(),
        check_gpu(),
        check_disk(folder),
    ]
