"""Rays and solids: distances and normals against geometry that can be worked out by hand."""

import numpy as np
import pytest

from nexusflow.data.worlds.rooms.primitives import BOX, CYLINDER, ELLIPSOID, Material, Solids, SolidsBuilder
from nexusflow.data.worlds.rooms.raycast import cast_rays, occluded

GREY = Material((0.5, 0.5, 0.5))
ORIGIN = np.zeros(3)


def room(*pieces: tuple[int, tuple[float, float, float], tuple[float, float, float], float]) -> Solids:
    builder = SolidsBuilder()
    builder.add(BOX, (0, 0, 0), (8, 8, 8), "wall", GREY)
    for kind, centre, size, yaw in pieces:
        builder.add(kind, (0, 0, 0), size, "table", GREY, yaw, centre)
    return builder.build()


def test_the_room_is_seen_from_within() -> None:
    rays = np.array([[0, 0, -1.0], [0, -2.0, 0], [1.0, 0.5, 0.25]])
    hits = cast_rays(room(), ORIGIN, rays)
    assert hits.distance_P == pytest.approx([4, 2, 4])
    assert np.allclose(hits.normal_P3, [[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    assert (hits.solid_P == 0).all()


@pytest.mark.parametrize(
    ("kind", "ray", "distance", "normal"),
    [
        (BOX, (0, 0, -1), 2.5, (0, 0, 1)),
        (ELLIPSOID, (0, 0, -1), 2.5, (0, 0, 1)),
        (CYLINDER, (0, 0, -1), 2.5, (0, 0, 1)),
    ],
)
def test_solids_are_met_at_their_front(
    kind: int, ray: tuple[float, float, float], distance: float, normal: tuple[float, float, float]
) -> None:
    hits = cast_rays(room((kind, (0, 0, -3), (1, 2, 1), 0)), ORIGIN, np.array([ray], float))
    assert hits.solid_P[0] == 1 and hits.distance_P[0] == pytest.approx(distance)
    assert np.allclose(hits.normal_P3[0], normal, atol=1e-9)


def test_a_turned_box_shows_its_edge() -> None:
    hits = cast_rays(room((BOX, (0, 0, -3), (1, 1, 1), np.pi / 4)), ORIGIN, np.array([[1e-6, 0, -1.0]]))
    assert hits.distance_P[0] == pytest.approx(3 - np.sqrt(0.5), abs=1e-5)
    assert np.allclose(np.abs(hits.normal_P3[0]), [np.sqrt(0.5), 0, np.sqrt(0.5)])


def test_a_cylinder_has_caps() -> None:
    start = np.array([0, 3.0, 0])
    hits = cast_rays(room((CYLINDER, (0, 0, 0), (1, 2, 1), 0)), start, np.array([[0, -1.0, 0], [0.9, -1, 0]]))
    assert hits.distance_P[0] == pytest.approx(2) and np.allclose(hits.normal_P3[0], [0, 1, 0])
    assert hits.solid_P.tolist() == [1, 0] and hits.face_P[0] == 1


def test_normals_are_units_that_face_the_ray() -> None:
    rays = np.random.default_rng(0).normal(size=(500, 3))
    pieces = [(BOX, (1, 0, -2), (1, 1, 1), 0.3), (ELLIPSOID, (-1, 0.5, -2), (1, 0.5, 2), 0.7)]
    hits = cast_rays(room(*pieces, (CYLINDER, (0, 0, 2), (0.5, 3, 0.5), 0)), ORIGIN, rays)
    assert np.allclose(np.linalg.norm(hits.normal_P3, axis=1), 1)
    assert ((hits.normal_P3 * rays).sum(1) < 1e-9).all() and set(hits.solid_P) == {0, 1, 2, 3}


def test_a_box_between_point_and_lamp_throws_a_shadow() -> None:
    solids = room((BOX, (0, 0, 0), (1, 0.1, 1), 0))
    starts = np.array([[0, -2.0, 0], [2, -2.0, 0]])
    assert occluded(solids, starts, np.array([0, 3.0, 0])).tolist() == [True, False]
