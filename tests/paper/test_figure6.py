"""Figure 6: strips, caption that counts both ways, equal bytes."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.figure6 import draw_figure6, write_figure6
from nexusflow.paper.qualitative_data import save_qualitative
from tests.paper.fabricate import make_frame


@pytest.mark.parametrize(("show_truth", "strips"), [(True, 3), (False, 2)])
def test_every_strip_has_six_images_and_a_map(show_truth: bool, strips: int) -> None:
    fig = draw_figure6(make_frame(), show_truth=show_truth)
    assert len(fig.axes) == 7 * strips
    texts = [text.get_text() for text in fig.texts]
    assert {"Baseline (UniAD)", "Ours (two stage)"} <= set(texts)
    assert ("Truth" in texts) == show_truth


def test_caption_counts_rings_for_either_side() -> None:
    frame = make_frame()
    caption = "\n".join(text.get_text() for text in draw_figure6(frame, max_rings=8).texts)
    assert "scene scene-0000, key frame 7, city boston" in caption
    assert "rings where Ours (two stage) is nearer the truth: 7; where Baseline (UniAD) is: 1" in caption


def test_threshold_removes_boxes() -> None:
    def outlines(threshold: float) -> int:
        axes = draw_figure6(make_frame(), score_threshold=threshold, max_rings=0).axes[6]
        return len({text.get_text() for text in axes.texts})

    assert outlines(0.0) == 5
    assert outlines(0.8) < 5


def test_saved_figure_is_deterministic(tmp_path: Path) -> None:
    save_qualitative(make_frame(), tmp_path / "frame.npz")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_figure6(tmp_path / "frame.npz", [path], dpi=50, width_in=6.0, show_truth=False)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_missing_frame_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        write_figure6(tmp_path / "none.npz", [tmp_path / "a.png"])
