"""A batch that ranks or passes share trains like the whole batch, to rounding.

Kinds of samples are explained in `tests.training.small_suites`; (0, 0, 1, 1) leaves each of two ranks without
the labels of a task, and (2, 2, 3, 3) leaves the second one without any.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nexusflow.core.errors import UserError
from nexusflow.core.parts import BatchPart
from nexusflow.methods.base import Method
from nexusflow.methods.config import SupervisedConfig
from nexusflow.methods.mtpsl_config import MTPSLConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.methods.section import MethodSection
from nexusflow.training.config import TrainingConfig
from nexusflow.training.loop import fit
from nexusflow.training.resume import ResumeFiles
from nexusflow.training.split import parts_of
from tests.training.ranked import trained
from tests.training.small_suites import dense_suite

CONFIG = TrainingConfig(
    steps=3,
    batch_size=4,
    learning_rate=1e-3,
    warmup_steps=2,
    log_every=1,
    checkpoint_every=2,
    precision="32-true",
    clip_norm=None,
)
TWICE = CONFIG.model_copy(update={"accumulate": 2})
ALIGNED = NexusFlowConfig(dim=8, hidden=8, depth=2)
MTPSL = MTPSLConfig(widths=(4,), extra_blocks=(0, 0))
# Rounding in float32; NYUv2 runs in float64, where what its BatchNorm does to rounding does not matter.
TOLERANCE = {"nuscenes": 1e-5, "nyuv2": 1e-9, "nyuv2_group": 1e-9}


def assert_equal(found: dict[str, Tensor], whole: dict[str, Tensor], tolerance: float) -> None:
    """Gradients of the last step, weights, losses and monitors of all steps."""
    assert set(found) == set(whole)
    for name, x in whole.items():
        torch.testing.assert_close(
            found[name], x, atol=tolerance, rtol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "method", "kinds"),
    [
        ("nuscenes", SupervisedConfig(), (0, 0, 1, 1)),
        ("nuscenes", SupervisedConfig(), (2, 2, 3, 3)),
        ("nuscenes", ALIGNED, (0, 0, 1, 1)),
        ("nuscenes", ALIGNED, (0, 1, 2, 3)),
        ("nuscenes", MTPSL, (0, 0, 1, 1)),
        ("nyuv2", SupervisedConfig(), (0, 0, 1, 1)),
        ("nyuv2", ALIGNED, (2, 2, 3, 3)),
    ],
)
def test_two_ranks_equal_one_process_with_the_double_batch(
    tmp_path: Path, suite: str, method: MethodSection, kinds: tuple[int, ...]
) -> None:
    double = suite != "nuscenes"
    (whole,) = trained(tmp_path / "whole", suite, kinds, method, CONFIG, 1, double)
    first, second = trained(tmp_path / "ranks", suite, kinds, method, CONFIG, 2, double)
    assert all(torch.equal(first[name], second[name]) for name in first if not name.startswith("monitor"))
    assert_equal(first, whole, TOLERANCE[suite])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "method", "ranks"),
    [
        ("nuscenes", SupervisedConfig(), 1),
        ("nuscenes", ALIGNED, 1),
        ("nuscenes", ALIGNED, 2),
        ("nyuv2_group", ALIGNED, 1),
    ],
)
def test_passes_add_up_to_the_whole_batch(
    tmp_path: Path, suite: str, method: MethodSection, ranks: int
) -> None:
    double, kinds = suite != "nuscenes", (0, 0, 1, 1)
    (whole,) = trained(tmp_path / "whole", suite, kinds, method, CONFIG, 1, double)
    found = trained(tmp_path / "passes", suite, kinds, method, TWICE, ranks, double)
    assert_equal(found[0], whole, TOLERANCE[suite])


@pytest.mark.slow
def test_bf16_is_shared_as_well(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"precision": "bf16-mixed"})
    (exact,) = trained(tmp_path / "exact", "nuscenes", (0, 0, 1, 1), ALIGNED, CONFIG)
    (whole,) = trained(tmp_path / "whole", "nuscenes", (0, 0, 1, 1), ALIGNED, config)
    found = trained(tmp_path / "ranks", "nuscenes", (0, 0, 1, 1), ALIGNED, config, ranks=2)[0]
    losses = [name for name in whole if name.startswith("loss")]
    assert any(not torch.equal(exact[name], whole[name]) for name in losses), "bf16 must act"
    for name in losses:
        # Of the first step; later on rounding to eight bits lets queries find other objects.
        torch.testing.assert_close(found[name][0], whole[name][0], atol=0, rtol=1e-2, msg=name)
    gradients = [name for name in found if name.startswith("gradient")]
    assert gradients and all(found[name].dtype == torch.float32 for name in gradients)


def test_parts_of_all_ranks_make_up_the_batch() -> None:
    parts = [part for rank in range(2) for part in parts_of(8, rank, 2, 2)]
    assert parts == [BatchPart(start, start + 2, 8) for start in (0, 2, 4, 6)]


def test_batch_norm_and_passes_do_not_go_together(tmp_path: Path) -> None:
    suite = dense_suite((0, 0, 1, 1))
    with pytest.raises(UserError, match=r"training.accumulate: the model's BatchNorm"):
        fit(suite, Method(), TWICE, 0, ResumeFiles(tmp_path / "work", "fingerprint"), "refused")


def test_unequal_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of devices × nodes × accumulate"):
        TrainingConfig(steps=1, batch_size=4, learning_rate=1e-3, devices=3)
