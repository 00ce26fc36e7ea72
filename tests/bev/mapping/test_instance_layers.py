"""Sine positions and deformable attention against loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nexusflow.bev.mapping.instance_layers import GridAttention, MemoryLayer, cell_centres, grid_position


def test_positions_are_those_of_a_loop() -> None:
    cells, dim = 5, 16
    position = grid_position(cells, dim)
    for row in range(cells):
        for column in range(cells):
            expected = []
            for place in (row, column):
                angle = (place + 0.5) / cells * 2 * math.pi
                for channel in range(dim // 2):
                    turned = angle / 10_000 ** (2 * (channel // 2) / (dim // 2))
                    expected.append(math.cos(turned) if channel % 2 else math.sin(turned))
            torch.testing.assert_close(position[row * cells + column], torch.tensor(expected))


def test_centres_run_row_by_row() -> None:
    centres = cell_centres(4)
    assert centres[1].tolist() == [0.375, 0.125] and centres[4].tolist() == [0.125, 0.375]


@pytest.mark.parametrize("known", [2, 4])
def test_attention_is_that_of_a_loop(known: int) -> None:
    torch.manual_seed(0)
    dim, heads, points, side = 8, 2, 3, 6
    attention = GridAttention(dim, heads, points)
    torch.nn.init.normal_(attention.offsets.weight, std=0.1)
    torch.nn.init.normal_(attention.weights.weight)
    query, memory = torch.randn(1, 5, dim), torch.randn(1, side * side, dim)
    reference = torch.rand(1, 5, known) * 0.5 + 0.25
    grid = attention.value(memory)[0].t().reshape(dim, side, side)
    expected = torch.zeros(5, dim)
    for q in range(5):
        offsets = attention.offsets(query[0, q]).reshape(heads, points, 2)
        weights = attention.weights(query[0, q]).reshape(heads, points).softmax(-1)
        for head in range(heads):
            own = slice(head * 4, head * 4 + 4)
            for point in range(points):
                reach = torch.full((2,), 1 / side) if known == 2 else reference[0, q, 2:] / points / 2
                place = (reference[0, q, :2] + offsets[head, point] * reach) * 2 - 1
                sample = F.grid_sample(grid[None, own], place.reshape(1, 1, 1, 2), align_corners=False)
                expected[q, own] += weights[head, point] * sample.reshape(-1)
    torch.testing.assert_close(attention(query, memory, reference)[0], attention.out(expected))


def test_memory_layer_reads_neighbours() -> None:
    torch.manual_seed(0)
    layer, side = MemoryLayer(8, 2, 2, 16), 7
    memory = torch.randn(1, side * side, 8, requires_grad=True)
    refined = layer(memory, grid_position(side, 8), cell_centres(side))
    refined[0, 24, 0].backward()
    seen = memory.grad[0].abs().sum(-1).reshape(side, side) > 0
    assert seen[3, 3] and 1 < seen.sum() <= 13 and not seen[0, 0]  # itself and the ring around it
