"""Contenders that take turns, each in a process of its own, so that a busy machine burdens all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nexusflow.core.progress import track

__all__ = ["Build", "Turns", "measure_in_turns", "measure_turns"]

# Prepares a contender in its own process and gives what is timed.
Build = Callable[[], Callable[[int], object]]


@dataclass
class Turns:
    """What one contender's process took.

    Attributes:
        seconds: wall time of every counted call.
        busy: processor time of every counted call, all threads, in seconds; other programs add little to it.
        idle_mib: memory of the process before the contender is prepared, in MiB.
        peak_mib: largest memory of the process, in MiB.
    """

    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    idle_mib: float = 0.0
    peak_mib: float = 0.0


def _memory_mib(key: str) -> float:
    """An entry of /proc/self/status; 0 where there is none (it exists on Linux only)."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:")), 0.0)


def _serve(connection: Connection, build: Build) -> None:
    """Time calls on request; a call gets its number."""
    idle, number = _memory_mib("VmRSS"), 0
    call = build()
    connection.send(idle)
    while connection.recv():
        busy, start = time.process_time(), time.perf_counter()
        call(number)
        connection.send((time.perf_counter() - start, time.process_time() - busy, _memory_mib("VmHWM")))
        number += 1


class _Contender:
    """A contender's process and the pipe to it."""

    def __init__(self, name: str, build: Build) -> None:
        context = get_context("spawn")
        self.name = name
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, build), daemon=True)
        self.process.start()
        theirs.close()

    def receive(self) -> Any:
        """What the process says next; a sentence where it ended instead, as for want of memory."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            raise SystemExit(
                f"The process of `{self.name}` ended by itself (exit code {self.process.exitcode}; -9 often "
                "means that the memory was full): compare fewer contenders at a time."
            ) from None

    def turn(self) -> Any:
        """What one call took."""
        with suppress(ConnectionError):  # told by `receive`
            self.pipe.send(True)
        return self.receive()

    def end(self) -> None:
        """Ends the process, whatever it does."""
        with suppress(ConnectionError):
            self.pipe.send(False)
        self.process.join(timeout=5)
        self.process.terminate()


def measure_turns(
    builds: Mapping[str, Build], rounds: int, warm_up: int = 1, title: str = "turns"
) -> dict[str, Turns]:
    """Call every contender once per round.

    Args:
        builds: name → what prepares the contender; must be picklable.
        rounds: calls that count.
        warm_up: calls before these, not counted.
        title: shown with the progress.

    Returns:
        Name → times of every counted call, and memory.
    """
    contenders: list[_Contender] = []
    taken: dict[str, Turns] = {}
    try:
        for name, build in builds.items():
            contenders.append(_Contender(name, build))
            taken[name] = Turns(idle_mib=contenders[-1].receive())
        for turn in track(range(warm_up + rounds), title, total=warm_up + rounds):
            # Every other round backwards, so that nobody always follows the same contender.
            for contender in contenders[:: -1 if turn % 2 else 1]:
                mine = taken[contender.name]
                seconds, busy, mine.peak_mib = contender.turn()
                if turn >= warm_up:
                    mine.seconds.append(seconds)
                    mine.busy.append(busy)
    finally:
        for contender in contenders:
            contender.end()
    return taken


def measure_in_turns(
    builds: Mapping[str, Build], rounds: int, warm_up: int = 1, title: str = "turns"
) -> dict[str, list[float]]:
    """The wall times of `measure_turns` alone.

    Args:
        builds: name → what prepares the contender; must be picklable.
        rounds: calls that count.
        warm_up: calls before these, not counted.
        title: shown with the progress.

    Returns:
        Name → seconds of every counted call.
    """
    return {name: turns.seconds for name, turns in measure_turns(builds, rounds, warm_up, title).items()}
