"""What happens to track queries between two frames: move with the object, then talk to each other.

Letters: B batch, S slots, D query channels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from nexusflow.bev.boxes import advance_code, transform_code
from nexusflow.bev.config import TrackConfig
from nexusflow.bev.layers import Attention, FeedForward, full_precision
from nexusflow.bev.types import TrackSlots

__all__ = ["QueryInteraction", "propagate_slots"]


def propagate_slots(slots: TrackSlots, motion_B44: Tensor, seconds_B: Tensor) -> TrackSlots:
    """Move reference boxes along their velocities and into the new ego frame.

    Args:
        slots: tracks of the previous frame.
        motion_B44: transform of points from the previous to the current ego frame (metres).
        seconds_B: time between the frames (seconds).

    Returns:
        The same tracks with codes in the current ego frame.

    Source: velocity-based update of reference points in UniAD.
    """
    with full_precision(motion_B44):
        code = transform_code(advance_code(slots.code_BS10, seconds_B), motion_B44)
    return replace(slots, code_BS10=code)


class QueryInteraction(nn.Module):
    """Self-attention among the live tracks and a feed-forward part, both residual.

    Source: query interaction module of UniAD, in a light form: a query has one embedding, no second of place.
    """

    def __init__(self, config: TrackConfig) -> None:
        super().__init__()
        self.attention = Attention(config.dim, config.heads)
        self.norm = nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config.dim, config.ffn_channels)

    def forward(self, content_BSD: Tensor, state_BSD: Tensor, valid_BS: Tensor) -> Tensor:
        """Return the content of the next frame's track queries.

        Args:
            content_BSD: embeddings after the previous frame.
            state_BSD: embedded states (size, heading, velocity, class).
            valid_BS: slots that hold a query.
        """
        itself = torch.eye(valid_BS.shape[1], dtype=torch.bool, device=valid_BS.device)
        mask_BSS = valid_BS[:, None] | itself
        placed = content_BSD + state_BSD
        content = self.norm(content_BSD + self.attention(placed, placed, content_BSD, mask_BSS))
        return self.feed_forward(content)
