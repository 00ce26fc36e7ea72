"""Mask decoders: queries attend to the whole memory, and their attention before the softmax is their mask.

Letters: F frames, Q queries, P cells, D channels, E heads, L masks of a query (one per block and the last).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.layers import Attention, full_precision, kept_or_recomputed

__all__ = ["MaskBlock", "MaskDecoder"]

LAYER_NORM_EPS = 1e-6


class AttentionMask(nn.Module):
    """Scaled attention logits of the queries, and the non-negative masks made of them."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.mix = nn.Linear(heads, heads)
        self.join = nn.Linear(heads, 1)
        # Sums of what is not negative, without bias: no mask starts dead behind its ReLUs.
        nn.init.zeros_(self.mix.bias)
        nn.init.uniform_(self.join.weight, 0.0, 2.0 / heads)
        nn.init.zeros_(self.join.bias)

    def split(self, x_FND: Tensor) -> Tensor:
        """Return the heads (F, E, N, D/E)."""
        return x_FND.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def logits(self, query_FQD: Tensor, memory_FPD: Tensor) -> Tensor:
        """Return (F, E, Q, P)."""
        query, key = self.split(self.query(query_FQD)), self.split(self.key(memory_FPD))
        return (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)

    def masks(self, logits_FEQP: Tensor) -> Tensor:
        """Return (F, Q, P), not negative, not bounded."""
        with full_precision(logits_FEQP):
            flat = logits_FEQP.float().flatten(2)
            mixed = F.relu(self.mix.weight @ flat + self.mix.bias[:, None])
            joined = F.relu(self.join.weight @ mixed + self.join.bias[:, None])
        return joined[:, 0].unflatten(-1, logits_FEQP.shape[2:])

    def forward(self, query_FQD: Tensor, memory_FPD: Tensor) -> Tensor:
        """Return the masks (F, Q, P)."""
        return self.masks(self.logits(query_FQD, memory_FPD))


class MaskBlock(nn.Module):
    """Optional self-attention, cross-attention to the memory, perceptron (post-norm).

    Args:
        dim: channels.
        heads: attention heads.
        self_attention: whether the queries attend to each other.
    """

    def __init__(self, dim: int, heads: int, self_attention: bool) -> None:
        super().__init__()
        self.self_attention = Attention(dim, heads) if self_attention else None
        self.cross = AttentionMask(dim, heads)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.perceptron = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.norms = nn.ModuleList(
            nn.LayerNorm(dim, eps=LAYER_NORM_EPS) for _ in range(3 if self_attention else 2)
        )

    def forward(
        self, query_FQD: Tensor, place_QD: Tensor | None, memory_FPD: Tensor, with_mask: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Refine the queries.

        Args:
            query_FQD: queries.
            place_QD: positions of the queries, if they have any.
            memory_FPD: map memory.
            with_mask: without, the attention logits are never held.

        Returns:
            Queries (F, Q, D), and masks (F, Q, P) if they are wanted.
        """
        placed = query_FQD if place_QD is None else query_FQD + place_QD
        if self.self_attention is not None:
            query_FQD = self.norms[2](query_FQD + self.self_attention(placed, placed, query_FQD))
            placed = query_FQD if place_QD is None else query_FQD + place_QD
        value = self.cross.split(self.value(memory_FPD))
        mask = None
        if with_mask:
            logits = self.cross.logits(placed, memory_FPD)
            mixed = logits.float().softmax(-1).to(value.dtype) @ value
            mask = self.cross.masks(logits)
        else:
            key = self.cross.split(self.cross.key(memory_FPD))
            mixed = F.scaled_dot_product_attention(self.cross.split(self.cross.query(placed)), key, value)
        query = self.norms[0](query_FQD + self.out(mixed.transpose(1, 2).flatten(2)))
        return self.norms[1](query + self.perceptron(query)), mask


class MaskDecoder(nn.Module):
    """Blocks of cross-attention; each gives a mask, and the refined queries give the last one.

    Args:
        dim: channels.
        heads: attention heads.
        blocks: blocks.
        self_attention: whether the queries attend to each other.
        recompute: compute the blocks' activations again in the backward pass instead of keeping them.

    Source: mask decoders of UniAD's MapFormer (Panoptic SegFormer): the memory carries no position here.
    """

    def __init__(self, dim: int, heads: int, blocks: int, self_attention: bool, recompute: bool) -> None:
        super().__init__()
        self.recompute = recompute
        self.blocks = nn.ModuleList(MaskBlock(dim, heads, self_attention) for _ in range(blocks))
        self.last = AttentionMask(dim, heads)

    def forward(
        self, query_FQD: Tensor, memory_FPD: Tensor, place_QD: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode every mask.

        Args:
            query_FQD: queries.
            memory_FPD: map memory.
            place_QD: positions of the queries, if they have any.

        Returns:
            Masks (L, F, Q, P), float32, and the queries after each block (L - 1, F, Q, D).
        """
        masks, states = [], []
        for block in self.blocks:
            inputs = (query_FQD, place_QD, memory_FPD)
            query_FQD, mask = kept_or_recomputed(block, self.recompute, *inputs)
            masks.append(mask)
            states.append(query_FQD)
        masks.append(kept_or_recomputed(self.last, self.recompute, query_FQD, memory_FPD))
        return torch.stack(masks), torch.stack(states)

    def last_masks(self, query_FQD: Tensor, memory_FPD: Tensor, place_QD: Tensor | None = None) -> Tensor:
        """Decode the last mask only, (F, Q, P); see `forward`."""
        for block in self.blocks:
            inputs = (query_FQD, place_QD, memory_FPD, False)
            query_FQD, _ = kept_or_recomputed(block, self.recompute, *inputs)
        return kept_or_recomputed(self.last, self.recompute, query_FQD, memory_FPD)
