"""Runs whose method cannot act are refused in one sentence with file and key."""

from pathlib import Path

import pytest

from nexusflow.config.assemble import train_from_configuration
from nexusflow.config.checks import parts_of
from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.core.errors import UserError


def add_row(folder: Path, row: str, suite: str = "nuscenes") -> None:
    path = folder / "experiments.yaml"
    path.write_text(path.read_text().replace(f"{suite}:\n", f"{suite}:\n  extra: {row}\n", 1))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "{ method: { name: matching, moments_weight: 1 }, budget: finetune, init: baseline }",
            r"key `nuscenes\.extra\.method\.moments_weight`: .* frozen encoder",
        ),
        (
            "{ method: { name: combined, parts: [{ name: nexusflow }, { name: matching, moments_weight: 1 }]"
            " }, budget: finetune, init: baseline }",
            r"key `nuscenes\.extra\.method\.moments_weight`: .* frozen encoder",
        ),
        (
            "{ method: { name: matching, mmd_weight: 1 }, partition: full }",
            r"key `nuscenes\.extra\.partition`: .* `full` hides none",
        ),
        (
            "{ method: { name: nexusflow }, budget: finetune, init: baseline, model: { tap: bev } }",
            r"key `nuscenes\.extra\.model\.tap`: the BEV grid cannot move",
        ),
        ("{ method: { name: matching } }", r"nuscenes\.extra"),
        ("{ method: { name: combined, parts: [{ name: nexusflow }] } }", r"nuscenes\.extra.*parts"),
        ("{ method: { name: combined, parts: 3 } }", r"nuscenes\.extra.*parts"),
    ],
)
def test_a_run_that_cannot_act_is_refused(config_folder: Path, row: str, message: str) -> None:
    add_row(config_folder, row)
    with pytest.raises(UserError, match=message) as caught:
        load_configuration(config_folder, "smoke").check()
    assert "experiments.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        "{ method: { name: supervised }, budget: finetune, init: baseline, model: { tap: bev } }",
        "{ method: { name: matching, moments_weight: 1 } }",
        "{ method: { name: matching, mmd_weight: 1 }, partition: random, budget: finetune, init: baseline }",
    ],
)
def test_a_run_that_can_is_not(config_folder: Path, row: str) -> None:
    add_row(config_folder, row)
    load_configuration(config_folder, "smoke").check()


def test_parts_have_the_settings_of_the_scale(config_folder: Path) -> None:
    configuration = load_configuration(config_folder, "embedded")
    alone = configuration.resolve("nuscenes", "nexusflow_two_stage").method
    combined = configuration.resolve("nuscenes", "matching_both_nexusflow").method
    assert parts_of(alone) == (alone,)
    assert parts_of(combined)[0] == alone and alone.dim == 64
    assert parts_of(combined)[1] == configuration.resolve("nuscenes", "matching_both").method


@pytest.mark.parametrize(
    ("suite", "row", "message"),
    [
        ("nuscenes", "weights: baseline, reestimate_normalisation: all", "BEV model has no BatchNorm"),
        ("nyuv2", "reestimate_normalisation: all", "name a run that is trained"),
        ("nyuv2", "weights: baseline_renormalised", "name a run that is trained"),
        ("nyuv2", "weights: nobody", r"no run `nyuv2\.nobody`"),
        ("nyuv2", "weights: baseline_mtan", "`baseline_mtan` has another model"),
        ("nyuv2", "weights: baseline, reestimate_normalisation: some", r"nyuv2\.extra\.reestimate"),
    ],
)
def test_weights_that_do_not_fit_are_refused(config_folder: Path, suite: str, row: str, message: str) -> None:
    add_row(config_folder, f"{{ method: {{ name: supervised }}, {row} }}", suite)
    with pytest.raises(UserError, match=message) as caught:
        load_configuration(config_folder, "smoke").check()
    assert "\n" not in str(caught.value)


def test_a_model_without_batch_statistics_has_none_to_take_anew(config_folder: Path) -> None:
    path = config_folder / "scales" / "smoke.yaml"
    path.write_text(path.read_text().replace("network: segnet", "norm: group, network: segnet"))
    with pytest.raises(UserError, match="the model has no BatchNorm"):
        load_configuration(config_folder, "smoke").check()


def test_a_row_without_training_is_not_trained(config_folder: Path, tmp_path: Path) -> None:
    configuration = load_configuration(config_folder, "smoke")
    assert configuration.weights_of("nyuv2", "baseline") == "baseline"
    with pytest.raises(UserError, match="is not trained; it predicts with the weights of `baseline`"):
        train_from_configuration(
            configuration, Layout("smoke", tmp_path), "nyuv2", "baseline_renormalised_per_domain", 0
        )
