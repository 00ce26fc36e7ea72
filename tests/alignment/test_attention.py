"""Sampling of the plane: maps and sets agree with bilinear interpolation."""

import pytest
import torch
import torch.nn.functional as F

from nexusflow.alignment.attention import DeformableAttention, sample_map, sine_embedding, splat
from nexusflow.alignment.taps import Tokens, tokens_of


def test_map_is_read_at_its_cell_centres():
    x_BFHW = torch.randn(2, 3, 4, 5)
    tokens = tokens_of(x_BFHW)
    torch.testing.assert_close(sample_map(x_BFHW, tokens.placed()), x_BFHW.flatten(2).mT)


def test_x_runs_along_columns_and_y_along_rows():
    x_BFHW = torch.zeros(1, 1, 4, 4)
    x_BFHW[0, 0, 3, 0] = 1.0  # last row, first column: large y, small x
    seen = sample_map(x_BFHW, torch.tensor([[[0.125, 0.875], [0.875, 0.125]]]))
    torch.testing.assert_close(seen, torch.tensor([[[1.0], [0.0]]]))


def test_map_is_zero_outside():
    assert torch.equal(sample_map(torch.ones(1, 2, 4, 4), torch.full((1, 1, 2), 1.5)), torch.zeros(1, 1, 2))


def test_a_set_of_cells_becomes_their_map():
    x_BFHW = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(splat(tokens_of(x_BFHW), 6), x_BFHW, rtol=1e-4, atol=1e-5)


def test_a_finer_set_of_cells_becomes_a_smoothed_map():
    x_BFHW = torch.linspace(0, 1, 30).expand(1, 1, 30, 30)
    coarse = splat(tokens_of(x_BFHW), 6)
    torch.testing.assert_close(coarse[0, 0, 2, 1:-1], torch.linspace(0, 1, 30).view(6, 5).mean(1)[1:-1])


def test_a_crowded_place_shows_the_mean_and_a_light_token_its_weight():
    positions_BQ2 = torch.tensor([0.1, 0.9]).expand(1, 4, 2)
    x_BQF = torch.tensor([[[1.0], [2.0], [3.0], [6.0]]])
    crowd = splat(Tokens(x_BQF, torch.ones(1, 4), positions_BQ2), 5)
    assert crowd[0, 0, 4, 0].item() == pytest.approx(3.0) and crowd.sum().item() == pytest.approx(3.0)
    light = splat(Tokens(x_BQF[:, :1], torch.full((1, 1), 0.25), positions_BQ2[:, :1]), 5)
    assert light[0, 0, 4, 0].item() == pytest.approx(0.25)


def test_a_token_between_cells_is_shared():
    between = torch.tensor([[[0.5, 0.25]]])
    shown = splat(Tokens(torch.ones(1, 1, 1), torch.ones(1, 1), between), 2)
    torch.testing.assert_close(shown, torch.tensor([[[[0.5, 0.5], [0.0, 0.0]]]]))


def test_places_learn_where_the_tokens_are():
    place = torch.tensor([[[0.4, 0.5]]], requires_grad=True)
    tokens = Tokens(torch.ones(1, 1, 1), torch.full((1, 1), 0.5), torch.full((1, 1, 2), 0.5))
    sample_map(splat(tokens, 5), place).sum().backward()
    assert place.grad is not None and place.grad[0, 0, 0] > 0


def test_deformable_attention_reads_a_constant_map_like_a_linear_layer():
    torch.manual_seed(0)
    attention = DeformableAttention(8, 3, heads=2, points=4, reach=1e-3)
    x_F = torch.randn(3)
    x_BFHW = x_F[None, :, None, None].expand(1, 3, 5, 5)
    read_BMD = attention(torch.randn(1, 2, 8), torch.full((2, 2), 0.5), x_BFHW)
    value_D = torch.einsum("f,hfr->hr", x_F, attention.values_HFR).flatten()
    torch.testing.assert_close(read_BMD, attention.out(value_D).expand(1, 2, 8))


def test_sine_embedding_tells_places_apart():
    grid_BQ2 = torch.cartesian_prod(torch.linspace(0, 1, 11), torch.linspace(0, 1, 11))[None]
    codes_QX = F.normalize(sine_embedding(grid_BQ2)[0], dim=-1)
    assert codes_QX.shape == (121, 64)
    likeness_QQ = codes_QX @ codes_QX.mT
    assert likeness_QQ.fill_diagonal_(-1).max() < 0.999
