"""Peaks, fresh queries, and who may look at whom."""

from __future__ import annotations

import torch

from nexusflow.bev.tracking.queries import HeatMapQueries, LearnedQueries, attention_mask, find_peaks
from tests.bev.conftest import tiny_config


def test_peaks_are_local_maxima_in_order() -> None:
    heat = torch.full((1, 2, 8, 8), -9.0)
    heat[0, 1, 2, 3], heat[0, 1, 2, 4], heat[0, 0, 6, 6] = 3.0, 2.0, 1.0
    scores, labels, cells = find_peaks(heat, 2)
    assert labels.tolist() == [[1, 0]] and cells.tolist() == [[2 * 8 + 3, 6 * 8 + 6]]
    assert scores[0, 0] > scores[0, 1]


def test_heat_map_queries_start_at_cell_centres() -> None:
    config = tiny_config()
    queries, heat = HeatMapQueries(config)(torch.randn(2, 16, 16, 16))
    assert heat.shape == (2, 7, 16, 16) and queries.content_BQD.shape == (2, 8, 16)
    _, _, cells = find_peaks(heat, 8)
    torch.testing.assert_close(queries.code_BQ10[..., 0], (cells % 16) - 7.5)
    torch.testing.assert_close(queries.code_BQ10[..., 1], (cells // 16) - 7.5)


def test_learned_queries_lie_on_the_grid() -> None:
    queries, heat = LearnedQueries(tiny_config())(torch.randn(2, 16, 16, 16))
    assert heat is None and queries.valid_BQ.all()
    assert queries.code_BQ10[..., :2].abs().max() < 8.0


def test_mask_keeps_truth_from_leaking() -> None:
    # 2 detections, 2 slots (one empty), 2 groups of 2 denoising queries.
    valid = torch.tensor([[True, True, True, False, True, True, True, True]])
    mask = attention_mask(valid, 2, 2, 2, isolate_detections=True)[0]
    assert not mask[:4, 4:].any(), "live queries must not see denoising queries"
    assert not mask[:2, 2:4].any(), "isolated detections must not see tracks"
    assert mask[2, :3].all() and not mask[2, 3], "tracks see detections and valid tracks"
    assert mask[4, 4:6].all() and not mask[4, 6:].any(), "groups are separate"
    assert not mask[4:, 2:4].any(), "denoising queries do not see real tracks"
    assert mask.diagonal().all(), "no row may be empty"
    assert attention_mask(valid, 2, 2, 2, isolate_detections=False)[0, 0, 2]
