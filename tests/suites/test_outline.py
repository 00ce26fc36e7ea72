"""Parts of a model: frozen parameters are counted apart, the batch is no part of a shape."""

import torch
from torch import nn

from nexusflow.suites.outline import part_of, shape_of


def test_parameters_are_counted_and_frozen_ones_apart() -> None:
    layer = nn.Linear(3, 5)
    layer.weight.requires_grad_(False)
    part = part_of("Linear", layer.parameters(), "vector", torch.zeros(7, 5))
    assert (part.parameters, part.frozen, part.shape) == (20, 15, (5,))


def test_the_batch_is_left_out() -> None:
    assert shape_of(torch.zeros(2, 3, 4)) == (3, 4)
