"""Figure 2: every number comes from the outline; frozen parts are hatched; equal bytes."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.figure2 import PipelineStrip, draw_figure2, read_outline, write_figure2
from tests.paper.fabricate_pictures import make_outline


def words(fig: Figure) -> list[str]:
    """All texts of the diagram."""
    return [text.get_text() for text in (*fig.axes[0].texts, *fig.texts)]


def hatched(fig: Figure) -> int:
    """Number of hatched patches."""
    return sum(patch.get_hatch() is not None for patch in fig.axes[0].patches)


def test_shapes_and_sizes_are_those_of_the_outline() -> None:
    found = words(draw_figure2([PipelineStrip("nuScenes", make_outline())]))
    for text in ("Backbone", "Encoder", "track", "map", "MLPAggregator", "6 coupling layers"):
        assert text in found
    assert {"6 × 3 × 64 × 112", "64 × 50 × 50", "54 × 64", "1.50 M parameters", "777 parameters"} <= set(
        found
    )
    assert found.count("4.57 k parameters") == 2 and found.count("32") == 2
    note = next(text for text in found if text.startswith("Run some_run"))
    assert "labels of partition s_geo. Model 3.02 M parameters; surrogates 10.7 k" in note


def test_frozen_parts_are_hatched_and_named() -> None:
    fig = draw_figure2([PipelineStrip("nuScenes", make_outline(frozen=True))])
    assert hatched(fig) == 2
    assert any("Phase 2 from baseline: 3.00 M parameters are frozen." in text for text in words(fig))
    assert "frozen in phase 2" in {text.get_text() for text in fig.legends[0].texts}
    fig = draw_figure2([PipelineStrip("nuScenes", make_outline(frozen=False))])
    assert hatched(fig) == 0
    assert any("nothing is frozen" in text for text in words(fig))
    assert "frozen in phase 2" not in {text.get_text() for text in fig.legends[0].texts}


def test_every_task_and_suite_is_drawn() -> None:
    three = make_outline(("segmentation", "depth", "normal"), frozen=False)
    fig = draw_figure2([PipelineStrip("one", make_outline()), PipelineStrip("two", three)])
    found = words(fig)
    assert {"one", "two", "segmentation", "depth", "normal", "$z_3$"} <= set(found)
    alone = draw_figure2([PipelineStrip("one", make_outline())])
    assert fig.get_figheight() > 2 * alone.get_figheight() - 1.5
    assert "$z_3$" not in words(alone)


def test_pair_loss_and_missing_couplings_are_shown() -> None:
    found = words(draw_figure2([PipelineStrip("x", make_outline(loss="pair", couplings=0))]))
    assert "no coupling layers" in found and r"$\bar{z}$" not in found
    assert any("i<j" in text for text in found)
    assert r"$\bar{z}$" in words(draw_figure2([PipelineStrip("x", make_outline())]))


def test_saved_figure_is_deterministic(tmp_path: Path) -> None:
    write_json(tmp_path / "nuscenes.json", make_outline().model_dump(mode="json"))
    panels = [("nuScenes", tmp_path / "nuscenes.json")]
    for name in ("a", "b"):
        write_figure2(panels, [tmp_path / f"{name}.png", tmp_path / f"{name}.pdf"], dpi=50)
    for ending in ("png", "pdf"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_broken_outlines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "nuscenes.json"
    with pytest.raises(UserError, match=r"nuscenes\.json is missing"):
        read_outline(path)
    write_json(path, make_outline().model_dump(mode="json"))
    content = read_json(path)
    content["model"]["trunk"][0]["parameters"] = -1
    write_json(path, content)
    with pytest.raises(
        UserError, match=r"nuscenes\.json: key 'model\.trunk\.0\.parameters' is missing or wrong"
    ):
        read_outline(path)
    with pytest.raises(UserError, match=r"figure2\.panels"):
        write_figure2([], [tmp_path / "a.png"])
