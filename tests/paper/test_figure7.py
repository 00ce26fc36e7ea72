"""Figure 7: rows and columns, scores, shared scales, equal bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.dense_data import save_dense_frame
from nexusflow.paper.figure7 import draw_figure7, write_figure7
from tests.paper.fabricate_dense import make_dense_frame

KEYS = 3  # legend, colour bar, ball


@pytest.mark.parametrize("methods", [1, 3])
def test_one_row_for_the_truth_and_one_per_method(methods: int) -> None:
    fig = draw_figure7(make_dense_frame(methods=methods))
    assert len(fig.axes) == 1 + 3 * (1 + methods) + KEYS
    texts = [text.get_text() for text in fig.texts]
    heads = ["RGB", "Segmentation", "Depth", "Surface normals", "Ground truth", "Full supervision"]
    assert set(heads) <= set(texts)
    assert ("Ours (centre)" in texts) == (methods == 3)


def test_panels_do_not_overlap_and_stay_inside() -> None:
    for height, width, methods in ((96, 128, 3), (32, 64, 1), (288, 384, 6)):
        frame = make_dense_frame(0, height, width, min(methods, 3))
        extra = [replace(frame.methods[0], name=f"m{i}") for i in range(methods - len(frame.methods))]
        fig = draw_figure7(replace(frame, methods=(*frame.methods, *extra)))
        boxes = [axes.get_position() for axes in fig.axes]
        for index, box in enumerate(boxes):
            assert min(box.x0, box.y0) >= 0 and max(box.x1, box.y1) <= 1
            for other in boxes[:index]:
                apart_x = box.x1 <= other.x0 + 1e-9 or other.x1 <= box.x0 + 1e-9
                apart_y = box.y1 <= other.y0 + 1e-9 or other.y1 <= box.y0 + 1e-9
                assert apart_x or apart_y
        first = fig.axes[0].get_position()
        shape = (first.width * fig.get_figwidth()) / (first.height * fig.get_figheight())
        assert shape == pytest.approx(width / height)


def test_scores_stand_above_the_tiles() -> None:
    frame = make_dense_frame()
    texts = [text.get_text() for text in draw_figure7(frame).texts]
    for expected in ("IoU 51.0 %", "absolute error 0.190 m", "mean error 12.2°"):
        assert expected in texts
    nothing = replace(frame, methods=(replace(frame.methods[0], scores={}),))
    assert [text.get_text() for text in draw_figure7(nothing).texts].count("no valid pixel") == 3


def test_all_depth_tiles_share_the_colour_scale() -> None:
    frame = make_dense_frame()
    same = replace(frame.methods[1], depth_HW=np.full_like(frame.truth.depth_HW, 2.0))
    other = replace(frame.methods[2], depth_HW=np.full_like(frame.truth.depth_HW, 2.0))
    fig = draw_figure7(replace(frame, methods=(same, other)))
    depth = [np.asarray(fig.axes[1 + 3 * row + 1].images[0].get_array()) for row in (1, 2)]
    np.testing.assert_array_equal(depth[0], depth[1])


def test_caption_names_image_and_how_it_was_chosen() -> None:
    texts = "\n".join(text.get_text() for text in draw_figure7(make_dense_frame()).texts)
    assert "validation image no. 17 (of 120), chosen without looking at predictions, seed 0" in texts


def test_saved_figure_is_deterministic(tmp_path: Path) -> None:
    save_dense_frame(make_dense_frame(methods=1), tmp_path / "f.npz")
    paths = [tmp_path / f"{name}.{ending}" for name in "ab" for ending in ("png", "pdf")]
    for pair in (paths[:2], paths[2:]):
        write_figure7(tmp_path / "f.npz", pair, width_in=8.0, dpi=50)
    assert paths[0].read_bytes() == paths[2].read_bytes()
    assert paths[1].read_bytes() == paths[3].read_bytes()


def test_missing_frame_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        write_figure7(tmp_path / "none.npz", [tmp_path / "a.png"])
