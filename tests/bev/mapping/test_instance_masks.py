"""Masks from attention logits: never negative, each query for itself, both ways of decoding equal."""

from __future__ import annotations

import torch

from nexusflow.bev.mapping.instance_masks import AttentionMask, MaskDecoder


def make(self_attention: bool = False, recompute: bool = False) -> MaskDecoder:
    torch.manual_seed(0)
    return MaskDecoder(16, 4, 2, self_attention, recompute)


def test_shapes() -> None:
    masks, states = make()(torch.randn(2, 5, 16), torch.randn(2, 36, 16))
    assert masks.shape == (3, 2, 5, 36) and states.shape == (2, 2, 5, 16)
    assert masks.min() >= 0 and (masks > 0).float().mean() > 0.3


def test_a_mask_is_what_a_loop_says() -> None:
    torch.manual_seed(0)
    head = AttentionMask(8, 2)
    query, memory = torch.randn(1, 3, 8), torch.randn(1, 7, 8)
    masks = head(query, memory)
    q, k = head.query(query)[0], head.key(memory)[0]
    for row in range(3):
        for cell in range(7):
            logits = torch.stack([(q[row, own] @ k[cell, own]) / 2 for own in (slice(0, 4), slice(4, 8))])
            expected = head.join(head.mix(logits).relu()).relu()
            torch.testing.assert_close(masks[0, row, cell], expected[0])


def test_the_fused_path_gives_the_same_last_mask() -> None:
    for self_attention in (False, True):
        decoder = make(self_attention)
        query, memory, place = torch.randn(2, 5, 16), torch.randn(2, 36, 16), torch.randn(5, 16)
        masks, _ = decoder(query, memory, place)
        torch.testing.assert_close(decoder.last_masks(query, memory, place), masks[-1])


def test_without_self_attention_queries_do_not_see_each_other() -> None:
    decoder, query, memory = make(), torch.randn(1, 5, 16), torch.randn(1, 36, 16)
    torch.testing.assert_close(decoder(query[:, 2:3], memory)[0], decoder(query, memory)[0][:, :, 2:3])
    seeing = make(self_attention=True)
    difference = seeing(query[:, 2:3], memory)[0] - seeing(query, memory)[0][:, :, 2:3]
    assert difference.abs().max() > 1e-3


def test_recomputing_changes_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        decoder = make(recompute=recompute)
        masks, states = decoder(torch.randn(1, 5, 16), torch.randn(1, 36, 16))
        (masks.square().sum() + states.square().sum()).backward()
        gradients.append([p.grad for p in decoder.parameters()])
    assert all(map(torch.equal, *gradients))
