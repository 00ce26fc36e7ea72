"""Progress of long loops: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

__all__ = ["track"]

Item = TypeVar("Item")
_SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate over `items` while showing how far the loop has come, on standard error.

    Args:
        items: what to iterate over.
        description: a few words shown before the count.
        total: number of items, where `items` cannot tell.

    Yields:
        The items, unchanged and in order.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(items, description, total=total, console=Console(stderr=True), transient=True)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - start)
            goal = f"/{total}, {(total - done) / rate:.0f} s left" if total else ""
            print(f"{description}: {done}{goal}", file=sys.stderr, flush=True)
