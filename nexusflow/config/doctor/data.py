"""Generated worlds: whether every file is still the one that the manifest was written for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.config.doctor.findings import Finding, act, note, ok
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file, sha256_json

__all__ = ["check_world", "check_worlds"]


def _array_hash(path: Path) -> str:
    """Hash of an array's values, which the manifest of the rooms holds."""
    return hashlib.sha256(np.load(path, allow_pickle=False).tobytes()).hexdigest()


_HASHES: dict[str, Callable[[Path], str]] = {"nuscenes": sha256_file, "nyuv2": _array_hash}


def check_world(root: Path, suite: str, settings: Any) -> Finding:
    """Compare a world with its manifest.

    Args:
        root: data root of the world.
        suite: suite name.
        settings: the world's configuration as plain data; None if the configuration has no such world.

    Returns:
        The finding.
    """
    again = f"run `snakemake --cores all --forcerun data -- {root / 'manifest.json'}`"
    try:
        manifest = read_json(root / "manifest.json")
        expected, count, made_from = manifest["sha256"], manifest["files"], manifest["config"]
    except (UserError, KeyError, TypeError):
        # Recorded data sets have hashes of another kind, checked when they are fetched.
        return note(str(root), "has no manifest of a generated world; its files are not checked")
    paths = sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path != root / "manifest.json"
    )
    if len(paths) != count:
        return act(str(root), f"holds {len(paths)} files, its manifest {count}", again)
    try:
        found = {path.relative_to(root).as_posix(): _HASHES[suite](path) for path in paths}
    except (OSError, ValueError, EOFError) as error:
        return act(str(root), f"has a file that cannot be read ({error})", again)
    if sha256_json(found) != expected:
        return act(str(root), "differs from its manifest", again)
    if settings is not None and made_from != settings:
        text = "is whole, and was made with other settings; the next call makes it again"
        return note(str(root), text)
    return ok(str(root), f"{count} files, as in its manifest")


def check_worlds(configuration: Configuration, layout: Layout) -> list[Finding]:
    """Check every world of a scale that is there.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.

    Returns:
        One finding per world.
    """
    findings = []
    for root in sorted((layout.base / "data").glob("*/*")):
        suite, world = root.parent.name, root.name
        if suite not in _HASHES or world.startswith("."):
            continue
        try:
            settings = configuration.world(suite, world).model_dump(mode="json")
        except UserError:
            settings = None
        findings.append(check_world(root, suite, settings))
    return findings
