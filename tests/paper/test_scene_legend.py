"""The legend names every class of box and map, in the colours of the panels."""

from matplotlib.colors import to_hex

from nexusflow.paper.bev_panel import BOX_COLOURS, MAP_COLOURS
from nexusflow.paper.scene_legend import box_patches, map_patches, true_box_mark


def test_every_class_has_its_colour() -> None:
    boxes = {patch.get_label(): to_hex(patch.get_edgecolor()).upper() for patch in box_patches()}
    assert boxes == BOX_COLOURS
    areas = {patch.get_label(): to_hex(patch.get_facecolor()).upper() for patch in map_patches()}
    assert areas == MAP_COLOURS
    assert true_box_mark().get_label() == "true box"
