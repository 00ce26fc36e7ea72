"""Contenders that take turns, each in a process of its own, so that a busy machine burdens all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

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
    context = get_context("spawn")
    pipes, processes = {}, []
    taken: dict[str, Turns] = {}
    try:
        for name, build in builds.items():
            pipes[name], theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, build), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            taken[name] = Turns(idle_mib=pipes[name].recv())
        for turn in track(range(warm_up + rounds), title, total=warm_up + rounds):
            # Every other round backwards, so that nobody always follows the same contender.
            for name in list(builds)[:: -1 if turn % 2 else 1]:
                pipes[name].send(True)
                seconds, busy, taken[name].peak_mib = pipes[name].recv()
                if turn >= warm_up:
                    taken[name].seconds.append(seconds)
                    taken[name].busy.append(busy)
        for pipe in pipes.values():
            pipe.send(False)
    finally:
        for process in processes:
            process.join(timeout=5)
            process.terminate()
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
