"""Cost of training steps: fresh processes, turns, and one sentence for what goes wrong."""

import statistics

import pytest

from nexusflow.core.errors import UserError
from nexusflow.methods.base import BuildContext, Method
from nexusflow.methods.build import build_method
from nexusflow.methods.config import SupervisedConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.suites.base import Suite
from nexusflow.training.config import TrainingConfig
from nexusflow.training.cost import StepCost, measure_costs
from tests.training.toy import ToySuite

CONFIG = TrainingConfig(
    steps=10, batch_size=4, learning_rate=0.01, log_every=2, checkpoint_every=4, precision="32-true"
)


def build(run: str) -> tuple[Suite, Method, TrainingConfig]:
    if run == "nothing":
        raise UserError("There is no run `nothing`.")
    suite = ToySuite()
    section = NexusFlowConfig(dim=8, hidden=8, depth=2) if run == "ours" else SupervisedConfig()
    # A budget of several devices is measured on one.
    config = CONFIG.model_copy(update={"devices": 2 if run == "ours" else 1})
    return suite, build_method(section, BuildContext(suite.tap_channels, 0)), config


def test_a_row_sums_up_the_steps() -> None:
    cost = StepCost("ours", 100.0, 50.0, batch_size=8, seconds=[0.1, 0.2, 0.2, 0.2, 0.9])
    row = cost.row()
    assert row["seconds_per_step"] == statistics.median(cost.seconds)
    assert row["images_per_second"] == pytest.approx(40)
    assert row["steps"] == 5


@pytest.mark.slow
def test_methods_are_measured_in_turns() -> None:
    costs = measure_costs(build, ["baseline", "ours"], rounds=2, steps=3)
    assert [cost.run for cost in costs] == ["baseline", "ours"]
    assert all(len(cost.seconds) == 6 and min(cost.seconds) > 0 for cost in costs)
    assert all(cost.idle_memory_mib > 50 and cost.peak_memory_mib > 0 for cost in costs)


@pytest.mark.slow
def test_a_run_that_cannot_be_built_is_one_sentence() -> None:
    with pytest.raises(UserError, match="no run `nothing`"):
        measure_costs(build, ["nothing"], rounds=1, steps=2)
