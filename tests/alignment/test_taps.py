"""Taps: every accepted form becomes a weighted set of tokens."""

import pytest
import torch

from nexusflow.alignment import tokens_of


def test_forms():
    assert tokens_of(torch.randn(2, 5)).features_BQF.shape == (2, 1, 5)
    assert tokens_of(torch.randn(2, 7, 5)).weights_BQ.tolist() == [[1.0] * 7] * 2
    dense = tokens_of(torch.arange(12.0).view(1, 1, 3, 4))
    assert dense.features_BQF.flatten().tolist() == list(range(12))
    torch.testing.assert_close(dense.placed()[0, 5], torch.tensor([1.5 / 4, 1.5 / 3]))


def test_half_precision_is_read_in_full():
    assert tokens_of(torch.randn(2, 5).bfloat16()).features_BQF.dtype == torch.float32
    assert tokens_of(torch.randn(2, 5).double()).features_BQF.dtype == torch.float64


def test_a_map_with_weights():
    weights_BHW = torch.tensor([[[1.0, 0], [0, 2]]])
    map_BFHW = torch.tensor([[[[3.0, torch.nan], [torch.inf, 5]]]])
    tokens = tokens_of({"features": map_BFHW, "weights": weights_BHW})
    assert tokens.weights_BQ.tolist() == [[1, 0, 0, 2]] and tokens.features_BQF.flatten().tolist() == [
        3,
        0,
        0,
        5,
    ]
    assert tokens.placed()[0, 3].tolist() == [0.75, 0.75]


@pytest.mark.parametrize(
    "tap",
    [
        {"features": torch.zeros(2, 5, 3), "weights": torch.zeros(2, 4)},
        {"features": torch.zeros(2, 5, 3), "positions": torch.zeros(2, 5, 3)},
        {"features": torch.zeros(2, 5, 3), "positions": torch.zeros(2, 4, 2)},
        {"features": torch.zeros(2, 3, 4, 4), "weights": torch.zeros(2, 16)},
        {"features": torch.zeros(2, 3, 4, 4), "positions": torch.zeros(2, 16, 2)},
        torch.zeros(2, 3, 4, 4, 4),
        torch.zeros(3),
    ],
)
def test_shapes_that_do_not_fit_are_refused(tap):
    with pytest.raises(ValueError, match=r"fit|no positions"):
        tokens_of(tap)
