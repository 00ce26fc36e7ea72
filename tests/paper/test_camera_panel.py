"""Camera panel: boxes that are in view are drawn with their ids."""

from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from nexusflow.paper.camera_panel import draw_camera
from nexusflow.paper.qualitative_data import CAMERAS
from tests.paper.fabricate import make_frame


def test_boxes_and_rings_in_view() -> None:
    frame = make_frame()
    index = CAMERAS.index("CAM_FRONT")
    axes = Figure().subplots()
    ringed = [frame.truth.boxes_K9[1], frame.truth.boxes_K9[2]]  # one ahead, one behind
    draw_camera(axes, frame.images_NHW3[index], frame.ego2img_N44[index], frame.truth, "front", ringed)
    texts = {text.get_text() for text in axes.texts}
    assert {"11", "12", "front"} <= texts
    assert "13" not in texts  # behind the vehicle
    assert sum(isinstance(patch, Ellipse) for patch in axes.patches) == 1
    assert axes.get_ylim() == (64, 0)
