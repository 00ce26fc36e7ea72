"""Parameters that join an optimiser late are trained and scheduled like the others."""

import pytest
import torch
from torch import nn

from nexusflow.alignment.optimizers import join_optimizer


def weights(count: int) -> list[tuple[str, nn.Parameter]]:
    return [(f"late{index}", nn.Parameter(torch.ones(3))) for index in range(count)]


@pytest.mark.parametrize("kind", ["StepLR", "LambdaLR", "OneCycleLR"])
def test_a_scheduler_made_before_schedules_them(kind):
    early, late = nn.Parameter(torch.ones(3)), weights(2)
    optimizer = torch.optim.SGD([early], lr=0.1)
    scheduler = {
        "StepLR": lambda: torch.optim.lr_scheduler.StepLR(optimizer, 1),
        "LambdaLR": lambda: torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda step: 0.1**step]),
        "OneCycleLR": lambda: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5),
    }[kind]()
    join_optimizer(optimizer, late)
    for _ in range(3):
        for weight in (early, *(weight for _, weight in late)):
            weight.grad = torch.ones(3)
        optimizer.step()
        scheduler.step()
    assert all(torch.equal(weight, early) for _, weight in late) and early[0] < 1


def test_they_enter_the_group_with_the_default_settings():
    groups = [
        {"params": [nn.Parameter(torch.ones(1))], "lr": 0.01},
        {"params": [nn.Parameter(torch.ones(1))], "weight_decay": 0.0},
        {"params": [nn.Parameter(torch.ones(1))]},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.05)
    torch.optim.lr_scheduler.LinearLR(optimizer, 0.1)  # changes lr, keeps initial_lr
    join_optimizer(optimizer, weights(2))
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 3]


def test_without_such_a_group_they_enter_the_first():
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": rate} for rate in (0.2, 0.3)]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    join_optimizer(optimizer, weights(1))
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 1]


def test_names_are_kept_where_the_optimiser_has_them():
    optimizer = torch.optim.SGD([("early", nn.Parameter(torch.ones(1)))], lr=0.1)
    join_optimizer(optimizer, weights(1))
    assert optimizer.param_groups[0]["param_names"] == ["early", "late0"]


def test_nothing_joins_twice():
    late = weights(2)
    optimizer = torch.optim.SGD([late[1][1]], lr=0.1)
    with pytest.raises(ValueError, match="'late1' already"):
        join_optimizer(optimizer, late)
    assert len(optimizer.param_groups[0]["params"]) == 1
