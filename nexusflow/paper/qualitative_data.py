"""Everything drawable of one key frame: a small .npz with a .json beside it.

Legend: N cameras, H and W image size, K boxes, P tail points, C map classes, R map cells per side.
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

__all__ = [
    "CAMERAS",
    "LAYER_ARRAYS",
    "MAP_CLASSES",
    "TRACK_CLASSES",
    "QualitativeFrame",
    "SceneLayer",
    "check_layer",
    "load_qualitative",
    "save_qualitative",
]

CAMERAS = (
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_FRONT_LEFT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
    "CAM_BACK_RIGHT",
)
TRACK_CLASSES = ("bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck")
MAP_CLASSES = ("divider", "crossing", "contour", "drivable")
_BOX_SIZE = 9
_FORMAT = 1


@dataclass(frozen=True)
class SceneLayer:
    """What one method says about the frame, or the truth.

    Args:
        name: run name, or "truth".
        label: shown name.
        boxes_K9: x, y, z, l, w, h, yaw, vx, vy in the ego frame (metres, radians, m/s).
        labels_K: index into TRACK_CLASSES.
        ids_K: track id, stable over frames of a scene.
        scores_K: confidence, 1 for the truth.
        map_CRR: 0/1 masks in MAP_CLASSES' order; row ↔ y, column ↔ x, row 0 = smallest y.
        tail_xy_P2: centres in earlier frames, in the ego frame of this frame, metres.
        tail_ids_P: track id of each tail point.
        tail_ages_P: how many key frames ago, from 1.
    """

    name: str
    label: str
    boxes_K9: NDArray[np.float32]
    labels_K: NDArray[np.int64]
    ids_K: NDArray[np.int64]
    scores_K: NDArray[np.float32]
    map_CRR: NDArray[np.uint8]
    tail_xy_P2: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    tail_ids_P: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    tail_ages_P: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class QualitativeFrame:
    """One key frame with the predictions of two methods and the truth.

    Args:
        images_NHW3: RGB bytes, cameras in CAMERAS' order.
        ego2img_N44: homogeneous ego points → (u·d, v·d, d, 1) in pixels of these images.
        bev_half_m: half side of the map, metres.
        baseline: upper strip.
        ours: middle strip.
        truth: lower strip and faint outlines.
        info: what the caption names: "scene", "key_frame", "city", "scale", "data", "seed", …
    """

    images_NHW3: NDArray[np.uint8]
    ego2img_N44: NDArray[np.float32]
    bev_half_m: float
    baseline: SceneLayer
    ours: SceneLayer
    truth: SceneLayer
    info: Mapping[str, Any] = field(default_factory=dict)


_LAYERS = ("baseline", "ours", "truth")
LAYER_ARRAYS: dict[str, Any] = {
    "boxes_K9": np.float32,
    "labels_K": np.int64,
    "ids_K": np.int64,
    "scores_K": np.float32,
    "map_CRR": np.uint8,
    "tail_xy_P2": np.float32,
    "tail_ids_P": np.int64,
    "tail_ages_P": np.int64,
}


def check_layer(layer: SceneLayer, name: str, path: Path) -> None:
    """Refuse arrays whose shapes do not belong together.

    Args:
        layer: the layer.
        name: its name in the file.
        path: the .npz file.

    Raises:
        UserError: naming file and array.
    """
    count, tails = len(layer.boxes_K9), len(layer.tail_xy_P2)
    check_array(layer.boxes_K9.shape == (count, _BOX_SIZE), path, f"{name}/boxes_K9", "of shape (K, 9)")
    for key in ("labels_K", "ids_K", "scores_K"):
        check_array(getattr(layer, key).shape == (count,), path, f"{name}/{key}", f"of shape ({count},)")
    check_array(layer.tail_xy_P2.shape == (tails, 2), path, f"{name}/tail_xy_P2", "of shape (P, 2)")
    for key in ("tail_ids_P", "tail_ages_P"):
        check_array(getattr(layer, key).shape == (tails,), path, f"{name}/{key}", f"of shape ({tails},)")
    valid = (layer.labels_K >= 0) & (layer.labels_K < len(TRACK_CLASSES))
    check_array(bool(valid.all()), path, f"{name}/labels_K", f"between 0 and {len(TRACK_CLASSES) - 1}")
    shape = layer.map_CRR.shape
    square = len(shape) == 3 and shape[0] == len(MAP_CLASSES) and shape[1] == shape[2]
    check_array(square, path, f"{name}/map_CRR", f"of shape ({len(MAP_CLASSES)}, R, R)")


def _check_frame(frame: QualitativeFrame, path: Path) -> None:
    shape = frame.images_NHW3.shape
    check_array(
        len(shape) == 4 and shape[0] == len(CAMERAS) and shape[3] == 3,
        path,
        "images",
        "of shape (6, H, W, 3)",
    )
    check_array(frame.images_NHW3.dtype == np.uint8, path, "images", "of type uint8")
    check_array(frame.ego2img_N44.shape == (len(CAMERAS), 4, 4), path, "ego2img", "of shape (6, 4, 4)")
    for name in _LAYERS:
        check_layer(getattr(frame, name), name, path)
    sizes = {getattr(frame, name).map_CRR.shape for name in _LAYERS}
    check_array(len(sizes) == 1, path, "map_CRR", "of one size in all layers")


def save_qualitative(frame: QualitativeFrame, npz_path: Path) -> None:
    """Write a frame as `X.npz` (arrays) and `X.json` (names, caption, hash of the arrays).

    Args:
        frame: the frame.
        npz_path: destination of the arrays; the JSON gets the same stem.

    Raises:
        UserError: if shapes do not fit.
    """
    npz_path = Path(npz_path)
    _check_frame(frame, npz_path)
    arrays: dict[str, Any] = {"images": frame.images_NHW3, "ego2img": frame.ego2img_N44.astype(np.float32)}
    names = {}
    for name in _LAYERS:
        layer = getattr(frame, name)
        names[name] = {"name": layer.name, "label": layer.label}
        for key, kind in LAYER_ARRAYS.items():
            arrays[f"{name}/{key}"] = getattr(layer, key).astype(kind)
    meta = {
        "format": _FORMAT,
        "bev_half_m": float(frame.bev_half_m),
        "info": dict(frame.info),
        "layers": names,
    }
    write_archive(npz_path, arrays, meta)


def _layer(names: Any, arrays: Mapping[str, NDArray[Any]], name: str, json_path: Path) -> SceneLayer:
    """Put one layer together from the names in the JSON and the arrays."""
    entry = names.get(name) if isinstance(names, dict) else None
    if not isinstance(entry, dict) or not {"name", "label"} <= set(entry):
        raise UserError(f"{json_path}: key 'layers.{name}' needs 'name' and 'label'; make the frame again.")
    values: dict[str, Any] = {key: arrays[f"{name}/{key}"] for key in LAYER_ARRAYS}
    return SceneLayer(name=str(entry["name"]), label=str(entry["label"]), **values)


def load_qualitative(npz_path: Path) -> QualitativeFrame:
    """Read a frame written by `save_qualitative`.

    Args:
        npz_path: the arrays; the JSON lies beside them.

    Returns:
        The frame.

    Raises:
        UserError: naming file and key if something is missing, does not fit, or the two files do not belong
            together.
    """
    npz_path = Path(npz_path)
    meta, arrays = read_archive(npz_path, _FORMAT, ("bev_half_m", "info", "layers"))
    wanted = ["images", "ego2img", *(f"{name}/{key}" for name in _LAYERS for key in LAYER_ARRAYS)]
    read_entries(arrays, wanted, npz_path)
    json_path = npz_path.with_suffix(".json")
    layers = {name: _layer(meta["layers"], arrays, name, json_path) for name in _LAYERS}
    frame = QualitativeFrame(
        arrays["images"], arrays["ego2img"], float(meta["bev_half_m"]), info=meta["info"], **layers
    )
    _check_frame(frame, npz_path)
    return frame
