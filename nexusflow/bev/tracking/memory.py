"""What a track remembers of its own past: a few embeddings, to which its present one attends.

Letters: B batch, Q live queries (detections, then slots), S slots, M remembered embeddings, D query channels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from nexusflow.bev.config import TrackConfig
from nexusflow.bev.layers import Attention, FeedForward
from nexusflow.bev.types import TrackMemory, TrackSlots

__all__ = ["MemoryBank"]


class MemoryBank(nn.Module):
    """Attention of a track to its last embeddings, of which the newest is then saved.

    Args:
        config: tracking section with `memory` above 0.

    Source: memory bank of UniAD; every frame is saved in training, every third at test time.
    """

    def __init__(self, config: TrackConfig) -> None:
        super().__init__()
        self.length, self.every = config.memory, config.memory_every
        self.attention = Attention(config.dim, config.heads)
        self.norm = nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config.dim, config.dim)
        self.save = nn.Linear(config.dim, config.dim)

    def empty(self, like_BQD: Tensor) -> TrackMemory:
        """Return the memory of queries that remember nothing.

        Args:
            like_BQD: says how many queries there are, and on which device.
        """
        batch, queries, dim = like_BQD.shape
        return TrackMemory(
            like_BQD.new_zeros(batch, queries, self.length, dim),
            torch.zeros(batch, queries, self.length, dtype=torch.bool, device=like_BQD.device),
            torch.zeros(batch, queries, dtype=torch.int64, device=like_BQD.device),
        )

    def forward(self, slots: TrackSlots) -> TrackSlots:
        """Let tracks attend to what they remember, and save what has come of it.

        Args:
            slots: tracks that leave a frame, with their memory.

        Returns:
            The same tracks; those without anything remembered keep their embedding.
        """
        memory, content_BSD = slots.memory, slots.content_BSD
        assert memory is not None, "slots of a model with a memory bank have a memory"
        batch, count = content_BSD.shape[:2]
        query, past = content_BSD.flatten(0, 1)[:, None], memory.embeddings_BSMD.flatten(0, 1)
        known_BS = memory.saved_BSM.any(-1)
        # A track without a past looks everywhere, so that nothing is undefined, and ignores what it sees.
        mask = (memory.saved_BSM | ~known_BS[..., None]).flatten(0, 1)[:, None]
        mixed = self.feed_forward(self.norm(query + self.attention(query, past, past, mask)))
        mixed_BSD = mixed[:, 0].unflatten(0, (batch, count)).to(content_BSD.dtype)
        content_BSD = torch.where((known_BS & slots.valid_BS)[..., None], mixed_BSD, content_BSD)
        return replace(
            slots, content_BSD=content_BSD, memory=self._saved(memory, content_BSD, slots.valid_BS)
        )

    def _saved(self, memory: TrackMemory, content_BSD: Tensor, valid_BS: Tensor) -> TrackMemory:
        now_BS = valid_BS if self.training else valid_BS & (memory.wait_BS == 0)
        newest_BS1D = self.save(content_BSD)[:, :, None].to(memory.embeddings_BSMD.dtype)
        shifted_BSMD = torch.cat([memory.embeddings_BSMD[:, :, 1:], newest_BS1D], 2)
        known_BSM = torch.cat([memory.saved_BSM[:, :, 1:], torch.ones_like(memory.saved_BSM[:, :, :1])], 2)
        return TrackMemory(
            torch.where(now_BS[..., None, None], shifted_BSMD, memory.embeddings_BSMD),
            torch.where(now_BS[..., None], known_BSM, memory.saved_BSM),
            torch.where(now_BS, self.every - 1, (memory.wait_BS - 1).clamp(min=0)),
        )
