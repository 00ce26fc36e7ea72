"""Scree plots: shares on a logarithmic axis, bands, effective rank in the legend."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.analysis_files import AnalysedRun
from nexusflow.paper.scree import draw_scree, write_scree
from tests.paper.fabricate_analyses import CONTEXT, write_spectra_of


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_curves_bands_and_ranks_of_every_run(tmp_path: Path) -> None:
    runs = [write_spectra_of(tmp_path, "steep", decay=1.5), write_spectra_of(tmp_path, "flat", decay=0.0)]
    fig = draw_scree(runs, ["latent", "embedding"], CONTEXT, "Figure 5")
    assert [axes.get_title(loc="left")[0] for axes in fig.axes] == ["z", "h"]
    for axes in fig.axes:
        assert axes.get_yscale() == "log" and len(axes.collections) == 2
        steep, flat, even = (np.asarray(line.get_ydata()) for line in axes.lines)
        assert steep[0] > 0.7 and np.allclose(flat, 1 / 8) and np.allclose(even, 1 / 8)
        assert list(axes.lines[0].get_xdata()) == list(range(1, 9))
        assert legend(axes)[0] == "Steep: effective rank 4.0 [3.5, 4.5] of 8"
    assert "Figure 5 (seed 0)" in fig.get_suptitle()


def test_shares_near_nothing_are_not_drawn(tmp_path: Path) -> None:
    fig = draw_scree([write_spectra_of(tmp_path, "a", decay=5.0)], ["latent"], CONTEXT, "Figure 5")
    assert len(fig.axes[0].lines[0].get_ydata()) == 3
    assert fig.axes[0].get_ylim()[0] > 1e-7


def test_post_hoc_and_absent_curves_are_named(tmp_path: Path) -> None:
    collapsed = {"latent": {"all": {"dim": 8, "effective_rank": 0.0, "effective_rank_band": [0.0, 0.0]}}}
    runs = [
        write_spectra_of(tmp_path, "a", post_hoc=True),
        write_spectra_of(tmp_path, "b", spectra={"latent": {}}),
        write_spectra_of(tmp_path, "c", spectra=collapsed),
        AnalysedRun("nuscenes", "d", "D", None),
    ]
    fig = draw_scree(runs, ["latent"], CONTEXT, "Figure 5")
    assert legend(fig.axes[0]) == [
        "A (post hoc): effective rank 4.0 [3.5, 4.5] of 8",
        "B: widths of the tasks differ",
        "C: all points coincide",
        "D: not yet run",
    ]
    assert any("post hoc: surrogates" in text.get_text().replace("\n", " ") for text in fig.texts)


def test_bytes_are_equal(tmp_path: Path) -> None:
    runs = [write_spectra_of(tmp_path, "a")]
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_scree(runs, ["latent"], CONTEXT, [path], "Figure 5", dpi=50)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_missing_numbers_are_one_sentence(tmp_path: Path) -> None:
    item = write_spectra_of(tmp_path, "a", spectra={"latent": {"all": {"dim": 8}}})
    with pytest.raises(UserError, match=r"no key 'spectra\.latent\.all\.effective_rank'"):
        draw_scree([item], ["latent"], CONTEXT, "Figure 5")
