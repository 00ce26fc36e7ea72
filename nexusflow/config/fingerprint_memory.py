"""Fingerprints of modules, remembered between starts by the bytes they were computed from.

Parsing all modules takes about half of a dry run. What is remembered is found by the SHA-256 of a source, so
an edited module is never mistaken for what it was.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_text

__all__ = ["FingerprintMemory"]


class FingerprintMemory:
    """A function of a source text whose results outlive the process.

    Args:
        compute: the function.
        author: file that defines it; another content, like another Python, makes what is remembered useless.
        folder: Snakemake's folder of the project; nothing is remembered where it does not exist.

    Examples:
        >>> FingerprintMemory(str.upper, Path(__file__), Path("no such folder"))(b"a = 1")
        'A = 1'
    """

    def __init__(
        self, compute: Callable[[str], str], author: Path, folder: Path = Path(".snakemake")
    ) -> None:
        self._compute = compute
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        self._valid_for = f"{version} {hashlib.sha256(author.read_bytes()).hexdigest()}"
        # Absolute, because the end of the process may come in another working directory.
        self._path = (folder / "module_fingerprints.json").absolute()
        self._known = self._read()
        self._new = False
        atexit.register(self.save)

    def _read(self) -> dict[str, str]:
        """What earlier processes left; nothing where it cannot be read or was computed otherwise."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            known = content["fingerprints"] if content["valid for"] == self._valid_for else {}
            return {str(source): str(fingerprint) for source, fingerprint in known.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def __call__(self, source: bytes) -> str:
        """Give the function's value.

        Args:
            source: Python source, UTF-8.

        Returns:
            What `compute` gives for it.
        """
        key = hashlib.sha256(source).hexdigest()
        if key not in self._known:
            self._known[key], self._new = self._compute(source.decode("utf-8")), True
        return self._known[key]

    def save(self) -> None:
        """Write what this process found, if anything; where that fails, the next start computes it again."""
        if not self._new or not self._path.parent.is_dir():
            return
        content = {"valid for": self._valid_for, "fingerprints": self._known}
        try:
            write_text(self._path, json.dumps(content, indent=0, sort_keys=True))
        except UserError:
            return
        self._new = False
