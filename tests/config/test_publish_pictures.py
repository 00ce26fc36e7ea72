"""Figure 2 leaves out suites that a scale lacks; the video follows its section."""

from pathlib import Path

import pytest
from PIL import Image

from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.config.publish import draw_figure
from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.paper.video_data import save_video
from tests.paper.fabricate_pictures import make_outline, make_video


def test_a_scale_with_one_suite_has_one_strip(dense_folder: Path, tmp_path: Path) -> None:
    sizes = {}
    for scale in ("smoke", "full"):
        layout = Layout(scale, tmp_path)
        write_json(layout.outline("nyuv2"), make_outline(frozen=False).model_dump(mode="json"))
        if scale == "smoke":
            with pytest.raises(UserError, match=r"nuscenes\.json is missing"):
                draw_figure(load_configuration(dense_folder, scale), layout, "figure2", [0])
            write_json(layout.outline("nuscenes"), make_outline().model_dump(mode="json"))
        draw_figure(load_configuration(dense_folder, scale), layout, "figure2", [0])
        with Image.open(layout.base / "figure2.png") as picture:
            sizes[scale] = picture.size
        assert (layout.base / "figure2.pdf").stat().st_size > 0
    assert sizes["full"][0] == sizes["smoke"][0] and sizes["full"][1] < 0.7 * sizes["smoke"][1]


def test_the_video_follows_its_section(config_folder: Path, tmp_path: Path) -> None:
    path = config_folder / "paper.yaml"
    text = path.read_text()
    path.write_text(
        text.replace("frames_per_second: 2.0\n  width_px: 800", "frames_per_second: 5\n  width_px: 400")
    )
    assert path.read_text() != text
    layout = Layout("smoke", tmp_path)
    save_video(make_video(2), layout.base / "qualitative" / "video.npz")
    draw_figure(load_configuration(config_folder, "smoke"), layout, "video", [0])
    with Image.open(layout.base / "video.gif") as gif:
        assert (gif.n_frames, gif.width, gif.info["duration"]) == (2, 400, 200)
