"""Contenders that take turns, each in a process of its own, so that a busy machine burdens all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection

from nexusflow.core.progress import track

__all__ = ["Build", "measure_in_turns"]

# Prepares a contender in its own process and gives what is timed.
Build = Callable[[], Callable[[int], object]]


def _serve(connection: Connection, build: Build) -> None:
    """Time calls on request; a call gets its number."""
    call, number = build(), 0
    connection.send(None)
    while connection.recv():
        start = time.perf_counter()
        call(number)
        connection.send(time.perf_counter() - start)
        number += 1


def measure_in_turns(
    builds: Mapping[str, Build], rounds: int, warm_up: int = 1, title: str = "turns"
) -> dict[str, list[float]]:
    """Call every contender once per round.

    Args:
        builds: name → what prepares the contender; must be picklable.
        rounds: calls that count.
        warm_up: calls before these, not counted.
        title: shown with the progress.

    Returns:
        Name → seconds of every counted call.
    """
    context = get_context("spawn")
    pipes, processes = {}, []
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    try:
        for name, build in builds.items():
            pipes[name], theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, build), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            pipes[name].recv()
        for turn in track(range(warm_up + rounds), title, total=warm_up + rounds):
            # Every other round backwards, so that nobody always follows the same contender.
            for name in list(builds)[:: -1 if turn % 2 else 1]:
                pipes[name].send(True)
                taken = pipes[name].recv()
                if turn >= warm_up:
                    seconds[name].append(taken)
        for pipe in pipes.values():
            pipe.send(False)
    finally:
        for process in processes:
            process.join(timeout=5)
            process.terminate()
    return seconds
