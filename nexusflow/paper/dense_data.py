"""Everything drawable of one NYUv2 image: a small .npz with a .json beside it.

Legend: H and W image size.
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

__all__ = ["DENSE_CLASSES", "SCORES", "DenseFrame", "DenseLayer", "load_dense_frame", "save_dense_frame"]

DENSE_CLASSES = (
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)
SCORES = ("Seg IoU", "Depth aErr", "Norm mErr")
_TRUTH = "truth"
_ARRAYS: dict[str, Any] = {"classes_HW": np.int8, "depth_HW": np.float32, "normal_HW3": np.float32}
_FORMAT = 1


@dataclass(frozen=True)
class DenseLayer:
    """What one method says about the image, or the truth.

    Args:
        name: run name, or "truth".
        label: shown name.
        classes_HW: index into DENSE_CLASSES; -1 = void, in the truth only.
        depth_HW: metres; 0 = invalid, in the truth.
        normal_HW3: unit normals, x right, y up, z towards the camera; zero = invalid, in the truth.
        scores: metrics of SCORES on this image, where it has a valid pixel; empty for the truth.
    """

    name: str
    label: str
    classes_HW: NDArray[np.int8]
    depth_HW: NDArray[np.float32]
    normal_HW3: NDArray[np.float32]
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DenseFrame:
    """One image with the truth and the predictions of several methods.

    Args:
        image_HW3: RGB bytes.
        truth: first row.
        methods: further rows in order.
        info: what the caption names: "image", "images", "chosen", "scale", "data", "seed".
    """

    image_HW3: NDArray[np.uint8]
    truth: DenseLayer
    methods: tuple[DenseLayer, ...]
    info: Mapping[str, Any] = field(default_factory=dict)


def _check_frame(frame: DenseFrame, path: Path) -> None:
    """Refuse arrays that do not belong together or hold what cannot be drawn."""
    shape = frame.image_HW3.shape
    colour = len(shape) == 3 and shape[2] == 3 and frame.image_HW3.dtype == np.uint8
    check_array(colour, path, "image", "of shape (H, W, 3) and type uint8")
    size = f"({shape[0]}, {shape[1]})"
    for layer in (frame.truth, *frame.methods):
        classes_HW, name = layer.classes_HW, layer.name
        least = -1 if layer is frame.truth else 0
        check_array(classes_HW.shape == shape[:2], path, f"{name}/classes_HW", f"of shape {size}")
        known = classes_HW.size and classes_HW.min() >= least and classes_HW.max() < len(DENSE_CLASSES)
        wanted = f"between {least} and {len(DENSE_CLASSES) - 1}"
        check_array(bool(known), path, f"{name}/classes_HW", wanted)
        check_array(layer.depth_HW.shape == shape[:2], path, f"{name}/depth_HW", f"of shape {size}")
        check_array(layer.normal_HW3.shape == shape, path, f"{name}/normal_HW3", f"of shape {shape}")
        for key in ("depth_HW", "normal_HW3"):
            check_array(bool(np.isfinite(getattr(layer, key)).all()), path, f"{name}/{key}", "finite")
    names = [layer.name for layer in (frame.truth, *frame.methods)]
    assert len(set(names)) == len(names) and names[0] == _TRUTH, "every layer has a name of its own"


def save_dense_frame(frame: DenseFrame, npz_path: Path) -> None:
    """Write a frame as `X.npz` (arrays) and `X.json` (names, scores, caption, hash of the arrays).

    Args:
        frame: the frame.
        npz_path: destination of the arrays; the JSON gets the same stem.

    Raises:
        UserError: if shapes or values do not fit.
    """
    npz_path = Path(npz_path)
    _check_frame(frame, npz_path)
    arrays: dict[str, NDArray[Any]] = {"image": frame.image_HW3}
    layers = []
    for layer in (frame.truth, *frame.methods):
        arrays |= {f"{layer.name}/{key}": getattr(layer, key).astype(kind) for key, kind in _ARRAYS.items()}
        scores = {name: float(layer.scores[name]) for name in SCORES if name in layer.scores}
        layers.append({"name": layer.name, "label": layer.label, "scores": scores})
    write_archive(npz_path, arrays, {"format": _FORMAT, "info": dict(frame.info), "layers": layers})


def _layer(entry: Any, arrays: Mapping[str, NDArray[Any]], npz_path: Path) -> DenseLayer:
    json_path = npz_path.with_suffix(".json")
    if not isinstance(entry, dict) or not {"name", "label", "scores"} <= set(entry):
        raise UserError(
            f"{json_path}: every one of 'layers' needs 'name', 'label' and 'scores'; make the frame again."
        )
    name = str(entry["name"])
    classes_HW, depth_HW, normal_HW3 = read_entries(arrays, [f"{name}/{key}" for key in _ARRAYS], npz_path)
    scores = {str(key): float(value) for key, value in entry["scores"].items()}
    return DenseLayer(name, str(entry["label"]), classes_HW, depth_HW, normal_HW3, scores)


def load_dense_frame(npz_path: Path) -> DenseFrame:
    """Read a frame written by `save_dense_frame`.

    Args:
        npz_path: the arrays; the JSON lies beside them.

    Returns:
        The frame.

    Raises:
        UserError: naming file and key if something is missing, does not fit, or the two files do not belong
            together.
    """
    npz_path = Path(npz_path)
    meta, arrays = read_archive(npz_path, _FORMAT, ("info", "layers"))
    (image_HW3,) = read_entries(arrays, ["image"], npz_path)
    layers = [_layer(entry, arrays, npz_path) for entry in meta["layers"]]
    if not layers or layers[0].name != _TRUTH:
        raise UserError(
            f"{npz_path.with_suffix('.json')}: the first of 'layers' must be the truth; make the frame again."
        )
    frame = DenseFrame(image_HW3, layers[0], tuple(layers[1:]), meta["info"])
    _check_frame(frame, npz_path)
    return frame
