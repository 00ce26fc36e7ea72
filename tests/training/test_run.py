"""A run publishes weights, log and provenance; the best validation score is named as such."""

import json
from pathlib import Path

from nexusflow.methods.config import SupervisedConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.training.checkpoint import read_tensors
from nexusflow.training.run import RunIdentity, best_validation, train_run
from tests.training.test_loop import CONFIG, Validated

ROWS = [
    {"step": 2.0},
    {"step": 4.0, "validation/IoU": 40.0, "validation/error": 1.0},
    {"step": 6.0, "validation/IoU": 44.0, "validation/error": 1.0},
    {"step": 8.0, "validation/IoU": 40.0, "validation/error": 2.0},
]
DIRECTIONS = {"IoU": 1, "error": -1}


def test_the_best_step_has_the_largest_mean_gain() -> None:
    assert best_validation(ROWS, DIRECTIONS) == {"step": 6.0, "IoU": 44.0, "error": 1.0}


def test_an_error_counts_downwards() -> None:
    rows = [ROWS[1] | {"validation/error": 3.0}, ROWS[3]]
    assert best_validation(rows, DIRECTIONS) == {"step": 8.0, "IoU": 40.0, "error": 2.0}


def test_a_run_that_was_not_validated_has_none() -> None:
    assert best_validation(ROWS[:1], DIRECTIONS) is None
    assert best_validation(ROWS, {}) is None


def test_training_time_leaves_validation_out(tmp_path: Path) -> None:
    identity = RunIdentity("smoke", "toy", "toy", 0, "code", {}, "data")
    config = CONFIG.model_copy(update={"validate_every": 4})
    train_run(identity, Validated(), SupervisedConfig(), config, tmp_path)
    record = json.loads((tmp_path / "provenance.json").read_text())
    assert record["best_validation"]["step"] in (4, 8, 10)
    assert record["train_seconds"] >= 0 and record["validation_seconds"] >= 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "method.safetensors",
        "model.safetensors",
        "log.csv",
        "provenance.json",
    }


def test_the_networks_of_a_method_are_saved(tmp_path: Path) -> None:
    identity = RunIdentity("smoke", "toy", "toy", 0, "code", {}, "data")
    train_run(identity, Validated(), NexusFlowConfig(dim=8, hidden=8, depth=2), CONFIG, tmp_path)
    tensors, header = read_tensors(tmp_path / "method.safetensors")
    assert header["method"] == "nexusflow" and any(name.startswith("surrogates.flows") for name in tensors)


def test_first_weights_are_noted_and_a_second_phase_inherits_the_note(tmp_path: Path) -> None:
    identity = RunIdentity("smoke", "toy", "toy", 0, "code", {}, "data")
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    suite = Validated()
    suite.initialisation = {"source": "imagenet", "file": "a.safetensors"}
    train_run(identity, suite, SupervisedConfig(), CONFIG, first)
    train_run(identity, Validated(), SupervisedConfig(), CONFIG, second, first / "model.safetensors")
    train_run(identity, Validated(), SupervisedConfig(), CONFIG, third)
    notes = [
        json.loads((folder / "provenance.json").read_text())["initialisation"]
        for folder in (first, second, third)
    ]
    assert notes == [suite.initialisation, suite.initialisation, {"source": "none"}]
