"""Camera poses: upright, inside the room, looking at it."""

import numpy as np
import pytest

from nexusflow.data.worlds.rooms.camera import FOCAL_OVER_WIDTH, choose_camera, pixel_rays
from nexusflow.data.worlds.rooms.layout import plan_room
from nexusflow.data.worlds.rooms.style import STYLES, style_of


@pytest.mark.parametrize("name", STYLES)
def test_cameras_stand_inside_and_upright(name: str) -> None:
    style = style_of(name, 0.8)
    stands = []
    for seed in range(9):
        rng = np.random.default_rng(seed)
        room = plan_room(style, rng)
        camera = choose_camera(room, style, rng)
        assert np.allclose(camera.axes_33.T @ camera.axes_33, np.eye(3)) and np.linalg.det(camera.axes_33) > 0
        assert (np.abs(camera.position_3[[0, 2]]) < [room.width / 2, room.depth / 2]).all()
        assert 0 < camera.position_3[1] < room.height
        assert camera.axes_33[1, 1] > 0.8 and abs(camera.axes_33[1, 0]) < 1e-9  # no roll
        forward_2 = -camera.axes_33[[0, 2], 2] / np.linalg.norm(camera.axes_33[[0, 2], 2])
        half_2 = np.array([room.width, room.depth]) / 2
        stands.append(forward_2 @ camera.position_3[[0, 2]] / (np.abs(forward_2) @ half_2))
    assert np.median(stands) < -0.4  # most of the room is in front


def test_rays_follow_the_pinhole() -> None:
    rays = pixel_rays(4, 8, 1).reshape(4, 8, 3)
    assert (rays[..., 2] == -1).all() and rays[0, 0, 1] > 0 > rays[3, 0, 1] and rays[0, 0, 0] < 0
    assert rays[0, 7, 0] == pytest.approx(3.5 / (8 * FOCAL_OVER_WIDTH))
    fine = pixel_rays(4, 8, 2).reshape(4, 2, 8, 2, 3).mean((1, 3))
    assert np.allclose(fine, rays)
