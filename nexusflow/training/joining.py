"""How a process finds out that it is one of several, and meets the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy

from nexusflow.core.errors import UserError
from nexusflow.training.config import TrainingConfig
from nexusflow.training.ranks import Ranks

__all__ = ["Started", "join_ranks", "ranks_to_start", "started_by"]

# Ranks wait for each other, for instance while the first one scores the validation split.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Started:
    """How this process was started as one of several.

    Attributes:
        by: "torchrun", in whose words `nexusflow.training.launch` speaks too, or "srun".
        rank: number of this process.
        ranks: processes in all.
        nodes: machines.
    """

    by: str
    rank: int
    ranks: int
    nodes: int


def started_by(environment: Mapping[str, str]) -> Started | None:
    """Read from the environment whether a launcher has started this process as one of several.

    Args:
        environment: the process's environment.

    Returns:
        What the launcher says; None where this process stands alone.
    """
    if {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"} <= set(environment):
        ranks = int(environment["WORLD_SIZE"])
        return Started(
            "torchrun",
            int(environment["RANK"]),
            ranks,
            ranks // int(environment.get("LOCAL_WORLD_SIZE", ranks)),
        )
    # A job of SLURM has these numbers too; only its steps, which srun starts, have as many processes.
    ranks = int(environment.get("SLURM_STEP_NUM_TASKS", 1))
    if "SLURM_PROCID" in environment and ranks > 1:
        nodes = int(environment.get("SLURM_STEP_NUM_NODES", 1))
        return Started("srun", int(environment["SLURM_PROCID"]), ranks, nodes)
    return None


def ranks_to_start(config: TrainingConfig, environment: Mapping[str, str]) -> int:
    """Tell how many ranks this process has to start before it can train.

    Args:
        config: the budget.
        environment: the process's environment.

    Returns:
        The number of devices; 0 where this process trains itself, alone or as a rank.

    Raises:
        UserError: if there are several machines, on which nothing can be started from here.
    """
    if started_by(environment) is not None or config.devices * config.nodes == 1:
        return 0
    if config.nodes > 1:
        raise UserError(
            f"training.nodes is {config.nodes}, so start the same command by `srun` or `torchrun` with "
            f"{config.devices} processes on every machine."
        )
    return config.devices


def join_ranks(config: TrainingConfig, precision: str, backend: str | None = None) -> Ranks:
    """Meet the other ranks of this run, if a launcher has started any.

    Args:
        config: the budget.
        precision: "32-true" or "bf16-mixed".
        backend: of torch.distributed; by default NCCL on GPUs and Gloo elsewhere.

    Returns:
        The ranks; this process alone where no launcher has started it.

    Raises:
        UserError: if the launcher started another number of processes than the budget asks for.
    """
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    started = started_by(os.environ)
    wanted = config.devices * config.nodes
    if started is None or (started.ranks == 1 and wanted == 1):
        if wanted > 1:
            raise UserError(f"training.devices × nodes is {wanted}, but this process was started alone.")
        return Ranks(Fabric(accelerator=accelerator, devices=1, precision=precision))  # type: ignore[arg-type]
    if wanted not in (1, started.ranks):
        raise UserError(
            f"training.devices × nodes is {wanted}, but {started.by} has started {started.ranks} processes; "
            "make them equal, or set both keys to 1 to take what is there."
        )
    if config.batch_size % (started.ranks * config.accumulate):
        raise UserError(
            f"training.batch_size is {config.batch_size}, which is no multiple of {started.ranks} processes "
            f"× accumulate {config.accumulate}."
        )
    place: ClusterEnvironment = SLURMEnvironment() if started.by == "srun" else TorchElasticEnvironment()
    fabric = Fabric(
        accelerator=accelerator,
        devices=started.ranks // started.nodes,
        num_nodes=started.nodes,
        strategy=DDPStrategy(cluster_environment=place, process_group_backend=backend, timeout=_PATIENCE),
        precision=precision,  # type: ignore[arg-type]
    )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with _meeting(started):
        fabric.launch()
    return Ranks(fabric)


@contextmanager
def _meeting(started: Started) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The {started.ranks} processes that {started.by} has started did not find each other: {error}"
        ) from error
