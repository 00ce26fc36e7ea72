"""Features of a run that never was: two tasks, frames of two domains, two frames of each scene."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from nexusflow.analysis.features import KINDS, FeatureSet

TASKS = ("track", "map")
META: dict[str, Any] = {
    "scale": "smoke",
    "suite": "nuscenes",
    "run": "toy",
    "seed": 0,
    "tasks": list(TASKS),
    "post_hoc": False,
    "labelled_in": {"track": "singapore", "map": "boston"},
    "domains": {"boston": 12, "singapore": 12},
    "frames": 24,
    "groups": 12,
}


def toy_features(
    apart: float = 0.0, h_widths: tuple[int, int] = (3, 3), width: int = 4, **changes: Any
) -> FeatureSet:
    """Draw normal features of 24 frames; those of map lie `apart` off in every dimension."""
    generator = np.random.default_rng(0)
    tables = {}
    for kind in KINDS:
        widths = h_widths if kind == "h" else (width, width)
        tables[kind] = {
            task: (generator.normal(size=(24, size)) + apart * index).astype(np.float32)
            for index, (task, size) in enumerate(zip(TASKS, widths, strict=True))
        }
    names = np.array([f"frame{number}" for number in range(24)])
    scenes = np.array([f"scene{number // 2}" for number in range(24)])
    domains = np.array(["boston"] * 12 + ["singapore"] * 12)
    return FeatureSet(tables, names, domains, scenes, copy.deepcopy(META) | changes)
