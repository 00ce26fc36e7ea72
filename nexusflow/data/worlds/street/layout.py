"""Which scene drives in which street of which map, and where each street lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nexusflow.core.errors import UserError
from nexusflow.data.worlds.street.config import StreetWorldConfig

__all__ = ["LOCATIONS", "LocationPlan", "ScenePlan", "StreetPlan", "WorldPlan", "plan_world"]

LOCATIONS = ("boston-seaport", "singapore-onenorth", "singapore-queenstown", "singapore-hollandvillage")
MARGIN_M = 70.0  # street kept beyond what the ego drives, so that nothing ends within its sight
TOP_SPEED_MPS = 9.0
CELL_DEPTH_M = 210.0  # room for a bent street and its side streets


@dataclass(frozen=True)
class StreetPlan:
    """A street: its name, its map, its split, its centre (global metres) and whether it runs north."""

    name: str
    location: str
    split: str
    centre: tuple[float, float]
    length_m: float
    northward: bool

    @property
    def city(self) -> str:
        """`boston` or `singapore`."""
        return self.location.split("-")[0]


@dataclass(frozen=True)
class ScenePlan:
    """A scene: its official name, its number in the world, its street and its number within the street."""

    name: str
    number: int
    split: str
    street: StreetPlan
    visit: int


@dataclass(frozen=True)
class LocationPlan:
    """A map: its location and its canvas (width, height) in metres."""

    location: str
    canvas_m: tuple[float, float]
    streets: tuple[StreetPlan, ...]


@dataclass(frozen=True)
class WorldPlan:
    """All maps and all scenes."""

    locations: tuple[LocationPlan, ...]
    scenes: tuple[ScenePlan, ...]


def street_length_m(config: StreetWorldConfig) -> float:
    """Length of every street of a world, metres."""
    return 2 * MARGIN_M + TOP_SPEED_MPS * (config.key_frames - 1) * 0.5 + 20.0


def _scene_counts(config: StreetWorldConfig) -> dict[tuple[str, str], int]:
    """Scenes per (location, split): half in Boston, the rest spread over the Singapore maps."""
    counts: dict[tuple[str, str], int] = {}
    for split, number in (("train", config.train_scenes), ("val", config.val_scenes)):
        boston = (number + 1) // 2
        counts[LOCATIONS[0], split] = boston
        others = LOCATIONS[1:]
        for k, location in enumerate(others):
            counts[location, split] = (number - boston + len(others) - 1 - k) // len(others)
    return counts


def _place_streets(location: str, counts: dict[str, int], config: StreetWorldConfig) -> LocationPlan:
    """Lay the streets of one map on a grid; every map has at least one street per split."""
    length = street_length_m(config)
    slots = [
        (split, k)
        for split in ("train", "val")
        for k in range(max(1, math.ceil(counts[split] / config.scenes_per_street)))
    ]
    northward = LOCATIONS.index(location) % 2 == 1
    width, depth = length + 30.0, CELL_DEPTH_M
    columns = max(1, round(math.sqrt(len(slots) * depth / width)))
    rows = math.ceil(len(slots) / columns)
    streets = []
    for slot, (split, k) in enumerate(slots):
        x, y = (slot % columns + 0.5) * width, (slot // columns + 0.5) * depth
        centre = (y, x) if northward else (x, y)
        streets.append(StreetPlan(f"{location}-{split}-{k:03d}", location, split, centre, length, northward))
    canvas = (columns * width, rows * depth)
    return LocationPlan(location, canvas[::-1] if northward else canvas, tuple(streets))


def plan_world(config: StreetWorldConfig, official: dict[str, list[str]]) -> WorldPlan:
    """Assign official scene names to streets.

    Args:
        config: the world.
        official: the devkit's scene names of the splits ``train`` and ``val``.

    Returns:
        The plan; scenes are numbered from 0 in the order train, val.

    Raises:
        UserError: if a split wants more scenes than have official names.
    """
    for split, number in (("train", config.train_scenes), ("val", config.val_scenes)):
        if number > len(official[split]):
            raise UserError(
                f"{split}_scenes = {number} in the street world's config, but nuScenes has only"
                f" {len(official[split])} official {split} scene names; ask for fewer scenes."
            )
    counts = _scene_counts(config)
    maps = {
        location: _place_streets(location, {s: counts[location, s] for s in ("train", "val")}, config)
        for location in LOCATIONS
    }
    scenes: list[ScenePlan] = []
    for split in ("train", "val"):
        queue = [
            (street, visit)
            for location in LOCATIONS
            for index, street in enumerate(s for s in maps[location].streets if s.split == split)
            for visit in range(config.scenes_per_street)
            if index * config.scenes_per_street + visit < counts[location, split]
        ]
        for name, (street, visit) in zip(official[split], queue, strict=False):
            scenes.append(ScenePlan(name, len(scenes), split, street, visit))
    return WorldPlan(tuple(maps.values()), tuple(scenes))
