"""Figures of analyses from the configuration: their own seed, their suite, all their files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.config.paper_runs import ANALYSIS_BEHIND, runs_behind
from nexusflow.config.publish import draw_figure, write_table
from nexusflow.core.errors import UserError
from tests.paper.fabricate_analyses import write_lemma_of, write_pictures_of, write_spectra_of

WRITERS: dict[str, Callable] = {
    "embedding": write_pictures_of,
    "spectrum": lambda folder, run, suite: write_spectra_of(folder, run),
    "lemma": write_lemma_of,
}
FIGURES = ("figure3", "figure3_v1", "figure4", "figure5")


def coarse(config_folder: Path) -> None:
    path = config_folder / "paper.yaml"
    path.write_text(path.read_text().replace("style: { dpi: 200", "style: { dpi: 50"))


@pytest.mark.parametrize("output", [*FIGURES, "lemma"])
def test_every_output_is_written_from_its_analyses(config_folder: Path, tmp_path: Path, output: str) -> None:
    coarse(config_folder)
    configuration, layout = load_configuration(config_folder, "smoke"), Layout("smoke", tmp_path / "results")
    kind = ANALYSIS_BEHIND[output]
    for item in runs_behind(configuration.paper, output):
        made = WRITERS[kind](layout.base / "analyses" / kind, item.run, item.suite)
        assert made.path == layout.analysis(kind, item.suite, item.run, 0)
    # The seeds of the tables do not matter.
    (write_table if output == "lemma" else draw_figure)(configuration, layout, output, [5, 6])
    endings = ("png", "pdf", "csv", "md") if output == "lemma" else ("png", "pdf")
    assert all((layout.base / f"{output}.{ending}").stat().st_size > 0 for ending in endings)


@pytest.mark.parametrize("output", FIGURES)
def test_missing_analyses_are_one_sentence(config_folder: Path, tmp_path: Path, output: str) -> None:
    configuration = load_configuration(config_folder, "smoke")
    with pytest.raises(UserError, match=r"seed0\.json is missing; run the rule that makes it"):
        draw_figure(configuration, Layout("smoke", tmp_path), output, [0])


def test_a_scale_without_the_suite_is_refused_in_one_sentence(dense_folder: Path, tmp_path: Path) -> None:
    configuration = load_configuration(dense_folder, "full")
    for output in ("figure3", "figure3_v1", "figure5"):
        with pytest.raises(UserError, match=r"full\.yaml has no section `nuscenes`"):
            draw_figure(configuration, Layout("full", tmp_path), output, [0])


def test_lemma_1_leaves_out_suites_that_the_scale_lacks(dense_folder: Path, tmp_path: Path) -> None:
    coarse(dense_folder)
    configuration, layout = load_configuration(dense_folder, "full"), Layout("full", tmp_path / "results")
    write_lemma_of(layout.base / "analyses" / "lemma", "nexusflow_centre", "nyuv2", scale="full")
    write_table(configuration, layout, "lemma", [0])
    assert "nuscenes" not in (layout.base / "lemma.csv").read_text()
