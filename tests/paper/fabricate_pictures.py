"""Fabricated outlines and scenes for tests of Figure 2 and of the video; no number here was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nexusflow.core.outline import PipelineOutline
from nexusflow.paper.qualitative_data import CAMERAS, SceneLayer
from nexusflow.paper.video_data import VIDEO_CAMERAS, SceneVideo, VideoFrame
from tests.paper.fabricate import make_frame


def part(name: str, shape: tuple[int, ...], parameters: int = 12_345, frozen: int = 0) -> dict[str, Any]:
    """Invent a part of a model."""
    return {
        "name": name,
        "parameters": parameters,
        "frozen": frozen,
        "output": f"{name} map",
        "shape": shape,
    }


def make_outline(
    tasks: tuple[str, ...] = ("track", "map"), frozen: bool = True, loss: str = "center", couplings: int = 6
) -> PipelineOutline:
    """Invent a pipeline."""
    trunk = [part(name, (64, 50, 50), 1_500_000, 1_500_000 * frozen) for name in ("Backbone", "Encoder")]
    branches = [
        {"task": task, "head": part(f"{task} former", (54, 64)), "predictions": {"boxes": (54, 10)}}
        for task in tasks
    ]
    surrogates = [
        {
            "task": task,
            "aggregator": "MLPAggregator",
            "aggregator_layers": 3,
            "aggregator_parameters": 777,
            "dim": 64,
            "couplings": couplings,
            "coupling_parameters": 4_567,
            "latent_dim": 32,
        }
        for task in tasks
    ]
    return PipelineOutline.model_validate(
        {
            "scale": "smoke",
            "data": "invented",
            "suite": "nuscenes",
            "run": "some_run",
            "partition": "s_geo",
            "starts_from": "baseline" if frozen else None,
            "model": {
                "input": "camera images",
                "input_shape": (6, 3, 64, 112),
                "trunk": trunk,
                "branches": branches,
            },
            "surrogates": surrogates,
            "loss": loss,
            "weight": 1.0,
        }
    )


def _moved(layer: SceneLayer, metres: float) -> SceneLayer:
    boxes_K9, tails_P2 = layer.boxes_K9.copy(), layer.tail_xy_P2.copy()
    boxes_K9[:, 0] -= metres
    tails_P2[:, 0] -= metres
    steps = round(metres / 50.0 * layer.map_CRR.shape[2])
    return replace(
        layer, boxes_K9=boxes_K9, tail_xy_P2=tails_P2, map_CRR=np.roll(layer.map_CRR, -steps, axis=2)
    )


def make_video(count: int = 3, height: int = 64, width: int = 112, cells: int = 100) -> SceneVideo:
    """Invent a scene through which the vehicle drives one metre per key frame."""
    frame = make_frame(0, height, width, cells)
    views = [CAMERAS.index(name) for name in VIDEO_CAMERAS]
    frames = tuple(
        VideoFrame(
            images_NHW3=np.ascontiguousarray(np.roll(frame.images_NHW3[views], index, axis=2)),
            ego2img_N44=frame.ego2img_N44[views],
            time_s=0.5 * index,
            baseline=_moved(frame.baseline, float(index)),
            ours=_moved(frame.ours, float(index)),
            truth=_moved(frame.truth, float(index)),
        )
        for index in range(count)
    )
    info = {key: value for key, value in frame.info.items() if key != "key_frame"}
    return SceneVideo(frames, frame.bev_half_m, info)
