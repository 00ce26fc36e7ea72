"""The memory bank: what is attended to, what is saved, whom it follows, and that clips train it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from nexusflow.bev.config import TrackConfig, TrackerThresholds
from nexusflow.bev.model import BEVModel
from nexusflow.bev.tracking.lifecycle import empty_slots, update_tracks
from nexusflow.bev.tracking.memory import MemoryBank
from nexusflow.bev.types import TrackSlots
from tests.bev.conftest import make_batch, tiny_config
from tests.bev.tracking.test_lifecycle import RULES, _frame

CONFIG = TrackConfig(dim=8, heads=2, memory=3, memory_every=3)


def _bank() -> MemoryBank:
    torch.manual_seed(0)
    return MemoryBank(CONFIG)


def _slots(bank: MemoryBank, valid: list[bool]) -> TrackSlots:
    slots = empty_slots(1, len(valid), 8, 7, torch.device("cpu"))
    content = torch.randn(1, len(valid), 8)
    return replace(
        slots, content_BSD=content, valid_BS=torch.tensor([valid]), memory=bank.empty(slots.content_BSD)
    )


def _reference(bank: MemoryBank, now_D: torch.Tensor, past_MD: torch.Tensor) -> torch.Tensor:
    """The same with PyTorch's attention, for one track."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    ours = bank.attention
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        attention.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        attention.out_proj.load_state_dict(ours.out.state_dict())
    mixed, _ = attention(now_D[None, None], past_MD[None], past_MD[None])
    return bank.feed_forward(bank.norm(now_D + mixed[0, 0]))


def test_tracks_attend_to_what_was_saved_and_others_stay_as_they_are() -> None:
    bank = _bank()
    slots = _slots(bank, [True, False])
    first = bank(slots)
    assert torch.equal(first.content_BSD, slots.content_BSD)  # nothing is remembered yet
    saved = [bank.save(first.content_BSD[0, 0])]
    for _ in range(4):
        new = replace(first, content_BSD=torch.randn(1, 2, 8))
        second = bank(new)
        expected = _reference(bank, new.content_BSD[0, 0], torch.stack(saved[-3:]))
        torch.testing.assert_close(second.content_BSD[0, 0], expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(second.content_BSD[0, 1], new.content_BSD[0, 1])
        saved.append(bank.save(second.content_BSD[0, 0]))
        first = second
    assert first.memory is not None and first.memory.saved_BSM[0].tolist() == [[True] * 3, [False] * 3]


def test_at_test_time_every_third_frame_is_saved() -> None:
    bank = _bank().eval()
    slots, counts = _slots(bank, [True]), []
    for _ in range(8):
        slots = bank(replace(slots, content_BSD=torch.randn(1, 1, 8)))
        assert slots.memory is not None
        counts.append(int(slots.memory.saved_BSM.sum()))
    assert counts == [1, 1, 1, 2, 2, 2, 3, 3]


def test_memory_follows_its_track_and_newborns_have_none() -> None:
    bank = _bank()
    frame = _frame([(20.0, 0.9)], [(0.0, 0.6), (5.0, 0.8)])
    slots = replace(
        empty_slots(1, 2, 4, 7, torch.device("cpu")),
        ids_BS=torch.tensor([[3, 4]]),
        valid_BS=torch.ones(1, 2, dtype=torch.bool),
    )
    past = bank.empty(torch.zeros(1, 2, 8))
    past = replace(past, embeddings_BSMD=past.embeddings_BSMD + torch.tensor([3.0, 4.0])[:, None, None])
    frame.memory = bank.empty(torch.zeros(1, 1, 8)).joined(past)
    kept, _, _ = update_tracks(frame, slots, torch.tensor([9]), RULES)
    assert kept.memory is not None
    remembered = dict(
        zip(kept.ids_BS[0].tolist(), kept.memory.embeddings_BSMD[0, :, 0, 0].tolist(), strict=True)
    )
    assert remembered == {3: 3.0, 4: 4.0, 9: 0.0}
    assert kept.select(torch.tensor([0])).memory is not None


@pytest.mark.parametrize("length", [2, 4])
def test_clips_of_more_than_two_frames_train_the_bank(length: int) -> None:
    torch.manual_seed(0)
    config = tiny_config(track={"memory": 2, "carry_distance_m": 100.0, "drop_probability": 0.0})
    model = BEVModel(config)
    batch = make_batch(config, frames=length)
    output = model(*batch.inputs, batch.truth)
    sum(model.losses(output, batch.truth, batch.maps[:, -1], batch.map_visible).values()).backward()
    bank = model.track.memory
    assert bank is not None
    learned = {name for name, p in bank.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert ({"save.weight", "attention.key.weight", "norm.weight"} <= learned) == (length > 2)


def test_streams_carry_the_memory() -> None:
    config = tiny_config(track={"memory": 2, "memory_every": 1})
    model = BEVModel(config).eval()
    images, ego2img, ego2global, times = make_batch(config, frames=4).inputs
    thresholds, state = TrackerThresholds(birth=0.0, keep=0.0, slots=6), None
    for t in range(4):
        _, state = model.predict_batch(
            images[:, t], ego2img[:, t], ego2global[:, t], times[:, t], state, thresholds
        )
    assert state is not None and state.slots.memory is not None
    saved_TM = state.slots.memory.saved_BSM[state.slots.valid_BS]
    assert saved_TM[:, -1].all() and saved_TM[:, 0].any()
