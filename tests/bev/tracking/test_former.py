"""One frame of the tracking former: groups, targets, and no leak from truth into live queries."""

from __future__ import annotations

import pytest
import torch

from nexusflow.bev.noise import BatchNoise
from nexusflow.bev.tracking.former import TrackFormer
from tests.bev.conftest import make_batch, tiny_config


@pytest.mark.parametrize("init", ["heatmap", "learned"])
@pytest.mark.parametrize("targets", ["all", "newborn"])
def test_groups_and_targets(init: str, targets: str) -> None:
    config = tiny_config(track={"query_init": init, "detection_targets": targets})
    former = TrackFormer(config)
    truth = make_batch(config).truth.masked(8.0).frame(0)
    slots = former.empty(2, 6, torch.device("cpu"))
    slots.ids_BS[:, 0], slots.valid_BS[:, 0] = truth.instances_BG[:, 0], True
    frame = former(torch.randn(2, 16, 16, 16), slots, truth, BatchNoise(0))
    assert frame.targets_LBQ.shape == (2, 2, 8 + 6 + 10)
    assert (frame.targets_LBQ[:, :, 8] == 0).all() and (frame.targets_LBQ[:, :, 9:14] == -2).all()
    found = [int((frame.targets_LBQ[0, clip, :8] >= 0).sum()) for clip in range(2)]
    boxes = truth.valid_BG.sum(-1).tolist()
    assert found == (boxes if targets == "all" else [count - 1 for count in boxes])


def test_live_predictions_do_not_depend_on_truth() -> None:
    config = tiny_config()
    torch.manual_seed(0)
    former = TrackFormer(config)
    bev = torch.randn(2, 16, 16, 16)
    truth = make_batch(config).truth.masked(8.0).frame(0)
    trained = former(bev, None, truth, BatchNoise(0))
    plain = former(bev, None, None, None)
    torch.testing.assert_close(trained.logits_LBQK[:, :, :8], plain.logits_LBQK, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trained.codes_LBQ10[:, :, :8], plain.codes_LBQ10, atol=1e-5, rtol=1e-4)
