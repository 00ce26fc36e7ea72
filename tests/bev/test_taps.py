"""Taps at every level: shapes, ranges, no denoising queries."""

from __future__ import annotations

import pytest
import torch

from nexusflow.bev.model import BEVModel
from tests.bev.conftest import make_batch, tiny_config


@pytest.mark.parametrize(
    ("level", "track", "mapping"), [("queries", 8 + 6, 4), ("memory", 8 + 6, 256), ("bev", 256, 256)]
)
def test_levels(level: str, track: int, mapping: int) -> None:
    config = tiny_config(tap=level)
    batch = make_batch(config)
    taps = BEVModel(config)(*batch.inputs, batch.truth).taps
    for task, tokens in (("track", track), ("map", mapping)):
        tap = taps[task]
        assert tap["features"].shape == (2, tokens, 16) and tap["features"].dtype == torch.float32
        assert tap["weights"].shape == (2, tokens) and (tap["weights"] >= 0).all()
        assert tap["positions"].shape == (2, tokens, 2)
        assert (tap["positions"] >= 0).all() and (tap["positions"] <= 1).all()
        assert tap["features"].requires_grad


def test_empty_track_slots_weigh_nothing() -> None:
    config = tiny_config()
    batch = make_batch(config).hide([False, False], [True, True])
    weights = BEVModel(config)(*batch.inputs, batch.truth).taps["track"]["weights"]
    assert (weights[:, :8] > 0).all() and not weights[:, 8:].any()


def test_grid_positions_follow_x_then_y() -> None:
    config = tiny_config(tap="bev")
    batch = make_batch(config)
    output = BEVModel(config)(*batch.inputs, batch.truth)
    tap = output.taps["track"]
    torch.testing.assert_close(tap["positions"][0, 1], torch.tensor([1.5 / 16, 0.5 / 16]))
    torch.testing.assert_close(tap["features"][0, 17], output.bev_BCHW[0, :, 1, 1].float())
