"""The scenes of a split: their city and their key frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.tables import get_record, table_error, table_path
from nexusflow.data.nuscenes.vocabulary import city_of_location

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

__all__ = ["SceneEntry", "list_scenes"]

# The devkit keeps separate names for the two splits of the mini release.
_MINI_NAMES = {"train": "mini_train", "val": "mini_val"}


@dataclass(frozen=True)
class SceneEntry:
    """One scene and the run of frames that it owns.

    Args:
        name: e.g. "scene-0061".
        token: its token.
        city: "boston" or "singapore".
        location: e.g. "singapore-onenorth".
        split: name of the split under which it was read.
        first_frame: index of its first key frame in the cache.
        num_frames: number of its key frames, consecutive in the cache.
    """

    name: str
    token: str
    city: str
    location: str
    split: str
    first_frame: int
    num_frames: int

    @property
    def frames(self) -> range:
        """Indices of the scene's frames."""
        return range(self.first_frame, self.first_frame + self.num_frames)


def list_scenes(nusc: NuScenes, splits: Sequence[str]) -> tuple[list[SceneEntry], list[dict[str, Any]]]:
    """List the scenes of some splits, split by split and by name, and their key frames by time.

    Scenes of a split that the data set does not hold are left out, so a part of nuScenes can be read too.

    Args:
        nusc: the database.
        splits: names of splits; "train" and "val" stand for their mini counterparts in "v1.0-mini".

    Returns:
        The scenes, and the sample records of all their key frames in cache order.

    Raises:
        UserError: if a split is unknown or empty, a location is unknown, or a scene has no usable key frames.
    """
    by_name = {record["name"]: record for record in nusc.scene}
    samples_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    known = {record["token"] for record in nusc.scene}
    for sample in nusc.sample:
        if sample["scene_token"] not in known:
            complaint = f"scene_token of token {sample['token']!r} refers to no record of scene.json"
            raise table_error(nusc, "sample", complaint)
        samples_of[sample["scene_token"]].append(sample)
    scenes: list[SceneEntry] = []
    frames: list[dict[str, Any]] = []
    for split in splits:
        names = sorted(set(_names_of_split(nusc, split)) & set(by_name))
        if not names:
            table = table_path(nusc, "scene")
            raise UserError(f"{table} holds no scene of split {split!r}; choose another split or version.")
        for name in names:
            samples = _key_frames(nusc, name, samples_of[by_name[name]["token"]])
            scenes.append(_entry(nusc, by_name[name], split, len(frames), len(samples)))
            frames.extend(samples)
    return scenes, frames


def _names_of_split(nusc: NuScenes, split: str) -> list[str]:
    """Names of the scenes of a split, by the devkit."""
    from nuscenes.utils.splits import get_scenes_of_split

    name = _MINI_NAMES.get(split, split) if nusc.version.endswith("mini") else split
    try:
        return get_scenes_of_split(name, nusc)
    except ValueError as error:
        raise UserError(f"Split {split!r} is unknown to the devkit ({error}); use train and val.") from None


def _key_frames(nusc: NuScenes, name: str, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort a scene's key frames by time and check them."""
    source = table_path(nusc, "sample")
    if not samples:
        raise UserError(f"{source} holds no key frame of {name}; extract the metadata archive again.")
    for sample in samples:
        if not isinstance(sample.get("timestamp"), int):
            raise UserError(
                f"{source}: timestamp of token {sample['token']!r} is {sample.get('timestamp')!r}, "
                "not whole microseconds; extract the metadata archive again."
            )
    ordered = sorted(samples, key=lambda sample: sample["timestamp"])
    for before, after in pairwise(ordered):
        if before["timestamp"] == after["timestamp"]:
            raise UserError(
                f"{source}: tokens {before['token']!r} and {after['token']!r} of {name} share one timestamp; "
                "extract the metadata archive again."
            )
    return ordered


def _entry(
    nusc: NuScenes, record: dict[str, Any], split: str, first_frame: int, num_frames: int
) -> SceneEntry:
    """Describe a scene; its city comes from its log."""
    log = get_record(nusc, "log", record["log_token"], f"scene {record['name']}")
    location = str(log.get("location"))
    city = city_of_location(location, log["token"], table_path(nusc, "log"))
    return SceneEntry(record["name"], record["token"], city, location, split, first_frame, num_frames)
