"""Fabricated result files for tests of tables and figures; no number here was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nexusflow.core.files import write_json, write_text
from nexusflow.paper.qualitative_data import QualitativeFrame, SceneLayer

METRICS = ("AMOTA", "AMOTP", "Recall", "IDS", "Lanes", "Drivable", "Divider", "Crossing", "Contour")
CENTRES = (0.30, 1.40, 0.42, 220.0, 30.0, 62.0, 22.0, 14.0, 18.0)
SPREADS = (0.01, 0.03, 0.01, 12.0, 0.8, 1.0, 0.6, 0.7, 0.5)


def metrics_content(run: str, seed: int, strength: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Invent a metrics.json; `strength` multiplies all values, seeds add noise shared by all runs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    own = np.random.Generator(np.random.PCG64([seed, *run.encode()]))
    regions = {}
    for region, factor in (("overall", 1.0), ("boston", 0.85), ("singapore", 1.1)):
        noise = rng.normal(size=len(METRICS)) + 0.5 * own.normal(size=len(METRICS))
        values = np.array(CENTRES) * strength * factor + noise * np.array(SPREADS)
        regions[region] = {name: round(float(value), 4) for name, value in zip(METRICS, values, strict=True)}
        regions[region]["IDS"] = float(round(regions[region]["IDS"]))
    content: dict[str, Any] = {
        "run": run,
        "suite": "nuscenes",
        "seed": seed,
        "scale": "smoke",
        "metrics": regions,
        "training": {"seconds": 100.0 + seed, "steps": 400, "peak_memory_mib": 1024.5},
    }
    return content | changes


def write_metrics(
    folder: Path, run: str, seeds: tuple[int, ...] = (0, 1, 2), strength: float = 1.0
) -> tuple[Path, ...]:
    """Write one metrics.json per seed."""
    paths = tuple(folder / run / f"seed{seed}" / "metrics.json" for seed in seeds)
    for path, seed in zip(paths, seeds, strict=True):
        write_json(path, metrics_content(run, seed, strength))
    return paths


def write_log(
    path: Path, seed: int, collapse: bool = False, alignment: bool = True, steps: int = 2000
) -> Path:
    """Write a log.csv that looks like a run whose alignment does or does not collapse."""
    rng = np.random.Generator(np.random.PCG64(seed))
    step = np.arange(20, steps + 1, 20)
    share = step / steps

    def noisy(values: np.ndarray, amount: float = 0.05) -> np.ndarray:
        return values * np.exp(amount * rng.normal(size=len(values)))

    columns: dict[str, np.ndarray] = {"step": step}
    columns["loss/track/focal"] = noisy(1.2 * np.exp(-2 * share) + 0.3)
    columns["loss/track/box"] = noisy(2.0 * np.exp(-3 * share) + 0.8)
    columns["loss/map/dice"] = noisy(1.0 * np.exp(-2 * share) + 0.5)
    columns["loss/total"] = columns["loss/track/focal"] + columns["loss/track/box"] + columns["loss/map/dice"]
    if alignment:
        shrink = np.exp(-(9.0 if collapse else 0.4) * share)
        columns["loss/nexusflow/align"] = noisy(20 * np.exp(-2 * share) * shrink**2)
        columns["monitor/nexusflow/relative_loss"] = noisy(0.5 * np.exp(-(0.1 if collapse else 1.5) * share))
        columns["monitor/nexusflow/distance_ratio"] = noisy(1.0 - (0.05 if collapse else 0.5) * share, 0.01)
        columns["monitor/nexusflow/cosine_same"] = np.clip(noisy(0.2 + 0.75 * share, 0.02), -1, 1)
        columns["monitor/nexusflow/cosine_shuffled"] = np.clip(
            noisy(0.15 + (0.79 if collapse else 0.1) * share, 0.02), -1, 1
        )
        for task in ("track", "map"):
            name = f"monitor/nexusflow/{task}"
            columns[f"{name}/latent_std"] = noisy(1.0 * shrink)
            columns[f"{name}/embedding_std"] = noisy(0.8 * np.exp(-0.3 * share))
            columns[f"{name}/latent_rank"] = noisy(1 + 40 * np.exp(-(4 if collapse else 0.6) * share))
            columns[f"{name}/embedding_rank"] = noisy(1 + 35 * np.exp(-0.5 * share))
            columns[f"{name}/log_det_mean"] = (-30 if collapse else -4) * share + 0.2 * rng.normal(
                size=len(step)
            )
    write_text(path, pd.DataFrame(columns).to_csv(index=False, lineterminator="\n"))
    return path


def _cameras(height: int, width: int) -> np.ndarray:
    """Six pinhole cameras around the vehicle, 1.6 m above the ground."""
    matrices = []
    for degrees in (0, -60, 60, 180, 120, -120):
        yaw = np.radians(degrees)
        forward, left = np.array([np.cos(yaw), np.sin(yaw), 0]), np.array([-np.sin(yaw), np.cos(yaw), 0])
        rotation = np.stack([-left, [0, 0, -1], forward])
        extrinsic = np.eye(4)
        extrinsic[:3, :3], extrinsic[:3, 3] = rotation, -rotation @ np.array([0.8 * np.cos(yaw), 0.0, 1.6])
        focal = 0.85 * width
        intrinsic = np.diag([focal, focal, 1.0, 1.0])
        intrinsic[:2, 2] = width / 2, height / 2
        matrices.append(intrinsic @ extrinsic)
    return np.array(matrices, np.float32)


def _truth_map(cells: int, half_m: float) -> np.ndarray:
    y, x = np.meshgrid(*2 * [(np.arange(cells) + 0.5) * 2 * half_m / cells - half_m], indexing="ij")
    maps = np.zeros((4, cells, cells), np.uint8)
    road = (np.abs(y) < 7) | ((np.abs(x - 12) < 6) & (y > 0))
    maps[3] = road
    maps[0] = (np.abs(y) < 0.6) & (x < 5) | (np.abs(np.abs(y) - 3.5) < 0.3) & (x < 5) & (np.abs(x) % 6 < 4)
    maps[1] = (np.abs(x - 3.5) < 1.5) & (np.abs(y) < 7)
    eroded = road & np.roll(road, 1, 0) & np.roll(road, -1, 0) & np.roll(road, 1, 1) & np.roll(road, -1, 1)
    maps[2] = road & ~eroded
    return maps


def make_frame(seed: int = 0, height: int = 64, width: int = 112, cells: int = 100) -> QualitativeFrame:
    """Invent a street scene with a weaker baseline."""
    rng = np.random.Generator(np.random.PCG64(seed))
    half_m, labels = 25.0, np.array([2, 2, 6, 4, 4, 1, 0, 2, 3, 5])
    sizes = {0: (1.8, 0.6, 1.4), 1: (11, 2.9, 3.4), 2: (4.6, 1.9, 1.7), 3: (2, 0.8, 1.4), 4: (0.7, 0.7, 1.8)}
    sizes |= {5: (10, 2.8, 3.6), 6: (7, 2.5, 3.0)}
    xy = np.array(
        [[9, 2], [17, -2], [-12, 2], [5, 8.5], [4, -9], [12, 13], [-5, 5.4], [-9, -2], [20, 5], [-19, -5.2]]
    )
    yaw = np.array([0, np.pi, 0, 1.2, -1, np.pi / 2, 0, np.pi, 0.1, 0])
    boxes = np.array(
        [[*p, sizes[k][2] / 2, *sizes[k], a, 2, 0] for p, k, a in zip(xy, labels, yaw, strict=True)],
        np.float32,
    )
    truth_map = _truth_map(cells, half_m)

    def layer(name: str, label: str, keep: list[int], noise: float, masks: np.ndarray) -> SceneLayer:
        mine = boxes[keep].copy()
        mine[:, :2] += rng.normal(size=(len(keep), 2)) * noise
        ages = np.tile(np.arange(1, 6), len(keep))
        ids = np.array(keep) + 11
        heading = np.stack([np.cos(mine[:, 6]), np.sin(mine[:, 6])], 1)
        tails = np.repeat(mine[:, :2], 5, 0) - np.repeat(heading, 5, 0) * ages[:, None] * 0.9
        scores = np.ones(len(keep), np.float32) if name == "truth" else np.linspace(0.9, 0.4, len(keep))
        return SceneLayer(
            name=name,
            label=label,
            boxes_K9=mine,
            labels_K=labels[keep],
            ids_K=ids,
            scores_K=np.asarray(scores, np.float32),
            map_CRR=masks,
            tail_xy_P2=tails.astype(np.float32),
            tail_ids_P=np.repeat(ids, 5),
            tail_ages_P=ages,
        )

    poor = truth_map.copy()
    poor[3, 60:85, 60:90] = 0
    poor[2, 60:85, 60:90] = 0
    poor[1] = 0
    better = truth_map.copy()
    better[0, 60:70] = 0
    images = np.empty((6, height, width, 3), np.uint8)
    ramp = np.linspace(0, 1, height)[:, None]
    for camera in range(6):
        sky = np.where(ramp < 0.5, 200 - 60 * ramp, 95 + 40 * ramp) + rng.normal(size=(height, width)) * 5
        images[camera] = np.clip(sky[..., None] + np.array([-6, 0, 10]), 0, 255)
    info = {"scene": "scene-0000", "key_frame": 7, "city": "boston", "scale": "smoke", "seed": seed}
    return QualitativeFrame(
        images,
        _cameras(height, width),
        half_m,
        layer("baseline", "Baseline (UniAD)", [0, 1, 3, 7, 9], 0.9, poor),
        layer("nexusflow_two_stage", "Ours (two stage)", [0, 1, 2, 4, 5, 6, 7, 8], 0.25, better),
        layer("truth", "Truth", list(range(10)), 0.0, truth_map),
        info,
    )
