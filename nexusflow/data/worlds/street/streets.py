"""Geometry of a street: carriageways, lanes, junctions and crossings, before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nexusflow.data.worlds.seeds import generator
from nexusflow.data.worlds.street.curves import Array, Curve, bent_curve, straight_curve
from nexusflow.data.worlds.street.layout import StreetPlan
from nexusflow.data.worlds.street.style import Style

__all__ = ["Arm", "Carriageway", "Crossing", "Lane", "Street", "build_street"]

PARKING_WIDTH_M = 2.7
FILLET_M = 2.0  # radius of kerbs at junctions
CROSSING_DEPTH_M = 3.0
STOP_GAP_M = 1.2  # from stop line to crossing
ARM_LENGTH_M = 56.0


@dataclass(frozen=True)
class Lane:
    """A driving lane: offset of its middle, direction of travel (+1 along s), at the outer side or not."""

    lateral_m: float
    direction: int
    outer: bool


@dataclass(frozen=True)
class Carriageway:
    """A road surface along a curve, from offset `right_m` (< 0) to `left_m` (> 0), with its lanes and paint.

    Args:
        curve: centre line; offset 0 carries the road divider.
        side: +1 if traffic along s uses positive offsets (keeps left), else -1.
        counts: lanes at positive and at negative offsets.
        lane_width_m: width of each.
        parking_m: width of the parking lanes at positive and negative offsets, 0 = none.
        blocks: intervals of s in which lines are painted.
    """

    curve: Curve
    side: int
    counts: tuple[int, int]
    lane_width_m: float
    parking_m: tuple[float, float]
    blocks: tuple[tuple[float, float], ...]

    @property
    def left_m(self) -> float:
        """Offset of the left kerb."""
        return self.counts[0] * self.lane_width_m + self.parking_m[0]

    @property
    def right_m(self) -> float:
        """Offset of the right kerb (negative)."""
        return -self.counts[1] * self.lane_width_m - self.parking_m[1]

    def edge_m(self, sign: int) -> float:
        """Distance from the road divider to the kerb on one side."""
        return self.left_m if sign > 0 else -self.right_m

    def lanes(self) -> list[Lane]:
        """All driving lanes."""
        return [
            Lane(sign * (k + 0.5) * self.lane_width_m, self.side * sign, k == count - 1)
            for sign, count in zip((1, -1), self.counts, strict=True)
            for k in range(count)
        ]

    def divider_offsets(self) -> list[float]:
        """Offsets of the lines between lanes of one direction."""
        return [
            sign * k * self.lane_width_m
            for sign, count in zip((1, -1), self.counts, strict=True)
            for k in range(1, count)
        ]

    def parking_offsets(self) -> list[float]:
        """Offsets of the lines between driving and parking lanes."""
        return [
            sign * count * self.lane_width_m
            for sign, count, width in zip((1, -1), self.counts, self.parking_m, strict=True)
            if width > 0
        ]


@dataclass(frozen=True)
class Crossing:
    """A pedestrian crossing over a carriageway at distance `s_m`."""

    way: Carriageway
    s_m: float

    def corners(self) -> Array:
        """Corners (4, 2); the first two and the last two lie on the long edges' starts and ends."""
        low, high = self.s_m - CROSSING_DEPTH_M / 2, self.s_m + CROSSING_DEPTH_M / 2
        return self.way.curve.point([low, low, high, high], [self.way.right_m, self.way.left_m] * 2)[
            [0, 1, 3, 2]
        ]


@dataclass(frozen=True)
class Arm:
    """A side street: road, the junction's place on the main street, side (+1 left), own crossing."""

    way: Carriageway
    junction_m: float
    side: int
    mouth_m: float
    crossing: Crossing | None

    @property
    def stop_m(self) -> float:
        """Distance from the main centre line at which waiting vehicles have their front."""
        return self.mouth_m + (CROSSING_DEPTH_M if self.crossing else 0.0) + STOP_GAP_M


@dataclass(frozen=True)
class Street:
    """A main street with side streets and crossings."""

    plan: StreetPlan
    style: Style
    main: Carriageway
    arms: tuple[Arm, ...]
    crossings: tuple[Crossing, ...]
    pavement_m: float
    verge_m: float

    @property
    def keeps_left(self) -> bool:
        """Which side its traffic keeps."""
        return self.main.side > 0

    @property
    def ways(self) -> tuple[Carriageway, ...]:
        """Main carriageway first, then the side streets'."""
        return (self.main, *(arm.way for arm in self.arms))


def _profile(style: Style, rng: np.random.Generator, curve: Curve, side: int) -> Carriageway:
    """Draw the main street's lanes; four fixed uniform numbers, whatever the dial says."""
    u = rng.uniform(size=4)
    counts = (1 + style.chance("two_lanes", u[0]), 1 + style.chance("two_lanes", u[1]))
    parking = tuple(PARKING_WIDTH_M * style.chance("parking", value) for value in u[2:])
    width = style["lane_width"] * rng.uniform(0.96, 1.04)
    return Carriageway(curve, side, counts, width, (parking[0], parking[1]), ())


def _arm(
    main: Carriageway, style: Style, s: float, side: int, skew: float, lane_width: float, zebra: bool
) -> Arm:
    """Build the side street that leaves the main street at distance `s` to one side."""
    curve = straight_curve(
        main.curve.point(s, 0.0), float(main.curve.heading(s)) + side * np.pi / 2 + skew, ARM_LENGTH_M
    )
    mouth = main.edge_m(side) / math.cos(skew) + lane_width * math.tan(abs(skew)) + FILLET_M + 0.3
    bare = Carriageway(curve, main.side, (1, 1), lane_width, (0.0, 0.0), ())
    paint = mouth + (CROSSING_DEPTH_M + STOP_GAP_M if zebra else 0.0)
    way = Carriageway(curve, main.side, (1, 1), lane_width, (0.0, 0.0), ((paint, ARM_LENGTH_M),))
    crossing = Crossing(bare, mouth + CROSSING_DEPTH_M / 2) if zebra else None
    return Arm(way, s, side, mouth, crossing)


def _complement(breaks: list[tuple[float, float]], length: float) -> tuple[tuple[float, float], ...]:
    """The parts of [0, length] outside the breaks, those of at least 3 m."""
    blocks, at = [], 0.0
    for low, high in sorted(breaks):
        blocks.append((at, low))
        at = max(at, high)
    blocks.append((at, length))
    return tuple((a, b) for a, b in blocks if b - a >= 3.0)


def build_street(plan: StreetPlan, style: Style, seed: int) -> Street:
    """Draw the geometry of a street.

    Args:
        plan: name and place.
        style: the city's numbers.
        seed: seed of the world.

    Returns:
        The street; the same random numbers are drawn at every setting of the dial.
    """
    rng = generator(seed, "street", plan.name)
    side = 1 if style.chance("keep_left", rng.uniform()) else -1
    curve = bent_curve(rng, plan.centre, np.pi / 2 * plan.northward, plan.length_m, style["bend"])
    bare = _profile(style, rng, curve, side)
    arms: list[Arm] = []
    crossing_s: list[float] = []
    breaks: list[tuple[float, float]] = []
    s, previous = rng.uniform(15.0, 45.0), None
    while s < plan.length_m - 12.0:
        u = rng.uniform(size=10)
        lane_width = 3.1 + 0.5 * u[0]
        skew = 0.13 * (2 * u[1] - 1)
        sides = (1 if u[3] < 0.5 else -1,) if style.chance("one_armed", u[2]) else (1, -1)
        arms += [_arm(bare, style, s, d, skew, lane_width, u[4 + (d > 0)] < 0.5) for d in sides]
        half = lane_width / math.cos(skew) + bare.edge_m(1) * math.tan(abs(skew)) + FILLET_M
        cut = [half, half]
        for k, (sign, uniform) in enumerate(zip((-1, 1), u[6:8], strict=True)):
            if uniform < 0.4:
                crossing_s.append(s + sign * (half + CROSSING_DEPTH_M / 2))
                cut[k] += CROSSING_DEPTH_M + STOP_GAP_M
        if previous is not None and s - previous > 40.0 and style.chance("mid_crossing", u[8]):
            middle = (s + previous) / 2 + 4 * (u[9] - 0.5)
            crossing_s.append(middle)
            reach = CROSSING_DEPTH_M / 2 + STOP_GAP_M
            breaks.append((middle - reach, middle + reach))
        breaks.append((s - cut[0], s + cut[1]))
        previous = s
        s += style["junction_spacing"] * rng.uniform(0.85, 1.25)
    blocks = _complement(breaks, plan.length_m)
    main = Carriageway(curve, side, bare.counts, bare.lane_width_m, bare.parking_m, blocks)
    crossings = [Crossing(main, value) for value in sorted(crossing_s) if 4.0 < value < plan.length_m - 4.0]
    crossings += [arm.crossing for arm in arms if arm.crossing is not None]
    pavement, verge = style["pavement_width"], style["verge_width"] * rng.uniform(0.9, 1.2)
    return Street(plan, style, main, tuple(arms), tuple(crossings), pavement, verge)
