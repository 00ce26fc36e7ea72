"""Small building blocks shared by the model's parts.

Letters: B batch, C channels, H/W grid, Q queries, D query channels, P sampled points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = [
    "Attention",
    "ConvBlock",
    "FeedForward",
    "ResidualBlock",
    "full_precision",
    "kept_or_recomputed",
    "levels_of",
    "mlp",
    "sample_grid",
    "sine_position",
]


def full_precision(x: Tensor) -> Any:
    """Return a context in which autocast is off, for geometry and losses."""
    return torch.autocast(x.device.type, enabled=False)


def levels_of(features: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return feature maps of several strides as a tuple, also where there is only one.

    Args:
        features: one map, or several, finest first.
    """
    return (features,) if isinstance(features, Tensor) else features


@contextmanager
def _statistics_counted(module: nn.Module) -> Iterator[None]:
    """Leave running statistics of batch normalisations alone: the first pass has counted this batch."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d) and part.training]
    before = [(part, part.momentum, part.num_batches_tracked) for part in norms]
    for part, _, count in before:
        part.momentum, part.num_batches_tracked = 0.0, None if count is None else count.clone()
    try:
        yield
    finally:
        for part, momentum, count in before:
            part.momentum, part.num_batches_tracked = momentum, count


def kept_or_recomputed(module: nn.Module, recompute: bool, *inputs: Any) -> Tensor:
    """Call a module without randomness; with `recompute` its activations are not kept for the backward pass.

    Args:
        module: the module.
        recompute: less memory, another forward pass.
        inputs: its arguments.

    Returns:
        What the module returns; values, gradients and running statistics do not depend on `recompute`.
    """
    if recompute and torch.is_grad_enabled():
        contexts = lambda: (nullcontext(), _statistics_counted(module))  # noqa: E731
        result: Tensor = checkpoint(
            module, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
        )
    else:
        result = module(*inputs)
    return result


def mlp(*sizes: int, norm: bool = False) -> nn.Sequential:
    """Build linear layers with ReLU (and LayerNorm) between them; the last one is linear."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes[:-1]):
        layers += [nn.Linear(inner, outer), *([nn.LayerNorm(outer)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


class ConvBlock(nn.Sequential):
    """Convolution, group normalisation, ReLU.

    Group normalisation keeps no batch statistics: those would differ between cities and so confound any
    comparison of methods that align domains.
    """

    def __init__(self, inner: int, outer: int, groups: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False),
            nn.GroupNorm(groups, outer),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a skip connection; a 1×1 projection where the shape changes."""

    def __init__(self, inner: int, outer: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvBlock(inner, outer, groups, stride=stride)
        self.second = nn.Conv2d(outer, outer, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(groups, outer)
        self.skip = nn.Identity() if inner == outer and stride == 1 else nn.Conv2d(inner, outer, 1, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features of the block's output shape."""
        return F.relu(self.norm(self.second(self.first(x_BCHW))) + self.skip(x_BCHW))


class Attention(nn.Module):
    """Multi-head attention with an optional mask (True = may look)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, q_BQD: Tensor, k_BKD: Tensor, v_BKD: Tensor, mask_BQK: Tensor | None = None) -> Tensor:
        """Return (B, Q, D)."""

        def split(x: Tensor) -> Tensor:
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        q, k, v = split(self.query(q_BQD)), split(self.key(k_BKD)), split(self.value(v_BKD))
        # Written out: the fused kernel's backward pass is four times slower on a CPU at these sizes.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if mask_BQK is not None:
            scores = scores.masked_fill(~mask_BQK[:, None], float("-inf"))
        mixed = scores.float().softmax(-1).to(v.dtype) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two-layer perceptron with residual connection and LayerNorm (post-norm)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.net = mlp(dim, hidden, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return self.norm(x + self.net(x))


def sine_position(xy: Tensor, dim: int, half_m: float) -> Tensor:
    """Encode positions by sines and cosines of growing frequency.

    Args:
        xy: (…, 2) positions in metres.
        dim: channels of the result, a multiple of 4.
        half_m: half-width of the grid; sets the longest wavelength (metres).

    Returns:
        (…, dim) float32 encoding.
    """
    steps = dim // 4
    exponents = torch.arange(steps, device=xy.device, dtype=torch.float32) / max(steps - 1, 1)
    frequencies = math.pi / half_m * (2.0 * half_m) ** exponents / 2.0
    angles = xy.float()[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)


def sample_grid(grid_BCHW: Tensor, xy_BP2: Tensor, half_m: float) -> Tensor:
    """Read a BEV grid bilinearly at metric positions; zero outside.

    The same numbers as `grid_sample`, but read row by row from channels-last memory, which is faster on a
    CPU.

    Args:
        grid_BCHW: BEV features; rows follow y, columns x.
        xy_BP2: positions (metres).
        half_m: half-width of the grid (metres).

    Returns:
        (B, P, C) float32 samples, differentiable in the grid and the positions.
    """
    batch, channels, height, width = grid_BCHW.shape
    device = grid_BCHW.device
    with full_precision(grid_BCHW):
        rows = grid_BCHW.permute(0, 2, 3, 1).reshape(-1, channels).float()
        size_2 = torch.tensor([width, height], device=device)
        cells_BP2 = (xy_BP2.float() / half_m + 1.0) * (0.5 * size_2) - 0.5
        low_BP2 = cells_BP2.detach().floor()
        part = cells_BP2 - low_BP2
        corner_42 = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], device=device)
        # Far outside is as good as just outside, and keeps the integers small.
        low = torch.minimum(low_BP2.clamp(min=-2), size_2.float()).long()
        index_BP42 = low[..., None, :] + corner_42
        weights = torch.where(corner_42.bool(), part[..., None, :], 1.0 - part[..., None, :]).prod(-1)
        inside = ((index_BP42 >= 0) & (index_BP42 < size_2)).all(-1)
        weights = torch.where(inside, weights, 0.0)
        column, row = index_BP42[..., 0].clamp(0, width - 1), index_BP42[..., 1].clamp(0, height - 1)
        flat = row * width + column + (torch.arange(batch, device=device) * height * width)[:, None, None]
        samples = F.embedding_bag(
            flat.reshape(-1, 4), rows, mode="sum", per_sample_weights=weights.reshape(-1, 4)
        )
    return samples.reshape(batch, -1, channels)
