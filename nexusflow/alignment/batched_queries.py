"""Deformable aggregators of all tasks at once, since starting operations takes most of their time.

Legend: N tasks, B batch, M queries, R = B·M, D dimensions, H heads, P points, S = M·H·P, G = R·H, F features,
O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.alignment.aggregators import DeformableAggregator
from nexusflow.alignment.attention import DeformableAttention, QueryLayer, SetAttention, sample_map
from nexusflow.alignment.taps import Tap

__all__ = ["aggregate_together", "are_alike"]

_PARTS = {
    DeformableAggregator,
    DeformableAttention,
    QueryLayer,
    SetAttention,
    nn.ModuleList,
    nn.Sequential,
    nn.Linear,
    nn.ReLU,
    nn.LayerNorm,
    nn.Identity,
}


def are_alike(aggregators: Sequence[nn.Module]) -> bool:
    """Tells whether `aggregate_together` can compute these aggregators.

    Args:
        aggregators: an aggregator per task.

    Returns:
        True for deformable aggregators of one architecture, none of their parts altered.
    """
    if any(type(g) is not DeformableAggregator for g in aggregators):
        return False
    if any(type(part) not in _PARTS for g in aggregators for part in g.modules()):
        return False
    return len({_architecture(g) for g in aggregators}) == 1


def aggregate_together(aggregators: Sequence[nn.Module], taps: Sequence[Tap]) -> Tensor:
    """Applies alike deformable aggregators, as their modules do, to rounding.

    Args:
        aggregators: an aggregator per task; `are_alike` must hold.
        taps: what each branch holds, see `nexusflow.alignment.tokens_of`.

    Returns:
        h' of all tasks, shape (N, B, D).
    """
    together = [cast(DeformableAggregator, g) for g in aggregators]
    maps = [g.map_of(tap) for g, tap in zip(together, taps, strict=True)]
    batch = len(maps[0])
    queries_NMD = torch.stack([g.queries_MD for g in together])
    x_NRD = queries_NMD[:, None].expand(-1, batch, -1, -1).flatten(1, 2)
    for layers in zip(*(cast(Any, g.layers) for g in together), strict=True):
        if layers[0].own is not None:
            normed_NRD = _normed([layer.own_norm for layer in layers], x_NRD)
            x_NRD = x_NRD + _attend([layer.own for layer in layers], normed_NRD, batch)
        normed_NRD = _normed([layer.cross_norm for layer in layers], x_NRD)
        # One by one: a sigmoid's last bit depends on where a number stands in its tensor.
        places = torch.stack([g.references_M2.sigmoid() for g in together])
        x_NRD = x_NRD + _read([layer.cross for layer in layers], normed_NRD, places, maps)
        first, widen, _, narrow = zip(*(layer.feed_forward for layer in layers), strict=True)
        x_NRD = x_NRD + _linear(narrow, _linear(widen, _normed(first, x_NRD)).relu())
    mean_NBD = x_NRD.unflatten(1, (batch, -1)).mean(2)
    return _normed([g.norm for g in together], mean_NBD)


def _architecture(aggregator: nn.Module) -> tuple[object, ...]:
    shapes = tuple((name, parameter.shape) for name, parameter in aggregator.named_parameters())
    crosses = [part for part in aggregator.modules() if isinstance(part, DeformableAttention)]
    owns = [part.heads for part in aggregator.modules() if isinstance(part, SetAttention)]
    return shapes, *((part.heads, part.points, part.reach) for part in crosses), *owns


def _normed(norms: Sequence[nn.Module], x_NRD: Tensor) -> Tensor:
    return torch.stack([norm(x_RD) for norm, x_RD in zip(norms, x_NRD.unbind(), strict=True)])


def _linear(layers: Sequence[nn.Linear], x_NRD: Tensor) -> Tensor:
    weights_NDO = torch.stack([layer.weight for layer in layers]).mT
    if layers[0].bias is None:
        return torch.bmm(x_NRD, weights_NDO)
    biases_NO = torch.stack([layer.bias for layer in layers])
    return torch.baddbmm(biases_NO[:, None], x_NRD, weights_NDO)


def _attend(attentions: Sequence[SetAttention], x_NRD: Tensor, batch: int) -> Tensor:
    """Self-attention of the queries, within each sample."""
    tasks, _, dim = x_NRD.shape
    heads = (tasks * batch, -1, attentions[0].heads, dim // attentions[0].heads)
    q = _linear([a.query for a in attentions], x_NRD).view(heads).transpose(1, 2)
    both_NR2D = _linear([a.key_value for a in attentions], x_NRD)
    k, v = (part.reshape(heads).transpose(1, 2) for part in both_NR2D.chunk(2, dim=-1))
    read = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x_NRD.shape)
    return _linear([a.out for a in attentions], read)


def _read(
    attentions: Sequence[DeformableAttention],
    x_NRD: Tensor,
    references_NM2: Tensor,
    maps: Sequence[Tensor],
) -> Tensor:
    """What the queries read around their reference points, each task on its own map."""
    first, (tasks, rows, _) = attentions[0], x_NRD.shape
    offsets_NRX = _linear([a.offsets for a in attentions], x_NRD)
    offsets_NBMHP2 = offsets_NRX.view(tasks, len(maps[0]), -1, first.heads, first.points, 2)
    places_NBMHP2 = references_NM2[:, None, :, None, None] + first.reach * offsets_NBMHP2
    places_NBS2 = places_NBMHP2.flatten(2, 4)
    seen_NBSF = torch.stack([sample_map(*pair) for pair in zip(maps, places_NBS2.unbind(), strict=True)])
    scores_NRX = _linear([a.scores for a in attentions], x_NRD)
    shares_G1P = scores_NRX.view(-1, 1, first.points).softmax(-1)
    seen_GPF = seen_NBSF.view(len(shares_G1P), first.points, -1)
    mixed_NRHF = torch.bmm(shares_G1P, seen_GPF).view(tasks, rows, first.heads, -1)
    values_NHFO = torch.stack([a.values_HFR for a in attentions])
    read_NRHO = torch.einsum("nrhf,nhfo->nrho", mixed_NRHF, values_NHFO)
    return _linear([a.out for a in attentions], read_NRHO.flatten(2))
