"""Everything that makes a run a pure function of its configuration and seed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

__all__ = ["make_deterministic", "resolve_precision"]

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
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # Nothing here reads memory it has not written, and filling every new tensor takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


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
