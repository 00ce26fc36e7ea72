"""Annotated boxes of one key frame, in its ego frame.

Shape letters: G boxes of a frame, 9 the box vector (x, y, z, l, w, h, yaw, vx, vy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.geometry import boxes_to_frame
from nexusflow.data.nuscenes.tables import numbers, table_error
from nexusflow.data.nuscenes.vocabulary import TRACKING_CLASSES

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

__all__ = ["read_boxes", "tracking_labels"]


def tracking_labels(nusc: NuScenes) -> dict[str, int]:
    """Map the categories of a database to tracking labels.

    Args:
        nusc: the database.

    Returns:
        Category name → label 0..6; categories that tracking ignores are left out.

    Source: the mapping of the official tracking evaluation.
    """
    from nuscenes.eval.tracking.utils import category_to_tracking_name

    names = {record["name"]: category_to_tracking_name(record["name"]) for record in nusc.category}
    return {name: TRACKING_CLASSES.index(label) for name, label in names.items() if label is not None}


def read_boxes(
    nusc: NuScenes,
    sample: dict[str, Any],
    ego2global_44: np.ndarray,
    labels: dict[str, int],
    config: NuScenesReaderConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the boxes of a key frame: tracking classes with enough sensor points, inside the BEV area.

    Args:
        nusc: the database.
        sample: a sample record.
        ego2global_44: its ego pose.
        labels: category name → label, from `tracking_labels`.
        config: which boxes to keep.

    Returns:
        `boxes_G9` float32 (unknown velocities are 0), `labels_G` int64 and `instances_G` int64 (index
        into the instance table). G may be 0.

    Raises:
        UserError: if an annotation is degenerate, dangling, or double.
    """
    kept = []
    for token in sample["anns"]:
        record = nusc.get("sample_annotation", token)
        counts = record["num_lidar_pts"], record["num_radar_pts"]
        if not all(isinstance(count, int) for count in counts):
            complaint = f"num_lidar_pts and num_radar_pts of token {token!r} are no whole numbers"
            raise table_error(nusc, "sample_annotation", complaint)
        if record["category_name"] in labels and sum(counts) >= config.min_points:
            kept.append(record)
    boxes_G9 = boxes_to_frame(
        _column(nusc, kept, "translation", 3),
        _sizes(nusc, kept),
        _column(nusc, kept, "rotation", 4),
        np.array([_velocity(nusc, record) for record in kept]).reshape(-1, 3),
        ego2global_44,
    ).astype(np.float32)
    labels_G = np.array([labels[record["category_name"]] for record in kept], np.int64)
    instances_G = np.array([nusc.getind("instance", record["instance_token"]) for record in kept], np.int64)
    if len(np.unique(instances_G)) != len(instances_G):
        raise table_error(
            nusc, "sample_annotation", f"sample_token {sample['token']!r} has one instance_token twice"
        )
    if config.crop_boxes:
        inside_G = (np.abs(boxes_G9[:, :2]) <= config.bev_half_m).all(axis=1)
        return boxes_G9[inside_G], labels_G[inside_G], instances_G[inside_G]
    return boxes_G9, labels_G, instances_G


def _column(nusc: NuScenes, records: list[dict[str, Any]], key: str, width: int) -> np.ndarray:
    """Stack a numeric field of annotations, (G, width)."""
    rows = [
        numbers(nusc, "sample_annotation", record, key, (width,), unit=key == "rotation")
        for record in records
    ]
    return np.array(rows).reshape(-1, width)


def _sizes(nusc: NuScenes, records: list[dict[str, Any]]) -> np.ndarray:
    """Stack the sizes, all positive."""
    sizes_G3 = _column(nusc, records, "size", 3)
    flat = np.flatnonzero((sizes_G3 <= 0).any(axis=1))
    if len(flat):
        record = records[int(flat[0])]
        complaint = f"size of token {record['token']!r} is {record['size']!r}, not positive"
        raise table_error(nusc, "sample_annotation", complaint)
    return sizes_G3


def _velocity(nusc: NuScenes, record: dict[str, Any]) -> np.ndarray:
    """Velocity by the devkit, global frame, m/s; 0 where it cannot be told."""
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            velocity_3 = nusc.box_velocity(record["token"])
    except KeyError as error:
        complaint = f"prev or next of token {record['token']!r} refers to {error}, which does not exist"
        raise table_error(nusc, "sample_annotation", complaint) from None
    except (TypeError, ValueError) as error:
        complaint = f"prev or next of token {record['token']!r} has no place or time ({error})"
        raise table_error(nusc, "sample_annotation", complaint) from None
    return velocity_3 if np.isfinite(velocity_3).all() else np.zeros(3)
