"""Prediction folders: `tracking.json` (official nuScenes submission, global frame) and `map.npz` (map masks).

Shape letters: F frames, K boxes of a frame or map classes, H and W map rows and columns, P packed bytes.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path, read_json, write_text
from nexusflow.evaluation.constants import MAP_CLASSES, MAX_BOXES_PER_SAMPLE, TRACKING_CLASSES

__all__ = [
    "MAP_FILE",
    "TRACKING_FILE",
    "MapPrediction",
    "TrackedFrame",
    "read_map",
    "read_tracking",
    "submission_boxes",
    "write_map",
    "write_tracking",
]

TRACKING_FILE = "tracking.json"
MAP_FILE = "map.npz"
_META = {"use_camera": True, "use_lidar": False, "use_radar": False, "use_map": False, "use_external": False}
_FIELD_LENGTHS = {"translation": 3, "size": 3, "rotation": 4, "velocity": 2}
_METRE_DECIMALS, _UNIT_DECIMALS = 4, 7


@dataclass(frozen=True)
class TrackedFrame:
    """The tracked boxes of one key frame, in its ego frame.

    Args:
        sample_token: the key frame.
        boxes_K9: x, y, z, l, w, h (m), yaw (rad), vx, vy (m/s).
        labels_K: class index 0..6.
        scores_K: score of every box in [0, 1].
        track_ids_K: identity of every box, unique within its scene.
        ego2global_44: ego to global transform.
    """

    sample_token: str
    boxes_K9: NDArray[Any]
    labels_K: NDArray[Any]
    scores_K: NDArray[Any]
    track_ids_K: NDArray[Any] | Sequence[int]
    ego2global_44: NDArray[np.float64]


@dataclass(frozen=True)
class MapPrediction:
    """The content of a `map.npz`: masks of divider, crossing, contour, drivable; row 0 = smallest y.

    Args:
        packed_FKP: masks as packed bits, uint8, row by row.
        sample_tokens: F key frames.
        map_half_m: half the side of the canvas, metres.
        map_cells: cells per side of the canvas.
    """

    packed_FKP: NDArray[np.uint8]
    sample_tokens: list[str]
    map_half_m: float
    map_cells: int

    def masks(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Unpack some frames.

        Args:
            frames: indices into `sample_tokens`.

        Returns:
            Masks of 0 and 1, uint8, (len(frames), K, H, W).
        """
        cells = self.map_cells
        bits = np.unpackbits(self.packed_FKP[frames], axis=-1, count=cells * cells)
        return bits.reshape(len(frames), -1, cells, cells)

    @property
    def masks_FKHW(self) -> NDArray[np.uint8]:
        """All masks, uint8."""
        return self.masks(np.arange(len(self.sample_tokens)))


def _quaternions_of(yaw_K: NDArray[np.float64], rotation_33: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compose a yaw in the ego frame with the ego rotation; gives (w, x, y, z), (K, 4)."""
    from scipy.spatial.transform import Rotation

    boxes = Rotation.from_matrix(rotation_33) * Rotation.from_euler("z", yaw_K[:, None])
    return np.roll(boxes.as_quat(canonical=True).reshape(-1, 4), 1, axis=1)


def submission_boxes(frame: TrackedFrame) -> list[dict[str, Any]]:
    """Turn the boxes of a frame into entries of a nuScenes tracking submission.

    Lengths are rounded to 0.1 mm. Of more than 500 boxes, the official limit, the best-scored stay.

    Args:
        frame: the tracked boxes in the ego frame.

    Returns:
        One dict per box, in the order given.

    Raises:
        UserError: if a value is not finite or a label is not 0..6.
    """
    boxes_K9 = np.asarray(frame.boxes_K9, dtype=np.float64).reshape(-1, 9)
    labels_K = np.asarray(frame.labels_K, dtype=np.int64)
    scores_K = np.asarray(frame.scores_K, dtype=np.float64)
    ids = [str(identity) for identity in np.asarray(frame.track_ids_K).tolist()]
    assert len(boxes_K9) == len(labels_K) == len(scores_K) == len(ids), "one label, score and id per box"
    if not len(boxes_K9):
        return []
    if not (np.isfinite(boxes_K9).all() and np.isfinite(scores_K).all()):
        raise UserError(
            f"Sample {frame.sample_token} has predicted boxes that are not finite; lower the rate."
        )
    if labels_K.min() < 0 or labels_K.max() >= len(TRACKING_CLASSES):
        raise UserError(f"Sample {frame.sample_token} has a predicted label outside 0..6; check the model.")
    rotation_33, shift_3 = frame.ego2global_44[:3, :3], frame.ego2global_44[:3, 3]
    centre_K3 = (boxes_K9[:, :3] @ rotation_33.T + shift_3).round(_METRE_DECIMALS)
    velocity_K2 = (boxes_K9[:, 7:9] @ rotation_33[:2, :2].T).round(_METRE_DECIMALS)
    size_K3 = boxes_K9[:, [4, 3, 5]].round(_METRE_DECIMALS)
    turn_K4 = _quaternions_of(boxes_K9[:, 6], rotation_33).round(_UNIT_DECIMALS)
    kept = np.sort(np.argsort(-scores_K, kind="stable")[:MAX_BOXES_PER_SAMPLE])
    return [
        {
            "sample_token": frame.sample_token,
            "translation": centre_K3[k].tolist(),
            "size": size_K3[k].tolist(),
            "rotation": turn_K4[k].tolist(),
            "velocity": velocity_K2[k].tolist(),
            "tracking_id": ids[k],
            "tracking_name": TRACKING_CLASSES[labels_K[k]],
            "tracking_score": round(float(scores_K[k]), _UNIT_DECIMALS),
        }
        for k in kept.tolist()
    ]


def write_tracking(
    path: Path, frames: Iterable[TrackedFrame], meta: Mapping[str, bool] | None = None
) -> None:
    """Write a nuScenes tracking submission atomically.

    Args:
        path: the `tracking.json` to write.
        frames: every key frame of the split once, those without boxes too.
        meta: the submission's `use_*` flags; default: cameras only.

    Raises:
        UserError: if a prediction is not finite, or an identity occurs twice in a frame.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    for frame in frames:
        assert frame.sample_token not in results, f"sample {frame.sample_token} is given twice"
        results[frame.sample_token] = submission_boxes(frame)
        _check_identities(path, frame.sample_token, results[frame.sample_token])
    content = {"meta": dict(meta or _META), "results": results}
    write_text(path, json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n")


def _check_identities(path: Path, token: str, boxes: Sequence[Mapping[str, Any]]) -> None:
    ids = [box["tracking_id"] for box in boxes]
    if len(set(ids)) != len(ids):
        raise UserError(
            f"{path}: sample {token} has a 'tracking_id' twice; give every track of a frame its own."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_box(path: Path, token: str, box: Any) -> None:
    """Refuse a box that the official evaluation could not read, naming the key."""
    where = f"{path}: a box of sample {token}"
    if not isinstance(box, dict):
        raise UserError(f"{where} is no object; write it as the nuScenes tracking format says.")
    for key, length in _FIELD_LENGTHS.items():
        values = box.get(key)
        if not isinstance(values, list) or len(values) != length or not all(map(_is_number, values)):
            raise UserError(f"{where} needs '{key}' with {length} numbers; write the boxes again.")
        if key != "velocity" and not all(map(math.isfinite, values)):
            raise UserError(f"{where} has NaN or infinity in '{key}'; predict again.")
    if box.get("sample_token") != token:
        raise UserError(f"{where} has another 'sample_token'; list every box under its own sample.")
    if not isinstance(box.get("tracking_id"), str):
        raise UserError(f"{where} needs a 'tracking_id' that is a string; write the boxes again.")
    if box.get("tracking_name") not in TRACKING_CLASSES:
        name = box.get("tracking_name")
        raise UserError(f"{where} has 'tracking_name' {name!r}; use one of {', '.join(TRACKING_CLASSES)}.")
    score: Any = box.get("tracking_score")
    if not _is_number(score) or not math.isfinite(score):
        raise UserError(f"{where} needs a finite number as 'tracking_score'; predict again.")


def read_tracking(path: Path, sample_tokens: Iterable[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Read and check a nuScenes tracking submission.

    Args:
        path: the `tracking.json`.
        sample_tokens: key frames that must be there; others in the file are left out. Default: all in it.

    Returns:
        Sample token → boxes, in the order of `sample_tokens`.

    Raises:
        UserError: if the file is missing or malformed, lacks a sample, or breaks a rule of the format.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict) or "meta" not in content:
        raise UserError(
            f"{path} needs the keys 'meta' and 'results'; write it as a nuScenes tracking submission."
        )
    results = content["results"]
    wanted = list(results) if sample_tokens is None else list(sample_tokens)
    missing = [token for token in wanted if token not in results]
    if missing:
        raise UserError(
            f"{path}: 'results' lacks {len(missing)} of {len(wanted)} samples, first {missing[0]};"
            " give every sample of the split a list, an empty one if nothing was found."
        )
    for token in wanted:
        boxes = results[token]
        if not isinstance(boxes, list):
            raise UserError(f"{path}: sample {token} in 'results' is no list; write it again.")
        if len(boxes) > MAX_BOXES_PER_SAMPLE:
            raise UserError(
                f"{path}: sample {token} has {len(boxes)} boxes; keep the best {MAX_BOXES_PER_SAMPLE}."
            )
        for box in boxes:
            _check_box(path, token, box)
        _check_identities(path, token, boxes)
    return {token: results[token] for token in wanted}


def write_map(path: Path, masks_FKHW: ArrayLike, sample_tokens: Sequence[str], map_half_m: float) -> None:
    """Write map masks atomically, one bit per cell; equal masks give equal bytes.

    Args:
        path: the `map.npz` to write.
        masks_FKHW: masks of 0 and 1, K = 4 classes, square canvas.
        sample_tokens: F key frames.
        map_half_m: half the side of the canvas, metres.

    Raises:
        UserError: if the masks hold NaN or anything but 0 and 1, or their shape is wrong.
    """
    masks = np.asarray(masks_FKHW)
    if masks.ndim != 4 or masks.shape[1] != len(MAP_CLASSES) or masks.shape[2] != masks.shape[3]:
        raise UserError(
            f"Map masks for {path} have shape {masks.shape}; (F, {len(MAP_CLASSES)}, N, N) is needed."
        )
    if len(masks) != len(sample_tokens) or len(set(sample_tokens)) != len(sample_tokens):
        raise UserError(f"{path} needs one sample token per map, each once; got {len(sample_tokens)}.")
    if not np.isin(masks, (0, 1)).all():
        raise UserError(
            f"Map masks for {path} hold values other than 0 and 1; apply a threshold, check for NaN."
        )
    # numpy writes the members of an archive without time stamps, so the bytes depend on the content only.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            masks_FKHW=np.packbits(masks.astype(bool).reshape(*masks.shape[:2], -1), axis=-1),
            sample_tokens=np.array(list(sample_tokens), dtype=np.str_),
            map_half_m=np.float64(map_half_m),
            map_cells=np.int64(masks.shape[-1]),
        )


def read_map(path: Path) -> MapPrediction:
    """Read and check map masks.

    Args:
        path: the `map.npz`.

    Returns:
        The masks, still packed.

    Raises:
        UserError: if the file is missing, malformed, or its arrays contradict each other.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("masks_FKHW", "sample_tokens", "map_half_m", "map_cells")}
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the rule that predicts.") from error
    except KeyError as error:
        raise UserError(f"{path} has no array {error}; predict again.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no readable npz file ({error}); predict again.") from error
    packed, tokens = arrays["masks_FKHW"], arrays["sample_tokens"].tolist()
    half, cells = arrays["map_half_m"], arrays["map_cells"]
    if half.shape != () or not np.isfinite(half) or half <= 0 or cells.shape != () or cells <= 0:
        raise UserError(f"{path}: 'map_half_m' and 'map_cells' must be positive numbers; predict again.")
    size = int(cells)
    if packed.dtype != np.uint8 or packed.shape != (len(tokens), len(MAP_CLASSES), -(-size * size // 8)):
        raise UserError(
            f"{path}: 'masks_FKHW' has shape {packed.shape} and type {packed.dtype}, which does not fit"
            f" {len(tokens)} samples of {size} × {size} cells; predict again."
        )
    if len(set(tokens)) != len(tokens):
        raise UserError(f"{path}: 'sample_tokens' names a sample twice; predict again.")
    return MapPrediction(packed, tokens, float(half), size)
