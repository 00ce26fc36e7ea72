"""Fabricated NYUv2 result files for tests of tables and figures; no number here was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.core.files import write_json
from nexusflow.paper.dense_data import DenseFrame, DenseLayer

# Metric → centre, spread over seeds, and what a better method changes.
METRICS = {
    "Seg IoU": (45.0, 0.6, 1.0),
    "Pixel accuracy": (68.0, 0.8, 1.0),
    "Seg IoU/wall": (70.0, 0.5, 1.0),
    "Depth aErr": (0.32, 0.006, -1.0),
    "Depth RMSE": (0.48, 0.008, -1.0),
    "Depth rel": (0.12, 0.004, -1.0),
    "Norm mErr": (17.0, 0.3, -1.0),
    "Norm RMSE": (26.0, 0.4, -1.0),
    "Norm <11.25": (52.0, 0.7, 1.0),
    "Norm <22.5": (74.0, 0.7, 1.0),
    "Norm <30": (82.0, 0.6, 1.0),
}
BEST = ("Seg IoU", "Depth aErr", "Norm mErr")


def dense_metrics_content(run: str, seed: int, gain: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Invent a metrics.json; `gain` improves every metric by that share."""
    rng = np.random.Generator(np.random.PCG64([seed, *run.encode()]))
    values = {
        name: round(centre * (1 + way * gain) + spread * float(rng.normal()), 4)
        for name, (centre, spread, way) in METRICS.items()
    }
    content: dict[str, Any] = {
        "run": run,
        "suite": "nyuv2",
        "seed": seed,
        "scale": "smoke",
        "world": "rooms",
        "metrics": {"overall": values},
        "check": {},
    }
    return content | changes


def write_dense_metrics(
    folder: Path,
    run: str,
    seeds: tuple[int, ...] = (0, 1, 2),
    gain: float = 0.0,
    trained: bool = True,
) -> tuple[Path, ...]:
    """Write one metrics.json per seed with its provenance.json beside it."""
    paths = tuple(folder / run / f"seed{seed}" / "metrics.json" for seed in seeds)
    for path, seed in zip(paths, seeds, strict=True):
        content = dense_metrics_content(run, seed, gain)
        write_json(path, content)
        if trained:
            best = {name: round(content["metrics"]["overall"][name] * 1.001, 4) for name in BEST}
            provenance = {"train_seconds": 80.0 + seed, "steps": 1200, "peak_memory_mib": 700.0 + seed}
            provenance["best_validation"] = {"step": 1080 + 60 * seed, **best}
            write_json(path.with_name("provenance.json"), provenance)
    return paths


def cost_content(runs: tuple[str, ...] = ("full", "baseline", "nexusflow_centre")) -> dict[str, Any]:
    """Invent a cost file; every run is a little slower and larger than the one before."""
    rows = [
        {
            "run": run,
            "seconds_per_step": 0.1 * (1 + 0.02 * index),
            "seconds_per_step_iqr": 0.004,
            "images_per_second": 80 / (1 + 0.02 * index),
            "peak_memory_mib": 400.0 + 20 * index,
            "idle_memory_mib": 210.0,
            "steps": 20,
        }
        for index, run in enumerate(runs)
    ]
    return {
        "scale": "smoke",
        "suite": "nyuv2",
        "device": "invented CPU",
        "memory": "peak resident memory above the idle process",
        "threads": 1,
        "batch_size": 8,
        "image_height": 96,
        "image_width": 128,
        "rounds": 5,
        "rows": rows,
    }


def _room(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, depth and normals of a bare room with a table, a sofa and a picture."""
    y_H, x_W = np.linspace(1, -1, height), np.linspace(-1.3, 1.3, width)
    x_HW, y_HW = np.meshgrid(x_W, y_H)
    z = np.stack(
        [
            np.full_like(x_HW, 4.0),  # wall ahead
            np.where(y_HW < 0, 1.3 / np.maximum(-y_HW, 1e-3), np.inf),  # floor
            np.where(y_HW > 0, 1.5 / np.maximum(y_HW, 1e-3), np.inf),  # ceiling
            np.where(x_HW < 0, 2.4 / np.maximum(-x_HW, 1e-3), np.inf),  # wall at the left
        ]
    )
    plane_HW, depth_HW = z.argmin(0), z.min(0)
    classes_HW = np.array([11, 4, 2, 11])[plane_HW].astype(np.int8)
    normals = np.array([[0, 0, 1], [0, 1, 0], [0, -1, 0], [1, 0, 0]], np.float32)[plane_HW]
    for left, right, low, high, name, depth in (
        (-0.2, 0.3, 0.05, 0.25, 7, 3.98),
        (0.35, 1.1, -0.75, -0.2, 8, 2.6),
        (-0.7, 0.05, -0.65, -0.42, 9, 2.2),
        (-0.5, -0.35, -0.44, -0.3, 6, 2.15),
    ):
        inside = (x_HW > left) & (x_HW < right) & (y_HW > low) & (y_HW < high)
        classes_HW[inside], depth_HW[inside], normals[inside] = name, depth, (0, 0, 1)
    return classes_HW, depth_HW.astype(np.float32), normals


def _guess(
    truth: tuple[np.ndarray, np.ndarray, np.ndarray], noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spoil the truth: shifted edges, wrong patches, bent normals."""
    classes_HW, depth_HW, normal_HW3 = (np.roll(part, round(8 * noise), 1).copy() for part in truth)
    height, width = classes_HW.shape
    for _ in range(round(40 * noise)):
        row, column = int(rng.integers(height)), int(rng.integers(width))
        patch = np.s_[row : row + height // 8, column : column + width // 8]
        classes_HW[patch] = rng.integers(13)
    depth_HW = depth_HW * np.exp(0.3 * noise * rng.normal()) + 0.2 * noise * rng.normal(size=(height, width))
    normal_HW3 = normal_HW3 + noise * rng.normal(size=normal_HW3.shape) * 0.5
    normal_HW3 /= np.linalg.norm(normal_HW3, axis=-1, keepdims=True)
    return classes_HW, depth_HW.astype(np.float32), normal_HW3.astype(np.float32)


def make_dense_frame(seed: int = 0, height: int = 96, width: int = 128, methods: int = 3) -> DenseFrame:
    """Invent a room, its labels with void pixels, and methods of different quality."""
    rng = np.random.Generator(np.random.PCG64(seed))
    whole = _room(height, width)
    classes_HW, depth_HW, normal_HW3 = (part.copy() for part in whole)
    shade_HW = 0.35 + 0.5 / (1 + 0.15 * depth_HW) + 0.02 * rng.normal(size=(height, width))
    tint_HW3 = np.where((classes_HW == 4)[..., None], (1.0, 0.8, 0.6), (0.9, 0.95, 1.0))
    image_HW3 = np.clip(255 * shade_HW[..., None] * tint_HW3, 0, 255).astype(np.uint8)
    classes_HW[: height // 12, : width // 5] = -1
    depth_HW[height // 2 :, : width // 16] = 0
    normal_HW3[height // 2 :, : width // 16] = 0
    layers = []
    names = (("full", "Full supervision"), ("baseline", "Baseline"), ("nexusflow_centre", "Ours (centre)"))
    for (name, label), noise in list(zip(names, (0.3, 1.0, 0.6), strict=True))[:methods]:
        scores = {"Seg IoU": 60 - 30 * noise, "Depth aErr": 0.1 + 0.3 * noise, "Norm mErr": 8 + 14 * noise}
        layers.append(DenseLayer(name, label, *_guess(whole, noise, rng), scores=scores))
    info = {"image": 17, "images": 120, "chosen": "chosen without looking at predictions", "seed": seed}
    info |= {"scale": "smoke", "data": "invented numbers"}
    truth = DenseLayer("truth", "Ground truth", classes_HW, depth_HW, normal_HW3)
    return DenseFrame(image_HW3, truth, tuple(layers), info)
