"""Mapping former with instance queries: memory encoder, location decoder, mask decoders for things and stuff.

Letters: F frames, Q thing queries, N candidates, P = H·W cells of the memory, D channels, C BEV channels, K
map classes (all but the last are things; the last is stuff), L layers or masks.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.layers import full_precision, kept_or_recomputed
from nexusflow.bev.mapping.instance_decoder import CLASS_PRIOR, LocationDecoder
from nexusflow.bev.mapping.instance_layers import MemoryLayer, cell_centres, grid_position
from nexusflow.bev.mapping.instance_masks import MaskDecoder
from nexusflow.bev.mapping.painting import THRESHOLD, paint_things, strongest
from nexusflow.bev.types import InstanceMapOutput

__all__ = ["InstanceMapFormer"]

# Keeps the logits of class masks finite, gradient included.
LEAST_PROBABILITY = 1e-4


class InstanceMapFormer(nn.Module):
    """Thing queries with boxes and masks of their own, and a stuff query.

    Args:
        config: the whole model's sizes.

    Source: UniAD's MapFormer (Panoptic SegFormer) with one level, without dropout. The class and box branches
        of its mask decoder for things, whose losses have weight zero there, are left out.
    """

    position_PD: Tensor
    centres_P2: Tensor

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        section, own = config.map, config.map.instance
        dim, heads = section.dim, section.heads
        self.config, self.things, self.map_cells = own, config.map_classes - 1, config.map_cells
        self.cells, self.recompute = config.bev_cells, config.recompute
        same = config.encoder.channels == dim
        self.enter = nn.Identity() if same else nn.Conv2d(config.encoder.channels, dim, 1)
        self.level = nn.Parameter(torch.randn(dim))
        self.register_buffer("position_PD", grid_position(self.cells, dim), persistent=False)
        self.register_buffer("centres_P2", cell_centres(self.cells), persistent=False)
        self.encoder = nn.ModuleList(
            MemoryLayer(dim, heads, own.points, section.ffn_channels) for _ in range(own.encoder_layers)
        )
        hidden, layers = section.ffn_channels, section.layers
        self.locations = LocationDecoder(
            dim, heads, own.points, hidden, layers, own.queries, self.things, self.recompute
        )
        self.thing_masks = MaskDecoder(dim, heads, own.thing_blocks, False, self.recompute)
        self.stuff_masks = MaskDecoder(dim, heads, own.stuff_blocks, True, self.recompute)
        self.stuff_place = nn.Parameter(torch.randn(1, dim))
        self.stuff_content = nn.Parameter(torch.randn(1, dim))
        self.stuff_class = nn.ModuleList(nn.Linear(dim, 1) for _ in range(own.stuff_blocks))
        for layer in self.stuff_class:
            nn.init.constant_(layer.bias, math.log(CLASS_PRIOR / (1.0 - CLASS_PRIOR)))  # type: ignore[arg-type]

    def forward(self, bev_BCHW: Tensor, frames_per_clip: int) -> InstanceMapOutput:
        """Find the map's instances in a batch of frames.

        Args:
            bev_BCHW: BEV grids.
            frames_per_clip: how many consecutive rows belong to one clip; only noted in the output.

        Returns:
            Queries, boxes, classes and map memory; masks are decoded when the losses or others ask.
        """
        memory = self.enter(bev_BCHW).flatten(2).transpose(1, 2)
        position = self.position_PD + self.level
        for layer in self.encoder:
            memory = kept_or_recomputed(layer, self.recompute, memory, position, self.centres_P2)
        states, classes, boxes = self.locations(memory)
        grid = memory.transpose(1, 2).unflatten(2, (self.cells, self.cells))
        return InstanceMapOutput(states[-1], grid, frames_per_clip, states, classes, boxes, self.class_logits)

    def stuff(self, memory_FPD: Tensor) -> tuple[Tensor, Tensor]:
        """Decode the stuff.

        Args:
            memory_FPD: map memory.

        Returns:
            Masks (L, F, 1, P), and logits of its presence after each block (L - 1, F, 1, 1).
        """
        query = self.stuff_content[None].expand(len(memory_FPD), -1, -1)
        masks, states = self.stuff_masks(query, memory_FPD, self.stuff_place)
        return masks, torch.stack([to(x) for to, x in zip(self.stuff_class, states, strict=True)])

    def on_canvas(self, masks_NP: Tensor) -> Tensor:
        """Bring masks (…, P) to the size of the map canvas (…, H, W)."""
        grid = masks_NP.unflatten(-1, (self.cells, self.cells))
        if self.cells == self.map_cells:
            return grid
        flat = grid.flatten(0, -3)[:, None]
        size = (self.map_cells, self.map_cells)
        fine = F.interpolate(flat, size=size, mode="bilinear", align_corners=False)
        return fine[:, 0].unflatten(0, grid.shape[:-2])

    def _masks(self, output: InstanceMapOutput) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scores and classes (F, N) and masks (F, N, P) of the candidates, and the stuff's (F, P)."""
        memory = output.memory_FCHW.float().flatten(2).transpose(1, 2)
        found = [
            strongest(classes.float(), self.config.painting.candidates) for classes in output.classes_LFQK[-1]
        ]
        scores, labels, rows = (torch.stack(list(column)) for column in zip(*found, strict=True))
        query = output.queries_FQD.float()
        chosen = query.gather(1, rows[..., None].expand(-1, -1, query.shape[-1]))
        stuff = self.stuff_content[None].expand(len(memory), -1, -1)
        stuff_mask = self.stuff_masks.last_masks(stuff, memory, self.stuff_place)[:, 0]
        return scores, labels, self.thing_masks.last_masks(chosen, memory), stuff_mask

    @torch.no_grad()
    def paint(self, output: InstanceMapOutput) -> Tensor:
        """Paint the masks of all classes.

        Args:
            output: what `forward` returned.

        Returns:
            (F, K, H, W) float32, 0 or 1.

        Source: inference of UniAD's MapFormer.
        """
        with full_precision(output.memory_FCHW):
            scores, labels, masks, stuff = self._masks(output)
            rules = self.config.painting
            rows = [
                torch.cat([paint_things(s, c, m, self.things, rules), (d > THRESHOLD)[None]])
                for s, c, m, d in zip(
                    scores, labels, self.on_canvas(masks), self.on_canvas(stuff), strict=True
                )
            ]
        return torch.stack(rows).float()

    def class_logits(self, output: InstanceMapOutput) -> Tensor:
        """Draw mask logits of all classes, with gradient, for whoever compares classes rather than instances.

        A thing class is seen at a cell as far as the query of largest score times mask (at most one) says.

        Args:
            output: what `forward` returned.

        Returns:
            (F, K, H, W) logits.
        """
        with full_precision(output.memory_FCHW):
            scores, labels, masks, stuff = self._masks(output)
            seen = scores[..., None] * masks.clamp(max=1.0)
            classes = [
                torch.where((labels == label)[..., None], seen, 0.0).amax(1) for label in range(self.things)
            ]
            probabilities = torch.stack([*classes, stuff.clamp(max=1.0)], 1)
            return self.on_canvas(torch.logit(probabilities, LEAST_PROBABILITY))
