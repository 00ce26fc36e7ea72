"""Reading YAML: plain data only, with the compiled parser where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

__all__ = ["read_yaml"]

# Ten times as fast as the parser in Python, and as safe: neither makes objects.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Read a file of plain data.

    Args:
        path: the file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: if there is no such file.
        yaml.YAMLError: if it is not valid YAML.
        UnicodeDecodeError: if it is not UTF-8.
    """
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
