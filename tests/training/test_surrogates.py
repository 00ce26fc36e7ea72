"""Surrogates trained afterwards: they align, the model stays as it is, equal seeds give equal weights."""

import pytest
import torch

from nexusflow.alignment import NexusFlow
from nexusflow.core.errors import UserError
from nexusflow.training.features_config import FeaturesConfig
from nexusflow.training.surrogates import fit_surrogates
from tests.training.toy_taps import ToyReader, make_surrogates

CONFIG = FeaturesConfig(surrogate_steps=40, surrogate_batch_size=4, surrogate_learning_rate=3e-3)


def fitted(seed: int) -> tuple[NexusFlow, list[float], ToyReader]:
    reader, surrogates = ToyReader(), make_surrogates()
    return surrogates, fit_surrogates(reader, surrogates, CONFIG, seed, "toy"), reader


def test_the_loss_falls_and_every_step_is_told() -> None:
    surrogates, losses, _ = fitted(seed=0)
    assert len(losses) == 40 and losses[-1] < 0.5 * losses[0]
    assert not surrogates.training


def test_training_frames_take_turns() -> None:
    asked = fitted(seed=0)[2].asked
    assert len(asked) == 40 * 4
    assert all(asked.count(row) == 40 * 4 // 5 for row in range(5))
    assert all(sorted(asked[start : start + 5]) == list(range(5)) for start in range(0, 160, 5))
    assert asked[:5] != asked[5:10] or asked[5:10] != asked[10:15]


def test_of_some_frames_each_is_looked_at_once_and_all_take_turns() -> None:
    reader, some = ToyReader(), CONFIG.model_copy(update={"surrogate_frames": 3})
    losses = fit_surrogates(reader, make_surrogates(), some, 0, "toy")
    assert sorted(reader.asked) == [0, 2, 4]
    assert losses[-1] < 0.5 * losses[0]


def test_kept_taps_teach_what_fresh_ones_teach() -> None:
    surrogates, losses, _ = fitted(seed=0)
    kept, everything = make_surrogates(), CONFIG.model_copy(update={"surrogate_frames": 99})
    assert fit_surrogates(ToyReader(), kept, everything, 0, "toy") == losses
    assert all(torch.equal(kept.state_dict()[name], value) for name, value in surrogates.state_dict().items())


def test_the_seed_decides_the_order_and_nothing_else() -> None:
    (first, losses, _), (again, repeated, _), (_, other, _) = fitted(0), fitted(0), fitted(1)
    assert losses == repeated and losses != other
    state, same = first.state_dict(), again.state_dict()
    assert all(torch.equal(state[name], same[name]) for name in state)


def test_a_loss_that_is_no_number_stops_with_one_sentence() -> None:
    with pytest.raises(UserError, match=r"diverged at step 0; lower `features\.surrogate_learning_rate`"):
        fit_surrogates(ToyReader(broken=True), make_surrogates(), CONFIG, 0, "toy")
