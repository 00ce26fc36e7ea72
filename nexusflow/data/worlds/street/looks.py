"""How each class of road user looks: a few boxes, window bands and lamps, told apart at twenty metres."""

from __future__ import annotations

import numpy as np

from nexusflow.data.worlds.street.agents import Body
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.solids import QuadList, Quads

__all__ = ["body_quads"]

_GLASS = np.array([34.0, 40.0, 50.0])
_TYRE = np.array([24.0, 24.0, 26.0])
_SHADOW = np.array([38.0, 38.0, 40.0])
_RED = np.array([190.0, 24.0, 20.0])
_LAMP = np.array([250.0, 246.0, 220.0])
_SKIN = np.array([206.0, 160.0, 130.0])

Span = tuple[float, float]


def _lamps(q: QuadList, x: Span, y: Span, z: Span, layer: int = 0) -> None:
    """White lamps at the front and red ones at the back of a box."""
    q.decal("front", x, (y[0], y[0] + 0.3 * (y[1] - y[0])), z, _LAMP, layer)
    q.decal("front", x, (y[1] - 0.3 * (y[1] - y[0]), y[1]), z, _LAMP, layer)
    q.decal("back", x, (y[0], y[0] + 0.3 * (y[1] - y[0])), z, _RED, layer)
    q.decal("back", x, (y[1] - 0.3 * (y[1] - y[0]), y[1]), z, _RED, layer)


def _car(q: QuadList, x: float, y: float, h: float, paint: Array) -> None:
    q.cuboid((-x, x), (-y, y), (0.0, 0.16 * h), _TYRE)
    q.cuboid((-x, x), (-y, y), (0.16 * h, 0.58 * h), paint[0], 1)
    _lamps(q, (-x, x), (-y, y), (0.38 * h, 0.52 * h), 1)
    q.cuboid((-0.78 * x, 0.42 * x), (-0.88 * y, 0.88 * y), (0.58 * h, h), _GLASS, 2, top=paint[0])


def _bus(q: QuadList, x: float, y: float, h: float, paint: Array) -> None:
    q.cuboid((-x, x), (-y, y), (0.0, 0.10 * h), _TYRE)
    q.cuboid((-x, x), (-y, y), (0.10 * h, h), paint[0], 1, top=np.array([225.0, 225.0, 222.0]))
    for face in ("left", "right"):
        for k in range(6):
            start = -x + (k + 0.12) * x / 3
            q.decal(face, (start, start + 0.26 * x), (-y, y), (0.48 * h, 0.80 * h), _GLASS, 1)
    q.decal("front", (-x, x), (-0.92 * y, 0.92 * y), (0.40 * h, 0.86 * h), _GLASS, 1)
    q.decal("back", (-x, x), (-0.85 * y, 0.85 * y), (0.55 * h, 0.82 * h), _GLASS, 1)
    _lamps(q, (-x, x), (-y, y), (0.18 * h, 0.28 * h), 1)


def _truck(q: QuadList, x: float, y: float, h: float, paint: Array) -> None:
    split = x - min(2.1, 0.62 * x)
    q.cuboid((-x, x), (-0.9 * y, 0.9 * y), (0.0, 0.24 * h), _TYRE)
    cab: Span = (split + 0.12, x)
    q.cuboid((-x, split), (-y, y), (0.24 * h, h), paint[1], 1)
    q.decal("back", (-x, split), (-0.9 * y, 0.9 * y), (0.30 * h, 0.94 * h), 0.82 * paint[1], 1)
    q.cuboid(cab, (-0.96 * y, 0.96 * y), (0.14 * h, 0.80 * h), paint[0], 1)
    q.decal("front", cab, (-0.88 * y, 0.88 * y), (0.46 * h, 0.74 * h), _GLASS, 1)
    for face in ("left", "right"):
        q.decal(
            face,
            (cab[0] + 0.35 * (cab[1] - cab[0]), cab[1] - 0.1),
            (-0.96 * y, 0.96 * y),
            (0.46 * h, 0.72 * h),
            _GLASS,
            1,
        )
    _lamps(q, (-x, x), (-0.9 * y, 0.9 * y), (0.15 * h, 0.24 * h), 0)


def _trailer(q: QuadList, x: float, y: float, h: float, paint: Array) -> None:
    q.cuboid((-x, -0.35 * x), (-0.85 * y, 0.85 * y), (0.0, 0.28 * h), _TYRE)
    q.cuboid((0.45 * x, 0.55 * x), (-0.7 * y, 0.7 * y), (0.0, 0.28 * h), _TYRE)
    q.cuboid((-x, x), (-y, y), (0.28 * h, h), paint[0], 1)
    for face in ("left", "right"):
        for k in range(5):
            start = -x + (k + 0.35) * 2 * x / 5
            q.decal(face, (start, start + 0.12 * x), (-y, y), (0.30 * h, 0.97 * h), 0.70 * paint[0], 1)
    for face in ("front", "back"):
        q.decal(face, (-x, x), (-0.15 * y, 0.15 * y), (0.30 * h, 0.97 * h), 0.70 * paint[0], 1)
    q.decal("back", (-x, x), (-y, y), (0.28 * h, 0.36 * h), _RED, 1)


def _two_wheeler(q: QuadList, x: float, y: float, h: float, body: Body) -> None:
    paint, dark = body.paint_23, body.kind == "motorcycle"
    scale = 1.0 if body.ridden else 1 / 0.65
    frame = 0.55 * h * scale
    if dark:
        q.cuboid((-x, x), (-0.35 * y, 0.35 * y), (0.0, frame), _TYRE)
        q.cuboid(
            (-0.5 * x, 0.6 * x),
            (-0.55 * y, 0.55 * y),
            (0.3 * frame, 0.95 * frame),
            np.array([44.0, 44.0, 48.0]),
            1,
        )
        q.decal("back", (-x, x), (-0.3 * y, 0.3 * y), (0.6 * frame, 0.85 * frame), _RED, 1)
        q.decal("front", (-x, x), (-0.3 * y, 0.3 * y), (0.6 * frame, 0.95 * frame), _LAMP, 1)
    else:
        light = 0.35 * paint[1] + 0.65 * np.array([235.0, 235.0, 235.0])
        q.cuboid((-x, -0.30 * x), (-0.12 * y, 0.12 * y), (0.0, 0.75 * frame), 0.65 * light)
        q.cuboid((0.30 * x, x), (-0.12 * y, 0.12 * y), (0.0, 0.75 * frame), 0.65 * light)
        q.cuboid((-0.55 * x, 0.65 * x), (-0.16 * y, 0.16 * y), (0.45 * frame, 0.85 * frame), light, 1)
        q.cuboid((0.45 * x, 0.60 * x), (-0.9 * y, 0.9 * y), (0.85 * frame, frame), light, 1)
    if body.ridden:
        torso = np.array([50.0, 50.0, 56.0]) if dark else paint[0]
        q.cuboid((-0.35 * x, 0.15 * x), (-0.85 * y, 0.85 * y), (0.50 * h, 0.84 * h), torso, 2)
        q.cuboid((-0.22 * x, 0.14 * x), (-0.45 * y, 0.45 * y), (0.84 * h, h), paint[1] if dark else _SKIN, 3)


def _pedestrian(q: QuadList, x: float, y: float, h: float, paint: Array) -> None:
    q.cuboid((-0.45 * x, 0.45 * x), (-0.65 * y, 0.65 * y), (0.0, 0.46 * h), 0.45 * paint[1] + 12.0)
    q.cuboid((-0.55 * x, 0.55 * x), (-0.95 * y, 0.95 * y), (0.46 * h, 0.84 * h), paint[0], 1)
    q.cuboid(
        (-0.35 * x, 0.35 * x),
        (-0.42 * y, 0.42 * y),
        (0.84 * h, h),
        _SKIN,
        2,
        back=np.array([60.0, 44.0, 34.0]),
    )


def body_quads(body: Body) -> Quads:
    """Build a road user in its own frame (x ahead, y left, origin on the ground under its middle).

    Args:
        body: class, size and paint.

    Returns:
        Its quads; nothing but the shadow leaves the annotated box by more than a centimetre.
    """
    q = QuadList()
    length, width, h = body.size_3
    x, y = length / 2, width / 2
    q.shadow(length, width if body.kind not in ("bicycle", "motorcycle") else 0.6 * width, _SHADOW)
    if body.kind in ("bicycle", "motorcycle"):
        _two_wheeler(q, x, y, h, body)
    else:
        build = {"car": _car, "bus": _bus, "truck": _truck, "trailer": _trailer, "pedestrian": _pedestrian}
        build[body.kind](q, x, y, h, body.paint_23)
    return q.build()
