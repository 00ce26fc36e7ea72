"""The loop: deterministic, resumable to the byte, honest about phases."""

from pathlib import Path

import pytest
import torch

from nexusflow.core.errors import UserError
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.config import SupervisedConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.training.config import TrainingConfig
from nexusflow.training.loop import FitResult, fit, learning_rate_at
from nexusflow.training.resume import ResumeFiles
from tests.training.toy import ToySuite

CONFIG = TrainingConfig(
    steps=10,
    batch_size=4,
    learning_rate=0.01,
    warmup_steps=2,
    log_every=2,
    checkpoint_every=4,
    precision="32-true",
)
ALIGNED = NexusFlowConfig(dim=8, hidden=8, depth=2)


def run(
    folder: Path,
    method: NexusFlowConfig | SupervisedConfig = ALIGNED,
    config: TrainingConfig = CONFIG,
    suite: ToySuite | None = None,
) -> FitResult:
    suite = suite or ToySuite()
    built = build_method(method, BuildContext(suite.tap_channels, 0))
    return fit(suite, built, config, 0, ResumeFiles(folder / "work", "fingerprint"), "toy")


def same(first: FitResult, second: FitResult) -> bool:
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and first.log.rows == second.log.rows


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    assert same(run(tmp_path / "a"), run(tmp_path / "b"))


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("killed_at", [3, 4, 5, 9])
def test_a_killed_run_ends_like_one_that_was_not(tmp_path: Path, killed_at: int) -> None:
    class Mortal(ToySuite):
        def batch(self, step: int) -> torch.Tensor:
            if step == killed_at:
                raise Killed
            return super().batch(step)

    with pytest.raises(Killed):
        run(tmp_path, suite=Mortal())
    again = ToySuite()
    resumed = run(tmp_path, suite=again)
    assert again.batches[0] == killed_at // 4 * 4
    assert same(resumed, run(tmp_path / "whole"))


def test_detached_alignment_equals_the_control(tmp_path: Path) -> None:
    control = run(tmp_path / "control", SupervisedConfig())
    detached = run(tmp_path / "detached", ALIGNED.model_copy(update={"detach": True}))
    aligned = run(tmp_path / "aligned")
    weights = [dict(x.model.state_dict()) for x in (control, detached, aligned)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_phase_two_leaves_the_encoder_alone(tmp_path: Path) -> None:
    before = ToySuite().model.encoder.weight.clone()
    frozen = run(tmp_path / "a", config=CONFIG.model_copy(update={"freeze_encoder": True}))
    trained = run(tmp_path / "b")
    assert torch.equal(frozen.model.state_dict()["encoder.weight"], before)
    assert not torch.equal(trained.model.state_dict()["encoder.weight"], before)


def test_single_frames_come_first(tmp_path: Path) -> None:
    suite = ToySuite()
    run(tmp_path, config=CONFIG.model_copy(update={"single_frame_fraction": 0.3}), suite=suite)
    assert suite.single == [True] * 3 + [False] * 7


def test_divergence_is_one_sentence(tmp_path: Path) -> None:
    class Broken(ToySuite):
        def batch(self, step: int) -> torch.Tensor:
            return super().batch(step) * (float("nan") if step == 5 else 1.0)

    with pytest.raises(UserError, match="diverged at step 5"):
        run(tmp_path, suite=Broken())


def test_learning_rate_warms_up_and_falls() -> None:
    rates = [learning_rate_at(step, CONFIG) for step in range(CONFIG.steps)]
    assert rates[0] == pytest.approx(0.005)
    assert max(rates) == rates[1] == rates[2] == CONFIG.learning_rate
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] < 0.05 * CONFIG.learning_rate


def test_halving_follows_the_warm_up() -> None:
    config = CONFIG.model_copy(update={"schedule": "halving", "halve_every": 3})
    rates = [learning_rate_at(step, config) for step in range(9)]
    assert rates == pytest.approx([0.005, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.0025])


def test_no_average_means_the_last_weights(tmp_path: Path) -> None:
    suite = ToySuite()
    result = run(tmp_path, config=CONFIG.model_copy(update={"ema_decay": 0.0}), suite=suite)
    assert torch.equal(result.model.state_dict()["encoder.weight"], suite.model.encoder.weight)


def test_without_clipping_a_large_gradient_counts_in_full(tmp_path: Path) -> None:
    tight = run(tmp_path / "a", config=CONFIG.model_copy(update={"clip_norm": 1e-3}))
    free = run(tmp_path / "b", config=CONFIG.model_copy(update={"clip_norm": None}))
    assert tight.log.rows[0]["gradient_norm"] > 1e-3
    assert not same(tight, free)


class Validated(ToySuite):
    """Scores itself by its first weight, and leaves random numbers alone."""

    score_directions = {"size": 1}  # noqa: RUF012

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        assert not model.training and not torch.is_grad_enabled()
        return {"size": float(model.encoder.weight[0, 0])}  # type: ignore[union-attr, index]


def test_scores_stand_in_their_rows_and_change_nothing(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"validate_every": 4})
    scored = run(tmp_path / "a", config=config, suite=Validated())
    steps = [row["step"] for row in scored.log.rows if "validation/size" in row]
    assert steps == [4, 8, 10]
    plain = run(tmp_path / "b")
    weights = [list(x.model.state_dict().values()) for x in (scored, plain)]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    assert 0 < scored.validation_seconds < scored.seconds


def test_loss_weights_scale_what_is_minimised_and_not_what_is_logged(tmp_path: Path) -> None:
    once = CONFIG.model_copy(update={"steps": 2, "clip_norm": None})
    weighted = once.model_copy(update={"loss_weights": {"map": 3.0}})
    plain, scaled = (
        run(tmp_path / name, SupervisedConfig(), config)
        for name, config in (("plain", once), ("scaled", weighted))
    )
    # The first step's losses are those of the same initial weights; a row holds the mean of two steps.
    row = scaled.log.rows[0]
    total = row["loss/track/l2"] + 3 * row["loss/map/l2"]
    assert row["loss/total"] == pytest.approx(total)
    assert plain.log.rows[0]["loss/total"] == pytest.approx(
        plain.log.rows[0]["loss/track/l2"] + plain.log.rows[0]["loss/map/l2"]
    )


def test_a_weight_of_no_task_is_named_before_training(tmp_path: Path) -> None:
    suite = ToySuite()
    with pytest.raises(UserError, match="`depht`; the tasks are track, map"):
        run(tmp_path, config=CONFIG.model_copy(update={"loss_weights": {"depht": 2.0}}), suite=suite)
    assert suite.batches == []
