"""Seconds and arithmetic of the parts of a training step, against the least that the hardware could need.

The floor is the larger of two times: counted operations over the measured rate of a large matrix product,
and counted bytes over the measured rate of a large copy. Operations are those of matrix products and
convolutions. Bytes are inputs and outputs of every innermost module, once forward and twice backward, the
weights twice, and eleven accesses to each parameter in the optimiser.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nexusflow.methods.base import Method
from nexusflow.suites.nuscenes.suite import NuScenesSuite
from nexusflow.training.config import TrainingConfig
from nexusflow.training.determinism import make_deterministic, resolve_precision

__all__ = ["floor_table"]

PARTS = ("backbone", "encoder", "track", "map")
OPTIMISER_ACCESSES = 11  # gradient norm 1; AdamW reads four and writes three; averaging reads two, writes one


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _median_seconds(function: Callable[[], object], repeats: int) -> float:
    function()
    seconds = []
    for _ in range(repeats):
        _wait()
        begin = time.perf_counter()
        function()
        _wait()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def ceilings(device: str, dtype: torch.dtype) -> dict[str, float]:
    """Measure the rates of a large matrix product (per second) and of a large copy (bytes per second)."""
    side, count = (8192, 2**29) if device == "cuda" else (2048, 2**26)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    source = torch.empty(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product = _median_seconds(lambda: a @ b, 7)
    copy = _median_seconds(lambda: target.copy_(source), 7)
    return {"operations_per_s": 2 * side**3 / product, "bytes_per_s": 2 * count / copy}


@contextmanager
def _leaf_bytes(roots: list[nn.Module]) -> Iterator[list[int]]:
    """Add up the bytes of inputs and outputs of innermost modules."""
    total = [0]

    def add(module: nn.Module, inputs: Any, output: Any) -> None:
        tensors = [x for x in (*inputs, output) if isinstance(x, Tensor)]
        total[0] += sum(x.numel() * x.element_size() for x in tensors)

    leaves = [m for root in roots for m in root.modules() if not list(m.children())]
    handles = [module.register_forward_hook(add) for module in leaves]
    try:
        yield total
    finally:
        for handle in handles:
            handle.remove()


class _WholeModel:
    """Stands in for torch's tracker of modules, which fails on modules called without gradient."""

    parents = ("Global",)

    def __enter__(self) -> None:
        """Nothing is tracked."""

    def __exit__(self, *_: object) -> None:
        """Nothing was tracked."""


@contextmanager
def _watched(network: nn.Module, seconds: dict[str, float]) -> Iterator[None]:
    """Add up the forward seconds of the parts; recomputation in the backward pass is not counted here."""
    begins: dict[str, float] = {}
    handles = []
    for name in PARTS:

        def start(_module: nn.Module, _inputs: Any, name: str = name) -> None:
            _wait()
            begins[name] = time.perf_counter()

        def stop(_module: nn.Module, _inputs: Any, _output: Any, name: str = name) -> None:
            _wait()
            seconds[name] += time.perf_counter() - begins[name]

        part = getattr(network, name)
        handles += [part.register_forward_pre_hook(start), part.register_forward_hook(stop)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _step(
    suite: NuScenesSuite, method: Method, optimizer: torch.optim.Optimizer, step: int, autocast: Any
) -> dict[str, float]:
    """Run a training step and return seconds by part."""
    seconds: dict[str, float] = defaultdict(float)
    marks = [time.perf_counter()]

    def mark(name: str) -> None:
        _wait()
        marks.append(time.perf_counter())
        seconds[name] = marks[-1] - marks[-2]

    batch = suite.batch(step)
    mark("data")
    with autocast(), _watched(suite.network, seconds):
        result = suite.forward(batch, step, False)
        mark("forward")
        extra = method.extra_losses(result.taps, result.outputs, result.visible, step, result.views)
    mark("method")
    total = torch.stack([value.float() for value in (*result.losses.values(), *extra.values())]).sum()
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    mark("backward")
    optimizer.step()
    mark("optimiser")
    seconds["losses and matching"] = seconds["forward"] - sum(seconds[name] for name in PARTS)
    seconds["step"] = marks[-1] - marks[0]
    return dict(seconds)


def floor_table(suite: NuScenesSuite, method: Method, training: TrainingConfig, steps: int) -> dict[str, Any]:
    """Measure the parts of a training step and count its operations and bytes.

    Args:
        suite: the suite; its model is moved to the GPU if there is one.
        method: the method.
        training: the budget, for precision and threads.
        steps: timed steps, after two for warming up.

    Returns:
        Medians in seconds by part, counts by part, the measured rates, and the floor in seconds.
    """
    make_deterministic(0, training.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    mixed = resolve_precision(training.precision) == "bf16-mixed"
    network = suite.network.to(device).train()
    method.to(device).train()
    suite.provide_views(method.view_plan)
    parameters = [*network.parameters(), *method.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-6, fused=True)

    def autocast() -> Any:
        return torch.autocast(device, torch.bfloat16, enabled=mixed)

    rows = [_step(suite, method, optimizer, step, autocast) for step in range(steps + 2)][2:]
    seconds = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _WholeModel()  # type: ignore[assignment]
    with _leaf_bytes([network, method]) as touched, counter:
        _step(suite, method, optimizer, steps + 2, autocast)
    rates = ceilings(device, torch.bfloat16 if mixed else torch.float32)
    numbers = sum(p.numel() for p in parameters)
    operations = counter.get_total_flops()
    # The hooks also see what is computed again in the backward pass.
    moved = 3 * touched[0] + 4 * numbers * (2 + OPTIMISER_ACCESSES)
    floor = max(operations / rates["operations_per_s"], moved / rates["bytes_per_s"])
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU, {training.threads} threads",
        "torch": torch.__version__,
        "precision": "bf16-mixed" if mixed else "32-true",
        "seconds": seconds,
        "operations": operations,
        "bytes": moved,
        "parameters": numbers,
        "peak_mib": torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None,
        **rates,
        "floor_s": floor,
        "step_over_floor": seconds["step"] / floor,
    }
