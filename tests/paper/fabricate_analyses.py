"""Fabricated analyses of features for tests of figures; no number here was measured.

Letters: N frames, K eigenvalues.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.paper.analysis_files import FORMAT, AnalysedRun, AnalysisContext
from nexusflow.paper.archive import write_archive

CONTEXT = AnalysisContext("smoke", "fabricated", 0)
TASKS = {"nuscenes": ["track", "map"], "nyuv2": ["segmentation", "depth", "normal"]}


def _meta(item: AnalysedRun, post_hoc: bool, changes: dict[str, Any]) -> dict[str, Any]:
    groups = 4 if item.suite == "nuscenes" else 12
    head = {"format": FORMAT, "scale": "smoke", "suite": item.suite, "run": item.run, "seed": 0}
    head |= {"tasks": TASKS[item.suite], "post_hoc": post_hoc, "frames": 12, "groups": groups}
    return head | changes


def _item(folder: Path, run: str, suite: str) -> AnalysedRun:
    return AnalysedRun(suite, run, run.title(), folder / suite / run / "seed0.json")


def write_pictures_of(
    folder: Path,
    run: str,
    suite: str = "nuscenes",
    kinds: Sequence[str] = ("h", "embedding", "latent"),
    apart: float = 3.0,
    post_hoc: bool = False,
    **changes: Any,
) -> AnalysedRun:
    """What `nexusflow analyse embedding` writes: tasks `apart` units from each other."""
    item, rng = _item(folder, run, suite), np.random.Generator(np.random.PCG64(0))
    arrays = {
        f"{kind}/{task}": (rng.normal(size=(12, 2)) + apart * index).astype(np.float32)
        for kind in kinds
        for index, task in enumerate(TASKS[suite])
    }
    numbers = {kind: {"mixing": 0.25, "accuracy": 0.75, "chance": 0.5} for kind in kinds}
    meta = {"perplexity": 30.0, "neighbours": 30, "pictures": numbers}
    assert item.path is not None
    write_archive(item.path.with_suffix(".npz"), arrays, _meta(item, post_hoc, meta | changes))
    return item


def write_spectra_of(
    folder: Path,
    run: str,
    kinds: Sequence[str] = ("embedding", "latent"),
    decay: float = 0.5,
    post_hoc: bool = False,
    **changes: Any,
) -> AnalysedRun:
    """What `nexusflow analyse spectrum` writes: eigenvalues that fall by a factor e per 1 / `decay`."""
    item = _item(folder, run, "nuscenes")
    shares_K = np.exp(-decay * np.arange(8))
    shares_K /= shares_K.sum()
    band_2K = np.stack((0.9 * shares_K, 1.1 * shares_K))
    arrays, numbers = {}, {}
    for kind in kinds:
        arrays |= {f"{kind}/all/shares": shares_K, f"{kind}/all/band": band_2K}
        numbers[kind] = {"all": {"dim": 8, "effective_rank": 4.0, "effective_rank_band": [3.5, 4.5]}}
    assert item.path is not None
    content = {"confidence": 0.9, "spectra": numbers}
    write_archive(item.path.with_suffix(".npz"), arrays, _meta(item, post_hoc, content | changes))
    return item


def write_lemma_of(
    folder: Path, run: str, suite: str = "nuscenes", vacuous: bool = False, **changes: Any
) -> AnalysedRun:
    """What `nexusflow analyse lemma` writes: a far analytic bound, infinite if `vacuous`, others near."""
    item, rng = _item(folder, run, suite), np.random.Generator(np.random.PCG64(0))
    arrays: dict[str, np.ndarray] = {}
    pairs = []
    tasks = TASKS[suite]
    for first, second in [(a, b) for index, a in enumerate(tasks) for b in tasks[index + 1 :]]:
        left_N = rng.uniform(1, 2, 12)
        far_N = np.full(12, np.inf) if vacuous else 1e3 * left_N
        rights = {
            "analytic": far_N,
            "local": 2 * left_N,
            "secant": np.where(np.arange(12) < 3, 0.9, 1.5) * left_N,
        }
        arrays[f"{first}-{second}/left"] = left_N
        arrays |= {f"{first}-{second}/right_{key}": right_N for key, right_N in rights.items()}
        readings = {
            key: {"lipschitz": constant, "share": share, "vacuous": False, "median_slack": 1.0}
            for key, constant, share in (("analytic", 1e3, 1.0), ("local", 2.0, 1.0), ("secant", 1.5, 0.75))
        }
        if vacuous:
            readings["analytic"] |= {"lipschitz": None, "vacuous": True, "median_slack": None}
        pairs.append({"tasks": [first, second], "delta": 0.5, "factor": 2**0.5, "readings": readings})
    assert item.path is not None
    content = {"loss": "center", "reduction": "sum", "pairs": pairs}
    write_archive(item.path.with_suffix(".npz"), arrays, _meta(item, False, content | changes))
    return item
