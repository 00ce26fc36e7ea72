"""Time and memory of a training step, measured in a fresh process per method and in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import torch

from nexusflow.core.errors import UserError
from nexusflow.core.progress import track
from nexusflow.methods.base import Method
from nexusflow.suites.base import Suite
from nexusflow.training.config import TrainingConfig
from nexusflow.training.determinism import make_deterministic
from nexusflow.training.loop import Trainer, peak_memory_mib
from nexusflow.training.resume import ResumeFiles

__all__ = ["StepCost", "measure_costs"]

_WARM_UP_STEPS = 2

# Builds data, model, method and budget of a run inside the measuring process.
Builder = Callable[..., tuple[Suite, Method, TrainingConfig]]


@dataclass
class StepCost:
    """Cost of one training step of one run.

    Attributes:
        run: row of config/experiments.yaml.
        seconds: seconds of every measured step.
        idle_memory_mib: memory of the process before data and model are built, in MiB.
        peak_memory_mib: largest memory of the process above that, in MiB.
        batch_size: images or clips per step.
    """

    run: str
    idle_memory_mib: float = 0.0
    peak_memory_mib: float = 0.0
    batch_size: int = 0
    seconds: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Summarise the measurement as plain data: medians, quartile distance, images per second."""
        low, middle, high = statistics.quantiles(self.seconds, n=4)
        return {
            "run": self.run,
            "seconds_per_step": middle,
            "seconds_per_step_iqr": high - low,
            "images_per_second": self.batch_size / middle,
            "peak_memory_mib": self.peak_memory_mib,
            "idle_memory_mib": self.idle_memory_mib,
            "steps": len(self.seconds),
        }


def _idle_memory_mib() -> float:
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 2**20
    return psutil.Process().memory_info().rss / 2**20


def _serve(connection: Connection, build: Builder, run: str) -> None:
    """Run steps on request in a process of its own; an exception is sent as its sentence."""
    try:
        idle = _idle_memory_mib()
        suite, method, config = build(run)
        # The step of the whole batch on one device, however many the budget names.
        config = config.model_copy(update={"devices": 1, "nodes": 1})
        make_deterministic(0, config.threads)
        trainer = Trainer(suite, method, config, 0, ResumeFiles(Path("unused"), ""))
        suite.model.train()
        method.train()
        done = 0
        connection.send((idle, config.batch_size))
        while steps := connection.recv():
            seconds = []
            for step in range(done, done + steps):
                before = time.perf_counter()
                trainer.step(step)
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                seconds.append(time.perf_counter() - before)
            done += steps
            connection.send((seconds, peak_memory_mib()))
    except UserError as error:
        connection.send(error)


def _receive(connection: Connection, run: str) -> Any:
    try:
        answer = connection.recv()
    except EOFError as error:
        raise UserError(f"Measuring `{run}` ended early; is there enough memory?") from error
    if isinstance(answer, UserError):
        raise answer
    return answer


def measure_costs(build: Builder, runs: Sequence[str], rounds: int, steps: int) -> list[StepCost]:
    """Measure training steps of several runs in turns, so that a busy machine burdens all alike.

    Args:
        build: builds data, model, method and budget of a run; called in the run's own process.
        runs: rows of config/experiments.yaml.
        rounds: turns.
        steps: steps per run and turn.

    Returns:
        One measurement per run, in the order of `runs`.

    Raises:
        UserError: if a run cannot be built or its process ends early.

    Source: Table 5 of the paper; on a GPU memory is the allocator's peak.
    """
    context = get_context("spawn")
    pipes, processes, costs = [], [], []
    try:
        for run in runs:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, build, run), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
            # One after the other, so that no process is built while another one is measured.
            idle, batch_size = _receive(ours, run)
            costs.append(StepCost(run, idle_memory_mib=idle, batch_size=batch_size))
        for turn in track(range(rounds + 1), "cost of training steps"):
            for cost, pipe in zip(costs, pipes, strict=True):
                pipe.send(steps if turn else _WARM_UP_STEPS)
                seconds, peak = _receive(pipe, cost.run)
                cost.peak_memory_mib = peak - cost.idle_memory_mib
                if turn:
                    cost.seconds += seconds
        for pipe in pipes:
            pipe.send(0)
    finally:
        for process in processes:
            process.join(timeout=5)
            process.terminate()
    return costs
