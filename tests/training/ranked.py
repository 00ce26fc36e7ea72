"""Trainings of a few steps by several processes of this machine, and by one."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.section import MethodSection
from nexusflow.training import loop
from nexusflow.training.checkpoint import read_tensors, write_tensors
from nexusflow.training.config import TrainingConfig
from nexusflow.training.loop import fit
from nexusflow.training.resume import ResumeFiles
from tests.training.small_suites import bev_suite, dense_suite

CONTEXT = multiprocessing.get_context("forkserver")
SUITES: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "nuscenes": bev_suite,
    "nyuv2": dense_suite,
    "nyuv2_group": lambda kinds: dense_suite(kinds, "group"),
}


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_rank(rank: int, ranks: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    if ranks > 1:
        sizes = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "RANK": rank, "LOCAL_RANK": rank}
        os.environ |= {name: str(number) for name, number in sizes.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    work(rank, *arguments)


def in_ranks(ranks: int, work: Callable[..., None], *arguments: Any) -> list[int | None]:
    """Call a function with the rank's number and the arguments in so many processes; gives exit codes."""
    CONTEXT.set_forkserver_preload(["tests.training.ranked"])
    port = free_port()
    processes = [
        CONTEXT.Process(target=_as_rank, args=(rank, ranks, port, work, arguments)) for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    return [process.exitcode for process in processes]


def _doubled(batch: Any) -> Any:
    values = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    floats = {
        name: x.double() for name, x in values.items() if isinstance(x, Tensor) and x.is_floating_point()
    }
    return dataclasses.replace(batch, **floats)


def _train(
    rank: int,
    folder: str,
    suite: str,
    kinds: tuple[int, ...],
    method: MethodSection,
    config: TrainingConfig,
    double: bool,
) -> None:
    # With its own eps AdamW moves weights whose gradient is nothing but rounding as far as all others.
    loop.torch.optim.AdamW = partial(torch.optim.AdamW, eps=1e-3)  # type: ignore[misc, assignment]
    if double:
        torch.set_default_dtype(torch.float64)
        torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign, assignment]
    built = SUITES[suite](kinds)
    added = build_method(method, BuildContext(built.tap_channels, 0, built.canvas_spec, suite))
    if double:
        built.model.double()
        added.double()
        load = built.batch
        built.batch = lambda *which: _doubled(load(*which))
    resume = ResumeFiles(Path(folder) / "work", "fingerprint")
    result = fit(built, added, config, 0, resume, suite)
    last = {f"gradient/{n}": p.grad for n, p in built.model.named_parameters() if p.grad is not None}
    state = {f"model/{name}": x for name, x in built.model.state_dict().items()}
    state |= {f"method/{name}": x for name, x in added.state_dict().items()}
    log = {name: torch.tensor([row[name] for row in result.log.rows]) for name in result.log.rows[0]}
    write_tensors(Path(folder) / f"rank{rank}.safetensors", {**last, **state, **log}, {})


def trained(
    folder: Path,
    suite: str,
    kinds: tuple[int, ...],
    method: MethodSection,
    config: TrainingConfig,
    ranks: int = 1,
    double: bool = False,
) -> list[dict[str, Tensor]]:
    """Train in so many processes; gives last gradients, weights and log of every rank."""
    folder.mkdir()
    assert in_ranks(ranks, _train, str(folder), suite, kinds, method, config, double) == [0] * ranks
    return [read_tensors(folder / f"rank{rank}.safetensors")[0] for rank in range(ranks)]
