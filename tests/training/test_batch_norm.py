"""Which layers share their statistics; what they compute is compared in `tests.training.test_ranks`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from nexusflow.core.errors import UserError
from nexusflow.training.batch_norm import SharedBatchNorm2d, refuse_batch_norm, share_batch_norm


@pytest.mark.parametrize("together", [False, True])
def test_every_batch_norm_is_shared_among_ranks_and_keeps_its_weights(together: bool) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.GroupNorm(1, 2))
    names, weight = list(model.state_dict()), model[1].weight
    share_batch_norm(model, SimpleNamespace(together=together, size=2))  # type: ignore[arg-type]
    assert isinstance(model[1], SharedBatchNorm2d) == together
    assert list(model.state_dict()) == names and model[1].weight is weight


def test_what_normalises_by_a_part_of_the_batch_is_refused() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2))
    with pytest.raises(UserError, match=r"use more devices, or set model.norm to `group`"):
        refuse_batch_norm(model)
    refuse_batch_norm(model.eval())
    refuse_batch_norm(nn.Sequential(nn.GroupNorm(1, 2)))
