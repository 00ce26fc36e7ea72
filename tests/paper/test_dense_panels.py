"""Tiles of Figure 7: every pixel has the colour its value says, void is transparent."""

from dataclasses import replace
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import Normalize, to_rgb

from nexusflow.paper.dense_data import DENSE_CLASSES
from nexusflow.paper.dense_panels import (
    CLASS_COLOURS,
    DEPTH_COLOURS,
    class_pixels,
    classes_in,
    depth_limits,
    depth_pixels,
    draw_normal_key,
    normal_pixels,
)
from nexusflow.paper.style import new_figure
from tests.paper.fabricate_dense import make_dense_frame


def test_class_colours_are_told_apart_and_void_is_transparent() -> None:
    pixels = class_pixels(np.array([[-1, 0, 12]], np.int8))
    assert pixels.shape == (1, 3, 4)
    assert pixels[0, :, 3].tolist() == [0, 1, 1]
    np.testing.assert_allclose(pixels[0, 1, :3], to_rgb(CLASS_COLOURS["bed"]))
    np.testing.assert_allclose(pixels[0, 2, :3], to_rgb(CLASS_COLOURS["window"]))
    for first, second in combinations(CLASS_COLOURS.values(), 2):
        assert np.abs(np.subtract(to_rgb(first), to_rgb(second))).max() > 0.1


def test_depth_uses_one_scale_and_hides_invalid_pixels_of_the_truth() -> None:
    colours, scale = mpl.colormaps[DEPTH_COLOURS], Normalize(1.0, 3.0)
    depth_HW = np.array([[0.0, 1.0, 2.0, 3.0, 9.0]], np.float32)
    truth = depth_pixels(depth_HW, scale, colours, hide_zero=True)
    predicted = depth_pixels(depth_HW, scale, colours, hide_zero=False)
    assert truth[0, :, 3].tolist() == [0, 1, 1, 1, 1] and predicted[0, :, 3].tolist() == [1] * 5
    np.testing.assert_allclose(predicted[0, 2], colours(0.5))
    np.testing.assert_allclose(predicted[0, 0], predicted[0, 1])
    np.testing.assert_allclose(predicted[0, 4], predicted[0, 3])


def test_limits_of_the_depth_come_from_valid_pixels_of_the_truth() -> None:
    truth = make_dense_frame().truth
    limits = depth_limits(truth)
    valid = truth.depth_HW[truth.depth_HW > 0]
    assert limits.vmin is not None and limits.vmax is not None
    assert valid.min() <= limits.vmin < limits.vmax <= valid.max()
    nothing = depth_limits(replace(truth, depth_HW=np.zeros_like(truth.depth_HW)))
    assert (nothing.vmin, nothing.vmax) == (0.0, 1.0)
    flat = depth_limits(replace(truth, depth_HW=np.full_like(truth.depth_HW, 2.0)))
    assert (flat.vmin, flat.vmax) == (2.0, 3.0)


@pytest.mark.parametrize(
    ("normal", "rgba"),
    [
        ((1, 0, 0), (1, 0.5, 0.5, 1)),
        ((0, -1, 0), (0.5, 0, 0.5, 1)),
        ((0, 0, 1), (0.5, 0.5, 1, 1)),
        ((0, 0, 0), (0.5, 0.5, 0.5, 0)),
    ],
)
def test_normals_are_painted_by_direction(normal: tuple[float, ...], rgba: tuple[float, ...]) -> None:
    assert normal_pixels(np.array([[normal]], np.float32))[0, 0].tolist() == list(rgba)


def test_key_of_the_normals_is_the_colour_of_its_direction() -> None:
    axes = new_figure(2, 2).subplots()
    draw_normal_key(axes)
    pixels = np.asarray(axes.images[0].get_array())
    side = len(pixels)
    up, right = pixels[side // 40, side // 2], pixels[side // 2, -side // 40]
    assert up[1] > 0.9 and right[0] > 0.9  # image rows run down: the first row is up
    np.testing.assert_allclose(pixels[side // 2, side // 2, :3], (0.5, 0.5, 1.0), atol=0.02)
    assert pixels[0, 0, 3] == 0


def test_classes_of_any_tile_are_shown() -> None:
    frame = make_dense_frame(methods=0)
    assert classes_in(frame) == {"wall", "floor", "ceiling", "picture", "sofa", "table", "objects"}
    assert classes_in(make_dense_frame()) <= set(DENSE_CLASSES)
