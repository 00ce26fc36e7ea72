"""Configuration files: the shipped ones are right, and every mistake is one sentence with file and key."""

from dataclasses import replace
from pathlib import Path

import pytest

from nexusflow.config.load import load_configuration
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig


@pytest.mark.parametrize("scale", ["smoke", "embedded"])
def test_every_shipped_run_resolves(config_folder: Path, scale: str) -> None:
    configuration = load_configuration(config_folder, scale)
    configuration.check()
    assert configuration.resolve("nuscenes", "nexusflow_two_stage").init == "baseline"
    assert configuration.resolve("nuscenes", "nexusflow_two_stage").training.freeze_encoder
    assert {configuration.resolve(suite, "jtr").method.name for suite in ("nuscenes", "nyuv2")} == {"jtr"}
    centre, full = configuration.resolve("nyuv2", "nexusflow_centre"), configuration.resolve("nyuv2", "full")
    assert (centre.partition, centre.method.depth, full.partition) == ("clusters_sdn", 4, "full")


def test_the_full_scale_has_the_published_networks(config_folder: Path) -> None:
    configuration = load_configuration(config_folder, "full")
    configuration.check()
    run = configuration.resolve("nyuv2", "full")
    assert run.model.widths == (64, 128, 256, 512, 512)
    assert (run.training.batch_size, run.training.clip_norm) == (2, None)
    bev = configuration.resolve("nuscenes", "nexusflow_two_stage").model
    assert (bev.encoder.kind, bev.encoder.layers, bev.encoder.channels) == ("bevformer", 6, 256)
    assert (bev.bev_cells, bev.track.detection_queries, bev.track.layers) == (200, 900, 6)


@pytest.mark.parametrize("scale", ["mini", "full"])
def test_recorded_scales_leave_out_runs_in_generated_worlds(config_folder: Path, scale: str) -> None:
    configuration = load_configuration(config_folder, scale)
    configuration.check()
    section = configuration.nuscenes
    assert isinstance(section.world, NuScenesSourceConfig)
    for name in ("image_height", "image_width", "bev_half_m", "map_cells"):
        assert getattr(section.model, name) == getattr(section.reader, name)
    with pytest.raises(UserError, match="has no world `street_gap000`"):
        configuration.resolve("nuscenes", "baseline_gap000")


def test_a_scale_may_lack_a_suite(dense_folder: Path) -> None:
    configuration = load_configuration(dense_folder, "full")
    configuration.check()
    with pytest.raises(UserError, match=r"full\.yaml has no section `nuscenes`"):
        configuration.resolve("nuscenes", "full")


def test_a_declared_run_has_no_method_yet(config_folder: Path) -> None:
    path = config_folder / "experiments.yaml"
    path.write_text(path.read_text() + "  someday: { note: only declared }\n")
    configuration = load_configuration(config_folder, "smoke")
    assert configuration.row("nyuv2", "someday").is_declared_only
    with pytest.raises(UserError, match=r"`nyuv2\.someday` is declared but its method does not exist"):
        configuration.resolve("nyuv2", "someday")


def test_worlds_differ_in_what_they_say_only(config_folder: Path) -> None:
    configuration = load_configuration(config_folder, "embedded")
    world, other = configuration.world("nuscenes", "street"), configuration.world("nuscenes", "street_gap100")
    assert other.domain_gap == 1.0
    assert other.model_copy(update={"domain_gap": world.domain_gap}) == world


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, "the test must change something"
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("config.yaml", "scale: embedded", "scale: enormous", "no scale `enormous`"),
        ("config.yaml", "seeds: [0]", "seeds: zero", "config.yaml: key `seeds`"),
        ("config.yaml", "seeds: [0]", "sedes: [0]", "config.yaml: key `se"),
        ("scales/embedded.yaml", "batch_size: 4", "batch_size: -4", "nuscenes.budgets.pretrain.batch_size"),
        (
            "scales/embedded.yaml",
            "domain_gap: 0.0 }",
            "domain_gap: 7 }",
            "nuscenes.worlds.street_gap000.domain_gap",
        ),
        ("scales/embedded.yaml", "nuscenes:", "nuscenes: [", "not valid YAML at line"),
        ("experiments.yaml", "budget: finetune", "budget: feast", "nuscenes.nexusflow_two_stage.budget"),
        ("experiments.yaml", "init: baseline", "init: nothing", "no run `nuscenes.nothing`"),
        ("experiments.yaml", "init: baseline", "init: nexusflow_two_stage", "leads back"),
        ("experiments.yaml", "name: nexusflow }", "name: magic }", "nuscenes.nexusflow_one_stage"),
        ("experiments.yaml", "nuscenes:", "nuscenses:", "key `nuscenses` is no suite"),
        ("experiments.yaml", "partition: onelabel", "partition: s_geo", "nyuv2.baseline_onelabel.partition"),
        ("scales/embedded.yaml", "tap: N1", "tap: N2", "needs network mtan"),
        ("scales/embedded.yaml", "validate_every: 320", "validate_every: 30", "multiple of log_every"),
    ],
)
def test_a_mistake_is_one_sentence(config_folder: Path, file: str, old: str, new: str, message: str) -> None:
    change(config_folder / file, old, new)
    with pytest.raises(UserError) as caught:
        load_configuration(config_folder).check()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(config_folder: Path) -> None:
    (config_folder / "experiments.yaml").unlink()
    with pytest.raises(UserError, match=r"experiments\.yaml is missing"):
        load_configuration(config_folder)


def test_a_run_is_resolved_once_and_anew_in_a_changed_copy(config_folder: Path) -> None:
    first = load_configuration(config_folder, "smoke")
    run = first.resolve("nyuv2", "baseline")
    assert first.resolve("nyuv2", "baseline") is run
    row = first.row("nyuv2", "baseline").model_copy(update={"training": {"steps": run.training.steps + 1}})
    runs = {**first.runs, "nyuv2": {**first.runs["nyuv2"], "baseline": row}}
    assert replace(first, runs=runs).resolve("nyuv2", "baseline").training.steps == run.training.steps + 1
