"""Everything drawable of the key frames of one scene: a .npz with a .json beside it.

In the file, arrays of all key frames lie one after the other: images and maps have the key frame first, boxes
and tails are concatenated, with their numbers per key frame beside them.

Legend: F key frames, N cameras, H and W image size, K boxes, P tail points, C map classes, R map cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.paper.archive import check_array, read_archive, read_entries, write_archive
from nexusflow.paper.qualitative_data import LAYER_ARRAYS, SceneLayer, check_layer

__all__ = ["VIDEO_CAMERAS", "SceneVideo", "VideoFrame", "load_video", "save_video"]

VIDEO_CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT")
_LAYERS = ("baseline", "ours", "truth")
_STACKED = ("map_CRR",)
_FORMAT = 1


@dataclass(frozen=True)
class VideoFrame:
    """One key frame with the predictions of two runs and the truth.

    Args:
        images_NHW3: RGB bytes, cameras in VIDEO_CAMERAS' order.
        ego2img_N44: homogeneous ego points → (u·d, v·d, d, 1) in pixels of these images.
        time_s: seconds since the first key frame of the scene.
        baseline: upper strip.
        ours: lower strip.
        truth: faint outlines.
    """

    images_NHW3: NDArray[np.uint8]
    ego2img_N44: NDArray[np.float32]
    time_s: float
    baseline: SceneLayer
    ours: SceneLayer
    truth: SceneLayer


@dataclass(frozen=True)
class SceneVideo:
    """The key frames of a scene, in order.

    Args:
        frames: the key frames.
        bev_half_m: half side of the map, metres.
        info: what the caption names: "scene", "city", "scale", "data", "seed".
    """

    frames: tuple[VideoFrame, ...]
    bev_half_m: float
    info: Mapping[str, Any] = field(default_factory=dict)


def _check(video: SceneVideo, path: Path) -> None:
    """Refuse arrays whose shapes do not belong together."""
    check_array(len(video.frames) > 0, path, "times", "of one key frame at least")
    first = video.frames[0]
    for frame in video.frames:
        shape = frame.images_NHW3.shape
        check_array(
            len(shape) == 4 and shape[0] == len(VIDEO_CAMERAS) and shape[3] == 3,
            path,
            "images",
            f"of shape (F, {len(VIDEO_CAMERAS)}, H, W, 3)",
        )
        check_array(shape == first.images_NHW3.shape, path, "images", "of one size in all key frames")
        check_array(frame.images_NHW3.dtype == np.uint8, path, "images", "of type uint8")
        wanted = (len(VIDEO_CAMERAS), 4, 4)
        check_array(frame.ego2img_N44.shape == wanted, path, "ego2img", f"of shape (F, *{wanted})")
        for name in _LAYERS:
            layer = getattr(frame, name)
            check_layer(layer, name, path)
            same = layer.map_CRR.shape == first.truth.map_CRR.shape
            check_array(same, path, f"{name}/map_CRR", "of one size in all layers")


def save_video(video: SceneVideo, npz_path: Path) -> None:
    """Write a scene as `X.npz` (arrays) and `X.json` (names, caption, hash of the arrays).

    Args:
        video: the key frames.
        npz_path: destination of the arrays; the JSON gets the same stem.

    Raises:
        UserError: if shapes do not fit.
    """
    npz_path = Path(npz_path)
    _check(video, npz_path)
    frames = video.frames
    arrays: dict[str, Any] = {
        "images": np.stack([frame.images_NHW3 for frame in frames]),
        "ego2img": np.stack([frame.ego2img_N44 for frame in frames]).astype(np.float32),
        "times": np.array([frame.time_s for frame in frames], np.float64),
    }
    names = {}
    for name in _LAYERS:
        layers = [getattr(frame, name) for frame in frames]
        names[name] = {"name": layers[0].name, "label": layers[0].label}
        for key, kind in LAYER_ARRAYS.items():
            join = np.stack if key in _STACKED else np.concatenate
            arrays[f"{name}/{key}"] = join([getattr(layer, key) for layer in layers]).astype(kind)
        arrays[f"{name}/boxes"] = np.array([len(layer.boxes_K9) for layer in layers], np.int64)
        arrays[f"{name}/tails"] = np.array([len(layer.tail_xy_P2) for layer in layers], np.int64)
    meta = {
        "format": _FORMAT,
        "bev_half_m": float(video.bev_half_m),
        "info": dict(video.info),
        "layers": names,
    }
    write_archive(npz_path, arrays, meta)


def _split(
    entry: Any, arrays: Mapping[str, NDArray[Any]], name: str, count: int, npz_path: Path
) -> list[SceneLayer]:
    """Take the layers of one kind apart again, key frame by key frame."""
    if not isinstance(entry, dict) or not {"name", "label"} <= set(entry):
        json_path = npz_path.with_suffix(".json")
        raise UserError(f"{json_path}: key 'layers.{name}' needs 'name' and 'label'; make it again.")
    parts: dict[str, list[Any]] = {}
    for key in LAYER_ARRAYS:
        values = arrays[f"{name}/{key}"]
        if key in _STACKED:
            check_array(len(values) == count, npz_path, f"{name}/{key}", f"of {count} key frames")
            parts[key] = list(values)
            continue
        total = "tails" if key.startswith("tail_") else "boxes"
        counts_F = arrays[f"{name}/{total}"]
        fits = counts_F.shape == (count,) and int(counts_F.sum()) == len(values)
        check_array(fits, npz_path, f"{name}/{total}", f"of {count} key frames and fit '{name}/{key}'")
        parts[key] = np.split(values, np.cumsum(counts_F)[:-1])
    return [
        SceneLayer(str(entry["name"]), str(entry["label"]), **{key: parts[key][f] for key in parts})
        for f in range(count)
    ]


def load_video(npz_path: Path) -> SceneVideo:
    """Read a scene written by `save_video`.

    Args:
        npz_path: the arrays; the JSON lies beside them.

    Returns:
        The key frames.

    Raises:
        UserError: naming file and key if something is missing, does not fit, or the two files do not belong
            together.
    """
    npz_path = Path(npz_path)
    meta, arrays = read_archive(npz_path, _FORMAT, ("bev_half_m", "info", "layers"))
    keys = [*LAYER_ARRAYS, "boxes", "tails"]
    wanted = ["images", "ego2img", "times", *(f"{name}/{key}" for name in _LAYERS for key in keys)]
    read_entries(arrays, wanted, npz_path)
    times = arrays["times"]
    for key in ("images", "ego2img"):
        check_array(len(arrays[key]) == len(times), npz_path, key, f"of {len(times)} key frames")
    entries = meta["layers"] if isinstance(meta["layers"], dict) else {}
    layers = {name: _split(entries.get(name), arrays, name, len(times), npz_path) for name in _LAYERS}
    frames = tuple(
        VideoFrame(
            arrays["images"][f],
            arrays["ego2img"][f],
            float(times[f]),
            **{name: layers[name][f] for name in _LAYERS},
        )
        for f in range(len(times))
    )
    video = SceneVideo(frames, float(meta["bev_half_m"]), meta["info"])
    _check(video, npz_path)
    return video
