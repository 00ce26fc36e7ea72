"""Bird's-eye view: orientation and order of painting."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nexusflow.paper.bev_panel import BOX_COLOURS, MAP_COLOURS, draw_bev, map_image
from nexusflow.paper.camera_panel import RING_COLOUR
from nexusflow.paper.qualitative_data import MAP_CLASSES
from tests.paper.fabricate import make_frame


def test_vehicle_looks_up() -> None:
    map_CRR = np.zeros((4, 10, 10), np.uint8)
    map_CRR[MAP_CLASSES.index("drivable"), 8, 9] = 1  # y to the left, x far ahead
    image_RR3 = map_image(map_CRR)
    painted = np.argwhere((image_RR3 != 1).any(-1))
    assert painted.tolist() == [[0, 1]]  # upper row, left side


def test_lines_lie_over_areas() -> None:
    image_RR3 = map_image(np.ones((4, 2, 2), np.uint8))
    assert tuple(image_RR3[0, 0]) == to_rgb(MAP_COLOURS["divider"])


def test_no_colour_is_used_twice() -> None:
    colours = [*BOX_COLOURS.values(), *MAP_COLOURS.values(), RING_COLOUR]
    assert len(set(colours)) == len(colours)


def test_ids_are_written_beside_boxes() -> None:
    axes = Figure().subplots()
    layer = make_frame().ours
    draw_bev(axes, layer, 25.0, make_frame().truth)
    assert {text.get_text() for text in axes.texts} == {str(track) for track in layer.ids_K}
