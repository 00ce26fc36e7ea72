"""Location decoder: thing queries find classes and boxes of map instances, layer by layer.

Letters: F frames, Q queries, P cells, D channels, K thing classes, L layers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nexusflow.bev.layers import full_precision, kept_or_recomputed, mlp
from nexusflow.bev.mapping.instance_layers import LocationLayer

__all__ = ["CLASS_PRIOR", "LocationDecoder"]

CLASS_PRIOR = 0.01
FIRST_SIZE = -2.0  # logit: boxes start with about an eighth of the canvas


class LocationDecoder(nn.Module):
    """Learned queries with iteratively refined boxes.

    Args:
        dim: channels.
        heads: attention heads.
        points: sampled points per head.
        hidden: hidden channels of the feed-forward parts.
        layers: layers.
        queries: queries.
        classes: thing classes.
        recompute: compute the layers' activations again in the backward pass instead of keeping them.

    Source: location decoder of UniAD's MapFormer (Panoptic SegFormer), without dropout.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        points: int,
        hidden: int,
        layers: int,
        queries: int,
        classes: int,
        recompute: bool,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        self.place = nn.Parameter(torch.randn(queries, dim))
        self.content = nn.Parameter(torch.randn(queries, dim))
        self.reference = nn.Linear(dim, 2)
        nn.init.xavier_uniform_(self.reference.weight)
        nn.init.zeros_(self.reference.bias)
        self.layers = nn.ModuleList(LocationLayer(dim, heads, points, hidden) for _ in range(layers))
        self.to_class = nn.ModuleList(nn.Linear(dim, classes) for _ in range(layers))
        self.to_box = nn.ModuleList(mlp(dim, dim, dim, 4) for _ in range(layers))
        for number in range(layers):
            nn.init.constant_(self.to_class[number].bias, math.log(CLASS_PRIOR / (1.0 - CLASS_PRIOR)))  # type: ignore[arg-type]
            last = self.to_box[number][-1]  # type: ignore[index]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            if number == 0:
                nn.init.constant_(last.bias[2:], FIRST_SIZE)

    def forward(self, memory_FPD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decode.

        Args:
            memory_FPD: cells of a square grid, row by row.

        Returns:
            Query states (L, F, Q, D), class logits (L, F, Q, K) and boxes (L, F, Q, 4) as centre and size in
            [0, 1], x before y; logits and boxes in float32.
        """
        query = self.content[None].expand(len(memory_FPD), -1, -1)
        with full_precision(memory_FPD):
            logit_FQn = self.reference(self.place)[None].expand(len(memory_FPD), -1, -1)
        states, classes, boxes = [], [], []
        for layer, to_class, to_box in zip(self.layers, self.to_class, self.to_box, strict=True):
            inputs = (query, self.place, memory_FPD, logit_FQn.sigmoid())
            query = kept_or_recomputed(layer, self.recompute, *inputs)
            with full_precision(query):
                delta = to_box(query.float())
                known = logit_FQn.shape[-1]
                logit_FQ4 = torch.cat([delta[..., :known] + logit_FQn, delta[..., known:]], -1)
                states.append(query.float())
                classes.append(to_class(query.float()))
                boxes.append(logit_FQ4.sigmoid())
            logit_FQn = logit_FQ4.detach()
        return torch.stack(states), torch.stack(classes), torch.stack(boxes)
