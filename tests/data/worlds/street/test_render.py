from __future__ import annotations

import cv2
import numpy as np
import pytest

from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.generate import official_scene_names
from nexusflow.data.worlds.street.layout import plan_world
from nexusflow.data.worlds.street.painter import footprints, paint_order
from nexusflow.data.worlds.street.render import render_view
from nexusflow.data.worlds.street.rig import build_rig
from nexusflow.data.worlds.street.scene import stage_of, street_of


@pytest.fixture(scope="module")
def shot():
    config = StreetWorldConfig(supersample=1)
    plan = plan_world(config, official_scene_names()).scenes[1]
    stage, backdrop = stage_of(config, plan)
    moment = stage.moment(5)
    rendering = render_view(backdrop, moment.view, backdrop.light, np.random.default_rng(0))
    return config, plan, stage, backdrop, moment, rendering


def _outline(camera, pose, size, shape) -> np.ndarray | None:
    """Pixels inside the projected annotation box, or None where a corner is behind the camera."""
    base = footprints(pose[None], size[None, :2])[0]
    corners = np.concatenate([np.c_[base, np.full(4, z)] for z in (0.0, size[2])])
    seen = (corners - camera.position_3) @ camera.rotation_33
    if (seen[:, 2] < 0.5).any():
        return None
    pixels = seen @ camera.intrinsic_33.T
    hull = cv2.convexHull(np.round(pixels[:, :2] / pixels[:, 2:]).astype(np.int32))
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, hull, 1)
    return mask.astype(bool)


def test_pixels_of_agents_lie_in_their_projected_boxes(shot) -> None:
    config, _, stage, backdrop, moment, rendering = shot
    height, width = config.image_height, config.image_width
    ids = rendering.ids_HW.reshape(6, height, width)
    checked = 0
    for n, camera in enumerate(backdrop.rays.cameras):
        for row, _ in enumerate(moment.agents):
            mine = ids[n] == row + 1
            mask = _outline(camera, moment.view.poses_M3[row], moment.size_M3[row], (height, width))
            if mask is None or mine.sum() < 12:
                continue
            grown = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            assert (mine & grown).sum() >= 0.98 * mine.sum()
            checked += 1
    assert checked >= 4
    assert stage.agents


def test_seen_never_exceeds_outline(shot) -> None:
    *_, rendering = shot
    assert np.all(rendering.seen_A[1:] <= rendering.outline_A[1:])
    assert (rendering.seen_A[1:] > 0).any() and (rendering.seen_A[1:] == 0).any()


def test_painted_lines_stand_where_the_map_says(shot) -> None:
    config, plan, _, backdrop, moment, _ = shot
    street, surfaces, _, _ = street_of(config, plan.street)
    image = backdrop.paint(moment.view.ego_3)[: config.image_height].astype(float)
    camera, ego = backdrop.rays.cameras[0], moment.view.ego_3
    cos, sin = np.cos(ego[2]), np.sin(ego[2])
    yellowness = []
    for line in surfaces.road_dividers:
        s, known = np.linspace(0, 1, 60), np.linspace(0, 1, len(line))
        x, y = (np.interp(s, known, line[:, k]) - ego[k] for k in range(2))
        local = np.stack([cos * x + sin * y, -sin * x + cos * y], 1)
        local = local[(local[:, 0] > 6) & (local[:, 0] < 16) & (np.abs(local[:, 1]) < 5)]
        for x, y in local:
            seen = (np.array([x, y, 0.0]) - camera.position_3) @ camera.rotation_33 @ camera.intrinsic_33.T
            u, v = np.round(seen[:2] / seen[2]).astype(int)
            if 0 <= u < config.image_width and 0 <= v < config.image_height:
                yellowness.append(image[v, u, 0] - image[v, u, 2])
    assert street.plan.city == "boston"
    assert len(yellowness) > 3 and np.median(yellowness) > 40  # asphalt is grey, dividers are yellow


def test_rig_scales_with_the_image() -> None:
    small, large = build_rig(64, 112), build_rig(900, 1600)
    for a, b in zip(small, large, strict=True):
        assert np.allclose(a.rotation_33 @ a.rotation_33.T, np.eye(3)) and np.linalg.det(a.rotation_33) > 0
        point = a.position_3 + a.rotation_33 @ [1.0, 0.5, 10.0]
        uv = []
        for camera, scale in ((a, np.array([1600 / 112, 900 / 64])), (b, np.ones(2))):
            seen = (point - camera.position_3) @ camera.rotation_33 @ camera.intrinsic_33.T
            uv.append((seen[:2] / seen[2] + 0.5) * scale)
        assert np.allclose(uv[0], uv[1], atol=1e-6)


def test_paint_order_covers_far_with_near() -> None:
    eye = np.zeros(2)
    # a long bus whose middle is farther away than the car that it hides
    poses = np.array([[9.0, 2.0, 0.0], [6.0, 5.0, 0.0], [-5.0, 0.0, 0.0]])
    sizes = np.array([[11.0, 2.6], [3.0, 1.8], [4.0, 2.0]])
    order = paint_order(poses, sizes, eye)
    assert sorted(order) == [0, 1, 2]
    assert order.index(1) < order.index(0)
    assert paint_order(np.zeros((0, 3)), np.zeros((0, 2)), eye) == []
