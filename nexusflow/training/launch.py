"""Starts the ranks of one machine as processes, and ends all of them when one has failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

from nexusflow.core.errors import UserError

__all__ = ["LAUNCHER_VARIABLE", "die_with_launcher", "launch", "rank_environment"]

LAUNCHER_VARIABLE = "NEXUSFLOW_LAUNCHER"
_POLL_S = 0.05
# So long may a rank that failed by itself be followed by the first one, which then has said why.
_LAST_WORDS_S = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def rank_environment(rank: int, ranks: int, port: int) -> dict[str, str]:
    """Say to a process which rank it is, in the words of torchrun.

    Args:
        rank: its number.
        ranks: number of ranks, all on this machine.
        port: where a store for their meeting listens.

    Returns:
        Environment variables.
    """
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
    numbers |= {"GROUP_RANK": 0, "MASTER_PORT": port, "TORCHELASTIC_RESTART_COUNT": 0}
    words = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    return words | {name: str(number) for name, number in numbers.items()}


def die_with_launcher(environment: Mapping[str, str]) -> None:
    """End this process as soon as its launcher has ended, however that happened.

    Args:
        environment: the process's environment; without a launcher nothing is done.
    """
    if LAUNCHER_VARIABLE not in environment:
        return
    descriptor = int(environment[LAUNCHER_VARIABLE])

    def wait() -> None:
        os.read(descriptor, 1)  # The launcher writes nothing: this returns when its end is closed.
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


class _Group:
    """The processes of all ranks; what others than the first say is kept aside."""

    def __init__(self, command: Sequence[str], ranks: int, port: int) -> None:
        self._reading, self._writing = os.pipe()
        self._aside: list[IO[str]] = []
        self.said: list[str] = []
        self.processes: list[subprocess.Popen[str]] = []
        for rank in range(ranks):
            aside = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - outlives this
            self._aside.append(aside)
            environment = os.environ | rank_environment(rank, ranks, port)
            environment[LAUNCHER_VARIABLE] = str(self._reading)
            # In sessions of their own, so that Ctrl-C reaches them once, from here.
            process = subprocess.Popen(
                list(command),
                env=environment,
                pass_fds=[self._reading],
                start_new_session=True,
                stdout=aside if rank else None,
                stderr=aside if rank else None,
                text=True,
            )
            self.processes.append(process)

    def codes(self) -> list[int | None]:
        return [process.poll() for process in self.processes]

    def tell(self, signum: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signum)

    def end(self) -> None:
        """Kill what still runs; published files and checkpoints are never half-written."""
        self.tell(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        os.close(self._reading)
        os.close(self._writing)
        for stream in self._aside:
            stream.seek(0)
            self.said.append(stream.read())
            stream.close()


@contextmanager
def _forwarded(group: _Group) -> Iterator[list[int]]:
    """Pass Ctrl-C and SIGTERM on to all ranks, which finish their step and save; yields what has come."""
    come: list[int] = []

    def forward(signum: int, frame: FrameType | None) -> None:
        come.append(signum)
        group.tell(signum)

    before = {number: signal.signal(number, forward) for number in _SIGNALS}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_failure(group: _Group) -> tuple[int, int] | None:
    """Wait until all ranks have ended well, or one has not; killed ranks come first."""
    while True:
        codes = group.codes()
        failed = [(rank, code) for rank, code in enumerate(codes) if code]
        if failed:
            return min(failed, key=lambda pair: (pair[1] != -signal.SIGKILL, pair[1] > 0, pair[0]))
        if all(code == 0 for code in codes):
            return None
        time.sleep(_POLL_S)


def _await_first_rank(group: _Group) -> int | None:
    """Give the first rank a moment to end by itself, as it does where all ranks fail alike."""
    deadline = time.monotonic() + _LAST_WORDS_S
    while group.processes[0].poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return group.processes[0].poll()


def launch(command: Sequence[str], ranks: int) -> None:
    """Run a command as all ranks of this machine and wait for them.

    Args:
        command: what every rank runs.
        ranks: number of ranks.

    Raises:
        UserError: if a rank was killed.
        SystemExit: with the code of a rank that has ended otherwise, for instance at Ctrl-C; what it said
            stands on stderr.
    """
    from torch.distributed import TCPStore

    # Held open here, so that no other job can take its port before the first rank does.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    group = _Group(command, ranks, store.port)
    try:
        with _forwarded(group) as come:
            failure = _first_failure(group)
            if failure is None:
                return
            rank, code = failure
            first = _await_first_rank(group) if code > 0 else None
    finally:
        group.end()
    if -code in come:
        # It had not begun to train, so that there was nothing to save.
        raise SystemExit(128 - code)
    if code < 0:
        raise UserError(
            f"Rank {rank} of {ranks} was killed by {signal.Signals(-code).name}, so the others were ended; "
            "the same command goes on from the last checkpoint."
        )
    if not first or first < 0:
        print(group.said[rank], end="", file=sys.stderr)
        raise SystemExit(code)
    raise SystemExit(first)
