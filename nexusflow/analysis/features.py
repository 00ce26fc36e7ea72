"""The features of a trained run on disk: `seed{k}.npz` with arrays, `seed{k}.json` with what they are.

Letters: N frames, F features of a branch, D dimensions of h' and z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexusflow.core.errors import UserError
from nexusflow.paper.archive import read_archive, read_entries, write_archive

__all__ = ["FORMAT", "KINDS", "FeatureSet", "read_features", "write_features"]

FORMAT = 1
# h pooled before the surrogate, h' behind the aggregator, z behind the flow.
KINDS = ("h", "embedding", "latent")
_NAMES = ("frames", "domains", "groups")
_KEYS = ("scale", "suite", "run", "seed", "tasks", "post_hoc", "labelled_in")


@dataclass(frozen=True)
class FeatureSet:
    """Features of the same frames for every task.

    Attributes:
        features: kind → task → float32, (N, F) for h and (N, D) for embedding and latent.
        frames_N: token or number of each frame.
        domains_N: domain of each frame.
        groups_N: scene or image of each frame.
        meta: scale, suite, run, seed, tasks, `post_hoc`, `labelled_in` and provenance, plain data.
    """

    features: Mapping[str, Mapping[str, NDArray[np.float32]]]
    frames_N: NDArray[np.str_]
    domains_N: NDArray[np.str_]
    groups_N: NDArray[np.str_]
    meta: Mapping[str, Any]

    @property
    def tasks(self) -> list[str]:
        """The tasks in order."""
        return list(self.meta["tasks"])

    def of(self, kind: str, task: str, domain: str | None = None) -> NDArray[np.float32]:
        """Return the features of a task, of one domain's frames if one is named."""
        features_NX = self.features[kind][task]
        return features_NX if domain is None else features_NX[self.domains_N == domain]

    def has_one_width(self, kind: str) -> bool:
        """Whether the tasks' features of a kind lie in spaces of equal dimension."""
        return len({features_NX.shape[1] for features_NX in self.features[kind].values()}) == 1


def write_features(path: Path, features: FeatureSet) -> None:
    """Write features and what they are, atomically and without dates.

    Args:
        path: the .npz; the .json gets the same stem.
        features: the features.
    """
    arrays: dict[str, NDArray[Any]] = {
        f"{kind}/{task}": table_NX
        for kind, by_task in features.features.items()
        for task, table_NX in by_task.items()
    }
    arrays |= {"frames": features.frames_N, "domains": features.domains_N, "groups": features.groups_N}
    assert not any(array.dtype == object for array in arrays.values())
    write_archive(path, arrays, {"format": FORMAT, **features.meta})


def read_features(path: Path) -> FeatureSet:
    """Read what `write_features` wrote.

    Args:
        path: the .npz.

    Returns:
        The features.

    Raises:
        UserError: naming file and key if something is missing or does not fit.
    """
    meta, arrays = read_archive(path, FORMAT, _KEYS)
    tasks = [str(task) for task in meta["tasks"]]
    names = [f"{kind}/{task}" for kind in KINDS for task in tasks]
    found = dict(zip((*names, *_NAMES), read_entries(arrays, (*names, *_NAMES), path), strict=True))
    count = len(found["frames"])
    for name, array in found.items():
        if len(array) != count or (name in names and array.ndim != 2):
            raise UserError(
                f"{path}: array '{name}' has shape {array.shape}, but there are {count} frames; extract the "
                "features again."
            )
    return FeatureSet(
        features={kind: {task: found[f"{kind}/{task}"] for task in tasks} for kind in KINDS},
        frames_N=found["frames"],
        domains_N=found["domains"],
        groups_N=found["groups"],
        meta=meta,
    )
