"""Which scene may show the labels of which task.

A partition is a table with one row for each scene: scene, city, split, track, map; 1 means that the labels of
the task may be used for training. Validation scenes always show both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import pandas as pd

from nexusflow.core.errors import UserError
from nexusflow.data.tables_io import read_hashed_table, write_hashed_table

__all__ = ["PartitionKind", "build_partition", "read_partition", "write_partition"]

PartitionKind = Literal["full", "s_geo", "r_geo", "random"]
_COLUMNS = ("scene", "city", "split", "track", "map")
_TASKS = ("track", "map")
# Task → the city whose training scenes show its labels.
_GEOGRAPHIC = {
    "s_geo": {"track": "singapore", "map": "boston"},
    "r_geo": {"track": "boston", "map": "singapore"},
}


class Scene(Protocol):
    """What a partition needs to know of a scene."""

    @property
    def name(self) -> str:
        """Name of the scene."""

    @property
    def city(self) -> str:
        """City of the scene, "boston" or "singapore"."""

    @property
    def split(self) -> str:
        """Split of the scene, e.g. "train"."""


def build_partition(scenes: Sequence[Scene], kind: PartitionKind, seed: int) -> pd.DataFrame:
    """Decide which training scenes show which labels.

    Args:
        scenes: all scenes of the data set, training and validation.
        kind: "full" shows everything; "s_geo" shows map labels in Boston and track labels in Singapore;
            "r_geo" the reverse; "random" shows track labels in a random half of the training scenes and map
            labels in the other half.
        seed: of the random partition.

    Returns:
        Table with columns scene, city, split, track, map (0 or 1), sorted by split and scene.

    Raises:
        UserError: if the kind is unknown, a scene comes twice, or a task would have no labelled scene.

    Source: the paper's geographic partitions (S-Geo, R-Geo); "random" is its control without a domain gap.
    """
    if kind not in get_args(PartitionKind):
        raise UserError(f"Partition {kind!r} is unknown; use one of {', '.join(get_args(PartitionKind))}.")
    table = pd.DataFrame([(s.name, s.city, s.split) for s in scenes], columns=list(_COLUMNS[:3]))
    table = table.sort_values(["split", "scene"], kind="stable", ignore_index=True)
    if table["scene"].duplicated().any():
        raise UserError(
            f"Scene {table['scene'][table['scene'].duplicated()].iloc[0]} is listed twice; list it once."
        )
    training = (table["split"] == "train").to_numpy()
    show = {task: np.ones(len(table), bool) for task in _TASKS}
    if kind in _GEOGRAPHIC:
        for task, city in _GEOGRAPHIC[kind].items():
            show[task] = ~training | (table["city"] == city).to_numpy()
    elif kind == "random":
        order = np.random.Generator(np.random.PCG64(seed)).permutation(np.flatnonzero(training))
        half = len(order) // 2
        show["track"][order[half:]] = False
        show["map"][order[:half]] = False
    for task in _TASKS:
        table[task] = show[task].astype(np.int64)
        if training.any() and not (show[task] & training).any():
            raise UserError(
                f"Partition {kind!r} leaves no training scene with {task} labels; add scenes or cities."
            )
    return table


def write_partition(df: pd.DataFrame, csv_path: Path) -> None:
    """Write a partition and, beside it, its hash in the format of sha256sum (`{csv_path}.sha256`).

    Args:
        df: table of `build_partition`.
        csv_path: destination.
    """
    assert tuple(df.columns) == _COLUMNS
    write_hashed_table(df, csv_path)


def read_partition(csv_path: Path) -> dict[str, dict[str, bool]]:
    """Read a partition and verify its hash.

    Args:
        csv_path: file of `write_partition`.

    Returns:
        Scene name → task ("track", "map") → whether its labels may be used.

    Raises:
        UserError: if the file or its hash is missing, the two disagree, or the table is malformed.
    """
    table = read_hashed_table(csv_path)
    flags = table[[task for task in _TASKS if task in table]]
    if (
        tuple(table.columns) != _COLUMNS
        or not flags.isin([0, 1]).all(axis=None)
        or table["scene"].duplicated().any()
    ):
        raise UserError(
            f"{csv_path} must have columns {', '.join(_COLUMNS)} with 0 or 1 and each scene once."
        )
    return {
        str(scene): {"track": bool(track), "map": bool(map_)}
        for scene, track, map_ in zip(table["scene"], table["track"], table["map"], strict=True)
    }
