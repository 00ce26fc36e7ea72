"""What a launcher says, and what does not fit it."""

from __future__ import annotations

import pytest

from nexusflow.core.errors import UserError
from nexusflow.training.config import TrainingConfig
from nexusflow.training.joining import Started, join_ranks, ranks_to_start, started_by
from nexusflow.training.launch import rank_environment

ALONE = TrainingConfig(steps=1, batch_size=12, learning_rate=1e-3)
TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "LOCAL_WORLD_SIZE": "2"}
SRUN = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2"}


def test_launchers_are_recognised() -> None:
    assert started_by(TORCHRUN) == Started("torchrun", 3, 4, 2)
    assert started_by(SRUN) == Started("srun", 5, 8, 2)
    assert started_by(rank_environment(1, 2, 4000)) == Started("torchrun", 1, 2, 1)


@pytest.mark.parametrize("environment", [{}, {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}])
def test_a_process_alone_is_alone(environment: dict[str, str]) -> None:
    assert started_by(environment) is None
    assert ranks_to_start(ALONE, environment) == 0
    assert ranks_to_start(ALONE.model_copy(update={"devices": 3}), environment) == 3


def test_a_rank_starts_no_further_ones() -> None:
    assert ranks_to_start(ALONE.model_copy(update={"devices": 4}), TORCHRUN) == 0


def test_several_machines_need_a_launcher() -> None:
    with pytest.raises(UserError, match=r"training.nodes is 2, so start the same command by `srun`"):
        ranks_to_start(ALONE.model_copy(update={"nodes": 2}), {})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"devices": 2}, r"devices × nodes is 2, but torchrun has started 4 processes"),
        ({"accumulate": 2}, r"batch_size is 12, which is no multiple of 4 processes × accumulate 2"),
    ],
)
def test_what_does_not_fit_the_launcher_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, int], said: str
) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said):
        join_ranks(ALONE.model_copy(update=changed), "32-true")
