"""t-SNE figures: a column per run, numbers below, honest about what is missing."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json
from nexusflow.paper.analysis_files import AnalysedRun
from nexusflow.paper.archive import write_archive
from nexusflow.paper.pictures import draw_pictures, write_pictures
from tests.paper.fabricate_analyses import CONTEXT, TASKS, write_pictures_of


def words(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.texts).replace("\n", " ")


def points(axes: Axes) -> int:
    return sum(len(part.get_offsets()) for part in axes.collections)


def test_every_point_of_every_task_is_drawn_in_its_colour(tmp_path: Path) -> None:
    fig = draw_pictures([write_pictures_of(tmp_path, "a", "nyuv2")], ["latent"], CONTEXT, "Figure 4")
    (axes,) = fig.axes
    assert points(axes) == 3 * 12
    colours = {tuple(part.get_facecolor()[0]) for part in axes.collections}
    assert len(colours) == 3
    assert [text.get_text() for text in fig.legends[0].get_texts()] == TASKS["nyuv2"]


def test_numbers_stand_below_and_the_title_names_the_seed(tmp_path: Path) -> None:
    fig = draw_pictures([write_pictures_of(tmp_path, "a")], ["latent"], CONTEXT, "Figure 3")
    assert fig.axes[0].get_xlabel() == "mixing 0.25\nprobe 75%, chance 50%"
    assert "Figure 3 (seed 0)" in fig.get_suptitle()
    assert any("Scale smoke" in text.get_text() for text in fig.texts)


def test_post_hoc_is_marked_where_surrogates_count(tmp_path: Path) -> None:
    runs = [write_pictures_of(tmp_path, "a", post_hoc=True), write_pictures_of(tmp_path, "b")]
    fig = draw_pictures(runs, ["h", "latent"], CONTEXT, "Figure 3")
    marks = [axes.get_title(loc="right") for axes in fig.axes]
    assert marks == ["", "", "post hoc", ""]
    assert "Post hoc" in fig.get_supxlabel()
    assert "Post hoc" not in draw_pictures(runs, ["h"], CONTEXT, "Figure 3").get_supxlabel()
    assert "Post hoc" not in draw_pictures(runs[1:], ["latent"], CONTEXT, "Figure 3").get_supxlabel()


def test_a_kind_of_several_widths_is_said_to_be_absent(tmp_path: Path) -> None:
    runs = [
        write_pictures_of(tmp_path, "a", kinds=["latent"]),
        AnalysedRun("nuscenes", "later", "Later", None),
    ]
    fig = draw_pictures(runs, ["h", "latent"], CONTEXT, "Figure 3")
    assert words(fig.axes[0]) == "no picture: h is of another width in every task"
    assert [points(axes) for axes in fig.axes] == [0, 0, 24, 0]
    assert words(fig.axes[3]) == "not yet run"


def test_points_that_coincide_are_said_to(tmp_path: Path) -> None:
    item = write_pictures_of(tmp_path, "a")
    assert item.path is not None
    arrays = {f"latent/{task}": np.zeros((12, 2), np.float32) for task in TASKS["nuscenes"]}
    write_archive(item.path.with_suffix(".npz"), arrays, read_json(item.path))
    assert words(draw_pictures([item], ["latent"], CONTEXT, "Figure 3").axes[0]) == "all points coincide"


def test_bytes_are_equal(tmp_path: Path) -> None:
    runs = [write_pictures_of(tmp_path, "a")]
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_pictures(runs, ["latent"], CONTEXT, [path], "Figure 3", dpi=50)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_nan_is_one_sentence(tmp_path: Path) -> None:
    item = write_pictures_of(tmp_path, "a", apart=float("nan"))
    with pytest.raises(UserError, match=r"seed0\.npz: array 'latent/track' must be free of NaN"):
        draw_pictures([item], ["latent"], CONTEXT, "Figure 3")
