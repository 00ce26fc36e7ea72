"""The outline of a scale's models comes from its configuration, and says what phase 2 freezes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.config.outline import outline_from_configuration, outline_settings
from nexusflow.core.errors import UserError
from nexusflow.paper.figure2 import read_outline


def with_run(configuration: Configuration, suite: str, run: str) -> Configuration:
    """The same configuration, with another run in Figure 2."""
    panels = tuple(
        panel.model_copy(update={"run": run}) if panel.suite == suite else panel
        for panel in configuration.paper.figure2.panels
    )
    figure = configuration.paper.figure2.model_copy(update={"panels": panels})
    return replace(configuration, paper=configuration.paper.model_copy(update={"figure2": figure}))


def test_the_dense_outline_is_that_of_its_run(config_folder: Path, tmp_path: Path) -> None:
    configuration, layout = load_configuration(config_folder, "smoke"), Layout("smoke", tmp_path)
    outline_from_configuration(configuration, layout, "nyuv2")
    first = layout.outline("nyuv2").read_bytes()
    outline = read_outline(layout.outline("nyuv2"))
    assert (outline.scale, outline.run, outline.partition) == ("smoke", "nexusflow_centre", "clusters_sdn")
    assert (outline.starts_from, outline.loss, outline.weight) == (None, "center", 1.0)
    assert [x.task for x in outline.surrogates] == [branch.task for branch in outline.model.branches]
    assert {(x.aggregator, x.couplings, x.dim, x.latent_dim) for x in outline.surrogates} == {
        ("MLPAggregator", 4, 16, 16)
    }
    outline_from_configuration(configuration, layout, "nyuv2")
    assert layout.outline("nyuv2").read_bytes() == first
    outline_from_configuration(with_run(configuration, "nyuv2", "nexusflow_couplings2"), layout, "nyuv2")
    assert {x.couplings for x in read_outline(layout.outline("nyuv2")).surrogates} == {2}


def test_phase_two_of_the_street_suite_is_frozen(config_folder: Path, tmp_path: Path) -> None:
    configuration, layout = load_configuration(config_folder, "smoke"), Layout("smoke", tmp_path)
    outline_from_configuration(configuration, layout, "nuscenes")
    outline = read_outline(layout.outline("nuscenes"))
    assert outline.starts_from == "baseline"
    assert all(part.frozen == part.parameters for part in outline.model.trunk)
    assert {(x.aggregator, x.couplings) for x in outline.surrogates} == {("DeformableAggregator", 6)}
    one_stage = with_run(configuration, "nuscenes", "nexusflow_one_stage")
    outline_from_configuration(one_stage, layout, "nuscenes")
    assert sum(part.frozen for part in read_outline(layout.outline("nuscenes")).model.trunk) == 0


def test_settings_hold_what_the_outline_reads(config_folder: Path) -> None:
    configuration = load_configuration(config_folder, "smoke")
    content = json.loads(outline_settings(configuration, "nyuv2"))
    assert content["reader"]["image_width"] == 64 and content["method"]["depth"] == 4
    assert "learning_rate" not in str(content)
    other = with_run(configuration, "nyuv2", "nexusflow_couplings2")
    assert outline_settings(other, "nyuv2") != outline_settings(configuration, "nyuv2")
    assert outline_settings(other, "nuscenes") == outline_settings(configuration, "nuscenes")


def test_a_run_without_surrogates_is_refused(config_folder: Path, tmp_path: Path) -> None:
    configuration = with_run(load_configuration(config_folder, "smoke"), "nyuv2", "baseline")
    with pytest.raises(UserError, match=r"figure2\.panels.*`nyuv2\.baseline` has no surrogates"):
        outline_from_configuration(configuration, Layout("smoke", tmp_path), "nyuv2")
