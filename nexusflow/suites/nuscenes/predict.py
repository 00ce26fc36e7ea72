"""Writes what a trained model says about the validation split; track thresholds come from training scenes.

Letters: B scenes in lock step, N cameras, K boxes or map classes, M all boxes of the cache, F frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from nexusflow.bev.config import TrackerThresholds
from nexusflow.bev.model import BEVModel
from nexusflow.bev.types import FramePrediction
from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.core.progress import track
from nexusflow.core.spread import evenly_spread
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.scenes import SceneEntry
from nexusflow.evaluation.config import EvaluationConfig
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.fast_tracking import TrackingScores, evaluate_tracks
from nexusflow.evaluation.predictions import MAP_FILE, TRACKING_FILE, TrackedFrame, write_map, write_tracking
from nexusflow.evaluation.thresholds import rank_thresholds
from nexusflow.evaluation.tracking import resolve_class_range
from nexusflow.evaluation.tracks import Timeline, Tracks
from nexusflow.suites.nuscenes.config import TrackerSearchConfig

__all__ = ["GridMemory", "PredictionJob", "predict_run", "stream_scenes"]

_SCENES_IN_LOCK_STEP = 16
_MAP_THRESHOLD = 0.5
# BEV grids kept between candidates of thresholds, bytes; what does not fit is encoded again.
_GRID_MEMORY = 512 * 2**20


@dataclass(frozen=True)
class PredictionJob:
    """Everything that prediction needs.

    Attributes:
        model: trained model in evaluation mode.
        cache: decoded images and calibration.
        partition: scene name → task → whether its labels are visible; thresholds are chosen on such scenes.
        tracker: candidate thresholds.
        evaluation: range within which the choice is scored.
        precision: "32-true" or "bf16-mixed".
    """

    model: BEVModel
    cache: NuScenesCache
    partition: Mapping[str, Mapping[str, bool]]
    tracker: TrackerSearchConfig
    evaluation: EvaluationConfig
    precision: str


class GridMemory:
    """Keeps the BEV grids of frames predicted before, as far as they fit."""

    def __init__(self) -> None:
        self._grids: dict[tuple[int, ...], torch.Tensor] = {}
        self._bytes = 0

    def get(self, frames: Sequence[int]) -> torch.Tensor | None:
        """Return the grids (B, C, H, W) of frames in lock step, if they were kept."""
        return self._grids.get(tuple(frames))

    def keep(self, frames: Sequence[int], bev_BCHW: torch.Tensor) -> None:
        """Keep the grids (B, C, H, W) of frames in lock step, unless the memory is full."""
        size = bev_BCHW.nbytes
        if tuple(frames) not in self._grids and self._bytes + size <= _GRID_MEMORY:
            self._grids[tuple(frames)] = bev_BCHW
            self._bytes += size


def stream_scenes(
    job: PredictionJob,
    scenes: Sequence[SceneEntry],
    thresholds: TrackerThresholds,
    memory: GridMemory | None = None,
    with_map: bool = True,
) -> Iterator[tuple[int, FramePrediction]]:
    """Predict scenes frame by frame, several scenes in lock step.

    Args:
        job: model and data.
        scenes: the scenes, of any length.
        thresholds: life cycle of the tracks.
        memory: shared by calls with the same model and scenes, which then encode the images once.
        with_map: whether the maps are wanted.

    Yields:
        Frame index in the cache and its prediction, on the CPU.
    """
    device = next(job.model.parameters()).device
    cache = job.cache
    for start in range(0, len(scenes), _SCENES_IN_LOCK_STEP):
        group = sorted(scenes[start : start + _SCENES_IN_LOCK_STEP], key=lambda scene: -scene.num_frames)
        state = None
        for number in range(group[0].num_frames):
            alive = [scene for scene in group if scene.num_frames > number]
            if state is not None and len(alive) < len(state.next_id_B):
                state = state.select(torch.arange(len(alive), device=device))
            frames = [scene.first_frame + number for scene in alive]
            with torch.autocast(device.type, torch.bfloat16, enabled=job.precision == "bf16-mixed"):
                predictions, state = job.model.predict_batch(
                    torch.from_numpy(np.ascontiguousarray(cache.images_FNCHW[frames])).to(device),
                    torch.from_numpy(np.ascontiguousarray(cache.ego2img_FN44[frames])).to(device),
                    torch.from_numpy(np.ascontiguousarray(cache.ego2global_F44[frames])).to(device),
                    torch.from_numpy(np.ascontiguousarray(cache.timestamps_F[frames])).to(device),
                    state,
                    thresholds,
                    None if memory is None else memory.get(frames),
                    with_map,
                )
            if memory is not None:
                memory.keep(frames, state.bev_BCHW)
            yield from zip(frames, predictions, strict=True)


def _global_xy(boxes_K9: np.ndarray, ego2global_44: np.ndarray) -> np.ndarray:
    return (boxes_K9[:, :3].astype(np.float64) @ ego2global_44[:3, :3].T + ego2global_44[:3, 3])[:, :2]


def _near(boxes_K9: np.ndarray, labels_K: np.ndarray, job: PredictionJob) -> np.ndarray:
    ranges = resolve_class_range(cast("dict[str, float] | float | None", job.evaluation.class_range_m))
    range_C = np.array([ranges[name] for name in TRACKING_CLASSES])
    return np.hypot(boxes_K9[:, 0], boxes_K9[:, 1]) < range_C[labels_K]


def _collect(parts: Sequence[tuple[np.ndarray, ...]]) -> Tracks:
    """Join (frame, label, identity, xy, score) arrays of all frames."""
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    frame_N, label_N, track_N, xy_N2, score_N = columns
    return Tracks(frame_N, label_N, track_N, xy_N2, score_N)


def _timeline(cache: NuScenesCache, scenes: Sequence[SceneEntry]) -> tuple[Timeline, dict[int, int]]:
    frames = [f for scene in scenes for f in range(scene.first_frame, scene.first_frame + scene.num_frames)]
    lengths = [scene.num_frames for scene in scenes]
    timeline = Timeline(
        [cache.sample_tokens[frame] for frame in frames],
        np.repeat(np.arange(len(scenes)), lengths),
        np.round(cache.timestamps_F[frames] * 1e6).astype(np.int64),
        [scene.name for scene in scenes],
        [scene.city for scene in scenes],
    )
    return timeline, {frame: row for row, frame in enumerate(frames)}


def _true_tracks(job: PredictionJob, rows: Mapping[int, int]) -> Tracks:
    cache, parts = job.cache, []
    for frame, row in rows.items():
        own = cache.boxes_of(frame)
        boxes_K9, labels_K = np.asarray(cache.boxes_M9[own]), np.asarray(cache.labels_M[own])
        near = _near(boxes_K9, labels_K, job)
        count = int(near.sum())
        xy_K2 = _global_xy(boxes_K9[near], cache.ego2global_F44[frame])
        identity_K = np.asarray(cache.instances_M[own])[near]
        parts.append((np.full(count, row), labels_K[near], identity_K, xy_K2, np.full(count, -1.0)))
    return _collect(parts)


def _score_thresholds(
    job: PredictionJob, scenes: Sequence[SceneEntry], memory: GridMemory, birth: float, keep: float
) -> TrackingScores:
    """Track some training scenes with one pair of thresholds and score the result."""
    timeline, rows = _timeline(job.cache, scenes)
    thresholds = _thresholds(job, birth, keep)
    parts = []
    for frame, prediction in stream_scenes(job, scenes, thresholds, memory, with_map=False):
        boxes_K9 = prediction.boxes_P9.float().cpu().numpy()
        labels_K = prediction.labels_P.cpu().numpy()
        near = _near(boxes_K9, labels_K, job)
        scene_index = int(timeline.scene_F[rows[frame]])
        identity_K = prediction.track_ids_P.cpu().numpy()[near] + scene_index * 1_000_000
        xy_K2 = _global_xy(boxes_K9[near], job.cache.ego2global_F44[frame])
        score_K = prediction.scores_P.double().cpu().numpy()[near]
        parts.append((np.full(len(xy_K2), rows[frame]), labels_K[near], identity_K, xy_K2, score_K))
    parts.sort(key=lambda part: int(part[0][0]) if len(part[0]) else -1)
    return evaluate_tracks(_true_tracks(job, rows), _collect(parts), timeline)


def _thresholds(job: PredictionJob, birth: float, keep: float) -> TrackerThresholds:
    update = {"birth": birth, "keep": keep, "max_misses": job.tracker.max_misses}
    return job.model.config.thresholds.model_copy(update=update)


def _choose(job: PredictionJob, title: str) -> tuple[TrackerThresholds, dict[str, Any]]:
    """Choose the thresholds on training scenes whose tracks the run was allowed to see."""
    visible = [s for s in job.cache.scenes if s.split == "train" and job.partition[s.name]["track"]]
    if not visible:
        raise UserError(f"{title}: no training scene shows track labels, so no thresholds can be chosen.")
    # Spread over the table, so that every location has its share.
    places = evenly_spread(len(visible), job.tracker.scenes)
    scenes = [visible[place] for place in places]
    pairs = [(b, k) for b in job.tracker.births for k in job.tracker.keeps if k <= b]
    memory = GridMemory()
    ranked = rank_thresholds(
        track(pairs, f"{title}: thresholds"),
        lambda birth, keep: _score_thresholds(job, scenes, memory, birth, keep),
    )
    record: dict[str, Any] = {
        "chosen": {"birth": ranked[0].birth, "keep": ranked[0].keep},
        "scenes": [scene.name for scene in scenes],
        "candidates": [{"birth": r.birth, "keep": r.keep, "AMOTA": r.amota} for r in ranked],
    }
    return _thresholds(job, ranked[0].birth, ranked[0].keep), record


def predict_run(job: PredictionJob, output: Path, title: str) -> None:
    """Write `tracking.json`, `map.npz` and `tracker.json` of the validation split.

    Args:
        job: model and data.
        output: the prediction folder.
        title: shown with the progress.

    Raises:
        UserError: if no training scene shows track labels.
    """
    thresholds, record = _choose(job, title)
    scenes = [scene for scene in job.cache.scenes if scene.split == "val"]
    total = sum(scene.num_frames for scene in scenes)
    tracked: dict[int, TrackedFrame] = {}
    masks: dict[int, np.ndarray] = {}
    for frame, prediction in track(
        stream_scenes(job, scenes, thresholds), f"{title}: validation", total=total
    ):
        tracked[frame] = TrackedFrame(
            job.cache.sample_tokens[frame],
            prediction.boxes_P9.float().cpu().numpy(),
            prediction.labels_P.cpu().numpy(),
            prediction.scores_P.float().cpu().numpy(),
            prediction.track_ids_P.cpu().numpy(),
            job.cache.ego2global_F44[frame],
        )
        masks[frame] = (prediction.map_KHW.float() > _MAP_THRESHOLD).cpu().numpy().astype(np.uint8)
    frames = sorted(tracked)
    write_tracking(output / TRACKING_FILE, [tracked[frame] for frame in frames])
    tokens = [job.cache.sample_tokens[frame] for frame in frames]
    write_map(
        output / MAP_FILE, np.stack([masks[frame] for frame in frames]), tokens, job.model.config.bev_half_m
    )
    write_json(output / "tracker.json", record)
