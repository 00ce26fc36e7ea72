"""Everything that makes a run a pure function of its configuration and seed."""

from __future__ import annotations

import os
import random
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "make_deterministic",
    "nondeterministic_operations",
    "random_state",
    "resolve_precision",
    "restore_random_state",
]

_NOT_DETERMINISTIC = re.compile(r"^(\S+) does not have a deterministic implementation")
_BF16_FLAGS = ("avx512_bf16", "amx_bf16")


def make_deterministic(seed: int, threads: int) -> None:
    """Seed every generator and ask torch for deterministic algorithms.

    Args:
        seed: the run's seed.
        threads: OpenMP threads; sums are split by it, so it belongs to the run's configuration.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - third-party code may draw from the global generator
    torch.manual_seed(seed)
    # cuBLAS reads it when it is first used, and is deterministic only with it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # Nothing here reads memory it has not written, and filling every new tensor takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def nondeterministic_operations() -> Iterator[list[str]]:
    """Collect the operations for which torch has no deterministic algorithm on this device.

    They run nevertheless, where `make_deterministic` found a GPU, and each is printed once.

    Yields:
        Their names in torch, which the block fills; empty on a CPU, where torch refuses them instead.
    """
    names: list[str] = []
    show = warnings.showwarning

    def collect(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        found = _NOT_DETERMINISTIC.match(str(message))
        if not found:
            show(message, category, filename, lineno, file, line)
        elif found[1] not in names:
            names.append(found[1])
            print(f"not deterministic on this device: {found[1]}", flush=True)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_NOT_DETERMINISTIC.pattern.removeprefix("^"))
        warnings.showwarning = collect
        yield names


def random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take the state of every random generator of the process.

    Returns:
        States of torch's generators as byte tensors, and those of Python and NumPy as plain data.
    """
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - the generator that third-party code draws from
    version, numbers, gauss = random.getstate()
    plain = {"numpy": [name, np.asarray(keys).tolist(), *rest], "python": [version, list(numbers), gauss]}
    return tensors, plain


def restore_random_state(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    """Put every random generator back to where it was.

    Args:
        tensors: states of torch's generators, of `random_state`.
        plain: states of the generators of Python and NumPy, of `random_state`.
    """
    torch.set_rng_state(tensors["cpu"])
    # A run may go on where there are other devices; it then ends with other rounding anyway.
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(devices):
        if f"cuda{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda{index}"], index)
    name, keys, *rest = plain["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    version, numbers, gauss = plain["python"]
    random.setstate((version, tuple(numbers), gauss))


def resolve_precision(precision: str) -> str:
    """Turn `auto` into the precision this machine is fast in.

    Args:
        precision: "auto", "32-true" or "bf16-mixed".

    Returns:
        "32-true" or "bf16-mixed"; the provenance of the run records it.
    """
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "32-true"
    return "bf16-mixed" if any(flag in flags for flag in _BF16_FLAGS) else "32-true"
