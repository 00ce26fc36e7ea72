"""A validation split of street scenes and predictions for it that err as trackers do.

Legend: N boxes, 2 x and y.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nexusflow.core.files import write_json
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.generate import VERSION, generate_street_world
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.ground_truth import GroundTruth, load_ground_truth

__all__ = ["VERSION", "make_world", "write_predictions"]

NOISE_M, JITTER_M = 0.4, 0.3  # of a whole track, and of a box
LOST, SWITCHED = 0.15, 0.03  # shares of boxes
GHOSTS = 0.25  # false tracks per true one


def make_world(folder: Path, scenes: int, key_frames: int) -> GroundTruth:
    """Generate street scenes with the smallest pictures, which nobody looks at, and read their tracks."""
    smallest = {"image_height": 32, "image_width": 56, "supersample": 1, "ground_cell_m": 0.4}
    sizes = {"train_scenes": 2, "val_scenes": scenes, "key_frames": key_frames, "scenes_per_street": 1}
    config = StreetWorldConfig.model_validate({**smallest, **sizes})
    generate_street_world(config, folder, workers=1)
    return load_ground_truth(folder, VERSION)


def _box(token: str, xy_2: np.ndarray, identity: str, label: int, score: float) -> dict[str, Any]:
    return {
        "sample_token": token,
        "translation": [float(xy_2[0]), float(xy_2[1]), 0.0],
        "size": [2.0, 4.0, 1.5],
        "rotation": [1.0, 0.0, 0.0, 0.0],
        "velocity": [0.0, 0.0],
        "tracking_id": identity,
        "tracking_name": TRACKING_CLASSES[label],
        "tracking_score": float(np.clip(score, 0, 1)),
    }


def write_predictions(truth: GroundTruth, path: Path, seed: int) -> None:
    """Write a submission: every true track displaced, jittered, interrupted and cut, and false tracks."""
    rng = np.random.Generator(np.random.PCG64(seed))
    tracks, tokens = truth.tracks, truth.timeline.sample_tokens
    results: dict[str, list[dict[str, Any]]] = {token: [] for token in tokens}
    for number, identity in enumerate(np.unique(tracks.track_N).tolist()):
        mine = np.flatnonzero(tracks.track_N == identity)
        for copy in range(1 + int(rng.random() < GHOSTS)):
            # A false track follows a true one at a distance that rarely matches.
            offset_2 = rng.normal(0, NOISE_M, 2) + (rng.normal(0, 6, 2) if copy else 0)
            quality, part = rng.uniform(0.1, 0.5 if copy else 0.95), 0
            for n in mine.tolist():
                part += int(rng.random() < SWITCHED)
                if rng.random() < LOST:
                    continue
                token = tokens[tracks.frame_N[n]]
                xy_2 = tracks.xy_N2[n] + offset_2 + rng.normal(0, JITTER_M, 2)
                score = quality + rng.normal(0, 0.05)
                name = f"{number}-{copy}-{part}"
                results[token].append(_box(token, xy_2, name, int(tracks.label_N[n]), score))
    write_json(path, {"meta": {"use_camera": True}, "results": results})
