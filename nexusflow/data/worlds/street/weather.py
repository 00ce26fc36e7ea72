"""Light and weather of one scene, as a few numbers and look-up tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.style import Style

__all__ = ["SceneLight", "draw_light"]

# gain, contrast, colourfulness, haze factor, direct sun, noise
_WEATHER: dict[str, tuple[float, float, float, float, float, float]] = {
    "clear": (1.06, 1.00, 1.00, 1.0, 0.42, 2.0),
    "overcast": (0.96, 0.92, 0.86, 1.6, 0.15, 2.4),
    "rain": (0.80, 0.86, 0.72, 3.2, 0.08, 3.2),
    "dusk": (0.58, 0.95, 0.85, 1.4, 0.12, 4.0),
}


@dataclass(frozen=True)
class SceneLight:
    """How a scene is lit.

    Args:
        weather: its name.
        table_256_3: uint8 look-up table from painted to seen colour, per channel.
        colourfulness: factor on the distance from grey.
        sun_3: unit vector to the sun, global frame.
        direct: share of light that depends on the sun's direction.
        haze_per_m: fraction of the haze colour taken on per metre.
        sky_low_3: colour at the horizon and of the haze; `sky_top_3` overhead.
        noise: standard deviation of pixel noise, grey levels.
    """

    weather: str
    table_256_3: NDArray[np.uint8]
    colourfulness: float
    sun_3: Array
    direct: float
    haze_per_m: float
    sky_low_3: Array
    sky_top_3: Array
    noise: float

    def shade(self, normals_Q3: Array, ego_yaw: float) -> Array:
        """Brightness (Q,) of faces whose normals are given in the ego frame."""
        cos, sin = np.cos(ego_yaw), np.sin(ego_yaw)
        x, y, z = self.sun_3
        sun = np.array([cos * x + sin * y, -sin * x + cos * y, z])
        sideways = 0.06 * (normals_Q3[:, 2] > 0.5)  # the sky lights tops more than sides
        return 0.80 - 0.5 * self.direct + sideways + self.direct * np.maximum(normals_Q3 @ sun, 0.0)


def draw_light(style: Style, rng: np.random.Generator) -> SceneLight:
    """Draw a scene's weather and light; six random numbers, whatever the dial says."""
    u = rng.uniform(size=6)
    weather = style.weather(u[0], u[1])
    gain, contrast, colourfulness, haze, direct, noise = _WEATHER[weather]
    gain *= 0.94 + 0.12 * u[2]
    azimuth = 2 * np.pi * u[3]
    height = style["sun_height"] * (0.85 + 0.3 * u[4])
    sun = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    tint = np.array([style["light_r"], style["light_g"], style["light_b"]])
    warmth = (u[5] - 0.5) * 0.06
    tint = tint * np.array([1 + warmth, 1.0, 1 - warmth])
    if weather == "dusk":
        tint = tint * np.array([1.06, 0.96, 0.98])
    ramp = np.arange(256.0)[:, None] * tint * gain
    seen = 118.0 * gain + (ramp - 118.0 * gain) * contrast * style["contrast"]
    table = np.clip(np.round(seen), 0, 255).astype(np.uint8)
    grey = np.array([200.0, 203.0, 206.0])
    cloud = {"clear": 0.0, "overcast": 0.75, "rain": 0.9, "dusk": 0.2}[weather]
    low = style.colour("rgb_sky_low") * (1 - cloud) + grey * cloud
    top = style.colour("rgb_sky_top") * (1 - cloud) + 0.95 * grey * cloud
    return SceneLight(weather, table, colourfulness, sun, direct, style["haze"] * haze, low, top, noise)
