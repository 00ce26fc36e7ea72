"""A tiny training in a process of its own that kills itself where it is told to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.training import checkpoint
from nexusflow.training.config import TrainingConfig
from nexusflow.training.run import RunIdentity, train_run
from tests.training.toy import ToySuite

CONFIG = TrainingConfig(
    steps=12,
    batch_size=4,
    learning_rate=0.01,
    warmup_steps=2,
    log_every=2,
    checkpoint_every=2,
    precision="32-true",
)
IDENTITY = RunIdentity("smoke", "toy", "toy", 0, "code", {}, "data")


def _die(*arguments: Any, **options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_half_written(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
    whole = checkpoint.save_file
    whole(tensors, path, metadata=metadata)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    _die()


def _at_call(owner: Any, name: str, number: int, act: Callable[..., None]) -> None:
    """Let the given call of a function act otherwise."""
    original, calls = getattr(owner, name), [0]

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            setattr(owner, name, original)
            return act(*arguments, **options)
        return original(*arguments, **options)

    setattr(owner, name, counted)


_PLACES: dict[str, tuple[Any, str, Callable[..., None]]] = {
    "batch": (ToySuite, "batch", _die),
    "write": (checkpoint, "save_file", _die_half_written),
    "sync": (os, "fsync", _die),
    "rename": (Path, "replace", _die),
    "prune": (Path, "unlink", _die),
}


def train(folder: str, place: str | None = None, number: int = 1) -> None:
    """Train, and die at the given call of the given place."""
    if place is not None:
        owner, name, act = _PLACES[place]
        _at_call(owner, name, number, act)
    train_run(IDENTITY, ToySuite(), NexusFlowConfig(dim=8, hidden=8, depth=2), CONFIG, Path(folder))
