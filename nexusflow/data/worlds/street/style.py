"""The domain dial: everything in which the two cities differ, and by how much.

Boston is the fixed end. Singapore's value of every row below is ``boston + gap · (singapore − boston)`` with
the two ends tabulated in this file, so at gap 0 both cities are drawn from the same distributions and each
difference grows without jumps. Yes/no features compare a fixed random number with a probability that moves.

====================  ====================================================================================
rows                  what changes, and how it follows the dial
====================  ====================================================================================
``keep_left``         probability that a street keeps left, 0 → 1: it does where its fixed uniform number
                      u < probability, so once left at some gap it stays left at every larger one
``two_lanes``         probability of a second lane per direction (a fixed u per side of a street)
``parking``           probability of a parking lane (a fixed u per side)
``one_armed``         probability that a side street joins from one side only (a fixed u per junction)
``mid_crossing``      probability of a crossing between two junctions (a fixed u per pair)
``lane_width``        metres, linear
``pavement_width``    metres, linear
``verge_width``       metres between pavement and buildings, linear
``junction_spacing``  metres, linear
``bend``              amplitude of the curvature, 1/m, linear
``dash``              length of dashes, and ``dash_gap`` between them, metres, linear
``line_width``        width of painted lines, metres, linear
``bar_period``        distance of zebra bars, metres, linear
``edge_line``         opacity of the yellow line along kerbs, linear
``ladder``            opacity of the lines that frame a crossing, linear
``rgb_*``             colours of asphalt, pavement, kerb, verge, road divider, lane divider, crossing, kerb
                      line, sky and foliage, linear in RGB
``PALETTES``          colours of buildings, cars, buses, trucks (cab, cargo), trailers, clothes, cyclists:
                      entry k of one end blends into entry k of the other, k is a fixed draw per object
``building_*``        mean height, width and gap of buildings, metres, linear
``window``            contrast of window bands, linear
``tree_*``            mean spacing, crown radius and height of trees, metres, linear
``light_*``           gain of the red, green and blue channel, linear
``contrast``          contrast about mid-grey, linear
``haze``              share of the horizon's colour taken on per metre, linear
``sun_height``        elevation of the sun, rad, linear
``mix_*``             weights of the classes among moving and waiting vehicles, linear
``park_*``            weights of the classes among parked vehicles, linear
``walkers``           pedestrians per 100 m of pavement, linear
``cyclists``          cyclists per 100 m of street and direction, linear
``headway``           mean gap between vehicles at the start, metres, linear
``speed``             mean desired speed, m/s, linear
``WEATHER``           probabilities of clear, overcast, rain and dusk: by a fixed number u per scene, it draws
                      its Boston weather where u ≥ gap and its Singapore weather where u < gap
====================  ====================================================================================

What the dial does not move: sizes and shapes of road users, the camera rig, how people and vehicles behave.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIALS", "PALETTES", "WEATHER", "Style"]

Ends = tuple[float, float]
Colour = tuple[int, int, int]

_DIALS: dict[str, Ends] = {
    "keep_left": (0.0, 1.0),
    "two_lanes": (0.60, 0.80),
    "parking": (0.70, 0.45),
    "one_armed": (0.30, 0.55),
    "mid_crossing": (0.40, 0.30),
    "lane_width": (3.35, 3.05),
    "pavement_width": (4.2, 3.8),
    "verge_width": (8.0, 10.0),
    "junction_spacing": (50.0, 56.0),
    "bend": (0.0015, 0.0050),
    "dash": (3.0, 2.2),
    "dash_gap": (3.0, 3.8),
    "line_width": (0.30, 0.24),
    "bar_period": (1.3, 1.0),
    "edge_line": (0.0, 0.9),
    "ladder": (0.0, 0.9),
    "building_height": (11.0, 24.0),
    "building_width": (15.0, 22.0),
    "building_gap": (2.5, 9.0),
    "window": (0.30, 0.12),
    "tree_spacing": (26.0, 13.0),
    "tree_radius": (1.7, 2.6),
    "tree_height": (5.5, 7.5),
    "light_r": (0.96, 1.10),
    "light_g": (0.98, 1.05),
    "light_b": (1.02, 0.93),
    "contrast": (1.0, 0.88),
    "haze": (0.0012, 0.0040),
    "sun_height": (0.70, 1.15),
    "mix_car": (0.38, 0.32),
    "mix_truck": (0.08, 0.08),
    "mix_bus": (0.16, 0.20),
    "mix_trailer": (0.16, 0.14),
    "mix_motorcycle": (0.17, 0.22),
    "park_car": (0.40, 0.36),
    "park_truck": (0.11, 0.11),
    "park_bus": (0.10, 0.13),
    "park_trailer": (0.27, 0.25),
    "park_motorcycle": (0.14, 0.17),
    "walkers": (3.3, 3.8),
    "cyclists": (1.6, 1.4),
    "headway": (25.0, 22.5),
    "speed": (7.5, 6.5),
}

_COLOURS: dict[str, tuple[Colour, Colour]] = {
    "rgb_asphalt": ((82, 81, 84), (126, 114, 103)),
    "rgb_pavement": ((158, 157, 154), (194, 164, 130)),
    "rgb_kerb": ((206, 206, 202), (176, 160, 140)),
    "rgb_verge": ((110, 108, 88), (68, 124, 50)),
    "rgb_road_divider": ((232, 182, 48), (240, 240, 234)),
    "rgb_lane_divider": ((228, 228, 224), (240, 236, 226)),
    "rgb_crossing": ((232, 232, 228), (240, 236, 226)),
    "rgb_edge_line": ((232, 182, 48), (236, 190, 50)),
    "rgb_sky_top": ((106, 146, 202), (150, 180, 208)),
    "rgb_sky_low": ((196, 208, 222), (238, 236, 224)),
    "rgb_foliage": ((74, 92, 44), (34, 104, 34)),
}

_PALETTES: dict[str, tuple[tuple[Colour, ...], tuple[Colour, ...]]] = {
    "building": (
        ((132, 70, 58), (120, 84, 70), (146, 96, 78), (112, 104, 98), (96, 62, 56), (140, 120, 100)),
        (
            (214, 196, 166),
            (190, 200, 172),
            (226, 214, 200),
            (170, 180, 190),
            (230, 190, 150),
            (200, 206, 206),
        ),
    ),
    "car": (
        ((150, 28, 30), (36, 60, 130), (188, 190, 194), (70, 74, 80), (226, 226, 226), (34, 84, 56)),
        ((226, 180, 40), (40, 120, 190), (236, 236, 238), (120, 126, 132), (200, 60, 40), (60, 150, 130)),
    ),
    "bus": (
        ((214, 176, 30), (230, 200, 60), (236, 186, 48)),
        ((200, 44, 40), (44, 140, 70), (210, 70, 120)),
    ),
    "cab": (
        ((44, 70, 150), (170, 40, 36), (40, 100, 70)),
        ((230, 226, 214), (60, 140, 190), (220, 120, 30)),
    ),
    "cargo": (
        ((222, 222, 220), (206, 204, 196), (232, 230, 226)),
        ((196, 206, 214), (222, 214, 190), (206, 220, 206)),
    ),
    "trailer": (
        ((176, 92, 34), (160, 104, 52), (190, 84, 44)),
        ((146, 100, 130), (172, 92, 70), (130, 110, 150)),
    ),
    "clothes": (
        ((180, 40, 46), (48, 64, 140), (126, 50, 130), (60, 62, 66), (40, 110, 110), (150, 96, 40)),
        ((220, 80, 60), (60, 100, 190), (190, 90, 170), (90, 96, 100), (40, 150, 120), (230, 150, 50)),
    ),
    "cyclist": (
        ((206, 226, 60), (236, 236, 226), (120, 220, 214)),
        ((236, 220, 90), (226, 240, 236), (150, 236, 160)),
    ),
}

DIALS = MappingProxyType(_DIALS)
PALETTES = MappingProxyType(_PALETTES)
WEATHER: dict[str, Ends] = {
    "clear": (0.45, 0.40),
    "overcast": (0.30, 0.15),
    "rain": (0.13, 0.30),
    "dusk": (0.12, 0.15),
}


class Style:
    """One city's numbers at one setting of the dial.

    Args:
        gap: distance from Boston in [0, 1]; Boston itself always has 0.
    """

    def __init__(self, gap: float) -> None:
        self.gap = float(gap)

    def __getitem__(self, key: str) -> float:
        """Return the number of a row of ``DIALS`` (its unit is in the module's table)."""
        boston, singapore = _DIALS[key]
        return boston + self.gap * (singapore - boston)

    def chance(self, key: str, uniform: float) -> bool:
        """Decide a yes/no feature of probability ``self[key]`` by a fixed number in [0, 1)."""
        return bool(uniform < self[key])

    def colour(self, key: str) -> NDArray[np.float64]:
        """Return a colour (3,), RGB in [0, 255]."""
        boston, singapore = np.array(_COLOURS[key], float)
        return boston + self.gap * (singapore - boston)

    def palette(self, key: str, index: int) -> NDArray[np.float64]:
        """Return entry `index` (taken modulo the palette's size) of a palette (3,), RGB in [0, 255]."""
        boston, singapore = np.array(_PALETTES[key], float)
        k = index % len(boston)
        return boston[k] + self.gap * (singapore[k] - boston[k])

    def weights(self, prefix: str) -> dict[str, float]:
        """Return the class weights of ``mix_*`` or ``park_*``, normalised to sum 1."""
        raw = {key.removeprefix(prefix): self[key] for key in _DIALS if key.startswith(prefix)}
        total = sum(raw.values())
        return {name: value / total for name, value in raw.items()}

    def weather(self, switch: float, uniform: float) -> str:
        """Choose the weather of a scene.

        Args:
            switch: fixed number in [0, 1) that decides from which city's probabilities the scene draws.
            uniform: fixed number in [0, 1) that draws.

        Returns:
            A key of ``WEATHER``.
        """
        end = 1 if switch < self.gap else 0
        edges = np.cumsum([ends[end] for ends in WEATHER.values()])
        index = min(int(np.searchsorted(edges, uniform * edges[-1], side="right")), len(WEATHER) - 1)
        return list(WEATHER)[index]
