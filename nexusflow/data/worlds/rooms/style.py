"""Three styles of room, and a dial between one common style and three distinct ones."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from nexusflow.data.worlds.rooms.primitives import Colour

__all__ = ["STYLES", "RoomStyle", "style_of"]


@dataclass(frozen=True)
class RoomStyle:
    """Everything that differs between styles; every number moves linearly with the dial.

    Attributes:
        wall: colour of the walls.
        wall_second: colour of their pattern.
        floor: colour of the floor.
        floor_second: colour of its pattern.
        wood: colour of furniture.
        cloth: colour of beds.
        sofa_cloth: colour of sofas.
        seat: colour of chairs.
        table_wood: colour of tables.
        accent: colour of small things.
        lamp: colour of the light.
        lamp_power: strength of the lamps.
        ambient: light from everywhere.
        daylight: light that windows give.
        width_m: mean width of the room.
        depth_m: mean depth of the room.
        height_m: mean height of the room.
        camera_m: mean height of the camera.
        pitch_deg: mean pitch of the camera, negative = down.
        bed: chance of a bed.
        sofa: expected number of sofas.
        desk: expected number of tables with chairs.
        shelf: expected number of shelves with books.
        cupboard: expected number of cupboards.
        tv: chance of a television.
        pictures: expected number of pictures.
        windows: expected number of windows.
        clutter: expected number of small things on each surface.
        pattern: share of patterned walls and floors.
    """

    wall: Colour
    wall_second: Colour
    floor: Colour
    floor_second: Colour
    wood: Colour
    cloth: Colour
    sofa_cloth: Colour
    seat: Colour
    table_wood: Colour
    accent: Colour
    lamp: Colour
    lamp_power: float
    ambient: float
    daylight: float
    width_m: float
    depth_m: float
    height_m: float
    camera_m: float
    pitch_deg: float
    bed: float
    sofa: float
    desk: float
    shelf: float
    cupboard: float
    tv: float
    pictures: float
    windows: float
    clutter: float
    pattern: float


STYLES = {
    "bedroom": RoomStyle(
        wall=(0.52, 0.36, 0.30),
        wall_second=(0.44, 0.28, 0.26),
        floor=(0.30, 0.17, 0.10),
        floor_second=(0.20, 0.10, 0.06),
        wood=(0.28, 0.15, 0.08),
        cloth=(0.52, 0.20, 0.42),
        sofa_cloth=(0.16, 0.24, 0.60),
        seat=(0.55, 0.08, 0.08),
        table_wood=(0.82, 0.58, 0.12),
        accent=(0.12, 0.50, 0.16),
        lamp=(1.00, 0.78, 0.52),
        lamp_power=0.75,
        ambient=0.16,
        daylight=0.25,
        width_m=3.6,
        depth_m=3.8,
        height_m=2.5,
        camera_m=1.45,
        pitch_deg=-17.0,
        bed=0.95,
        sofa=0.5,
        desk=1.0,
        shelf=1.3,
        cupboard=1.5,
        tv=0.5,
        pictures=3.2,
        windows=1.7,
        clutter=1.6,
        pattern=0.3,
    ),
    "office": RoomStyle(
        wall=(0.80, 0.82, 0.84),
        wall_second=(0.70, 0.73, 0.77),
        floor=(0.34, 0.38, 0.44),
        floor_second=(0.24, 0.27, 0.33),
        wood=(0.62, 0.55, 0.44),
        cloth=(0.66, 0.40, 0.66),
        sofa_cloth=(0.26, 0.40, 0.76),
        seat=(0.72, 0.18, 0.14),
        table_wood=(0.92, 0.78, 0.36),
        accent=(0.30, 0.74, 0.34),
        lamp=(0.90, 0.97, 1.00),
        lamp_power=1.1,
        ambient=0.27,
        daylight=0.7,
        width_m=5.4,
        depth_m=6.2,
        height_m=2.8,
        camera_m=1.6,
        pitch_deg=-7.0,
        bed=0.15,
        sofa=0.9,
        desk=2.6,
        shelf=2.4,
        cupboard=0.9,
        tv=0.75,
        pictures=2.0,
        windows=2.2,
        clutter=2.0,
        pattern=0.1,
    ),
    "living": RoomStyle(
        wall=(0.62, 0.68, 0.46),
        wall_second=(0.74, 0.76, 0.56),
        floor=(0.58, 0.42, 0.24),
        floor_second=(0.44, 0.30, 0.16),
        wood=(0.46, 0.28, 0.14),
        cloth=(0.40, 0.14, 0.32),
        sofa_cloth=(0.10, 0.14, 0.44),
        seat=(0.44, 0.05, 0.10),
        table_wood=(0.66, 0.44, 0.08),
        accent=(0.08, 0.40, 0.20),
        lamp=(1.00, 0.93, 0.78),
        lamp_power=1.0,
        ambient=0.26,
        daylight=0.6,
        width_m=4.8,
        depth_m=4.8,
        height_m=2.6,
        camera_m=1.3,
        pitch_deg=-11.0,
        bed=0.2,
        sofa=1.7,
        desk=1.4,
        shelf=0.9,
        cupboard=1.0,
        tv=0.95,
        pictures=3.0,
        windows=1.2,
        clutter=1.8,
        pattern=0.2,
    ),
}


def style_of(name: str, gap: float) -> RoomStyle:
    """Move a style towards the mean of all three.

    Args:
        name: key of `STYLES`.
        gap: 0 = the mean, 1 = the style itself.

    Returns:
        The style; every field is a linear function of the gap.
    """
    values = {}
    for item in fields(RoomStyle):
        own = np.asarray(getattr(STYLES[name], item.name), np.float64)
        mean = np.mean([np.asarray(getattr(style, item.name)) for style in STYLES.values()], axis=0)
        mixed = mean + gap * (own - mean)
        values[item.name] = tuple(mixed.tolist()) if mixed.ndim else float(mixed)
    return RoomStyle(**values)  # type: ignore[arg-type]
