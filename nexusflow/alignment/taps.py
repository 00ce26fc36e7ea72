"""What a task branch hands to its surrogate: vectors, sets of queries or dense maps, all read as tokens.

Legend: B batch, Q tokens, F features of the branch, H and W rows and columns of a map.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Tap", "Tokens", "detach_tap", "features_of", "tokens_of"]

Tap = Tensor | Mapping[str, Tensor]


class Tokens(NamedTuple):
    """A weighted set of tokens in the unit square.

    Args:
        features_BQF: features; zero, as positions are, where the weight is zero.
        weights_BQ: non-negative weights, without gradient; 0 marks padding.
        positions_BQ2: (x, y) in [0, 1], without gradient; None if the branch gave none.
    """

    features_BQF: Tensor
    weights_BQ: Tensor
    positions_BQ2: Tensor | None

    def placed(self) -> Tensor:
        """Returns the positions, or raises ValueError if there are none."""
        if self.positions_BQ2 is None:
            raise ValueError("this aggregator needs the positions of the tokens; give them or use 'mlp'")
        return self.positions_BQ2


def tokens_of(tap: Tap) -> Tokens:
    """Reads a tap as a set of tokens, in full precision.

    Weights and positions say which tokens count and where they are; only the features carry gradient.

    Args:
        tap: a mapping with ``features`` (B, Q, F) and optionally ``weights`` (B, Q) and ``positions`` (B, Q,
            2); or with ``features`` (B, F, H, W), a dense map, x along columns, and optionally ``weights``
            (B, H, W); or only such features, or (B, F).

    Raises:
        ValueError: if the shapes do not fit together.

    Examples:
        >>> tokens = tokens_of(torch.randn(2, 8, 4, 5))
        >>> tokens.features_BQF.shape, tokens.positions_BQ2[0, 0].tolist()
        (torch.Size([2, 20, 8]), [0.10000000149011612, 0.125])
    """
    entries = {"features": tap} if isinstance(tap, Tensor) else tap
    x = entries["features"]
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    weights_BQ, positions_BQ2 = entries.get("weights"), entries.get("positions")
    if x.ndim == 4:
        if positions_BQ2 is not None:
            raise ValueError("a dense map (B, F, H, W) takes no positions, its cells have theirs")
        if weights_BQ is not None:
            if weights_BQ.shape != (len(x), *x.shape[2:]):
                raise ValueError(f"a map {tuple(x.shape)} does not fit its weights {tuple(weights_BQ.shape)}")
            weights_BQ = weights_BQ.flatten(1)
        positions_BQ2 = _cell_centres(x)
        x = x.flatten(2).mT
    elif x.ndim == 2:
        x = x[:, None]
    if weights_BQ is None:
        weights_BQ = x.new_ones(x.shape[:2])
    shapes_fit = positions_BQ2 is None or positions_BQ2.shape == (*x.shape[:2], 2)
    if x.ndim != 3 or weights_BQ.shape != x.shape[:2] or not shapes_fit:
        raise ValueError(f"features {tuple(x.shape)} do not fit their weights or positions")
    if positions_BQ2 is not None:
        positions_BQ2 = positions_BQ2.detach().to(x.dtype)
    if "weights" in entries:  # whatever padding holds, NaN included, is gone
        weights_BQ = weights_BQ.detach().to(x.dtype)
        counts_BQ1 = weights_BQ[..., None] > 0
        x = torch.where(counts_BQ1, x, 0)
        positions_BQ2 = None if positions_BQ2 is None else torch.where(counts_BQ1, positions_BQ2, 0)
    return Tokens(x, weights_BQ, positions_BQ2)


def features_of(tap: Tap) -> Tensor:
    """Returns the features of a tap as they are."""
    return tap if isinstance(tap, Tensor) else tap["features"]


def detach_tap(tap: Tap) -> Tap:
    """Returns the tap cut off from the graph that made it."""
    return tap.detach() if isinstance(tap, Tensor) else {name: entry.detach() for name, entry in tap.items()}


def _cell_centres(x_BFHW: Tensor) -> Tensor:
    batch, _, height, width = x_BFHW.shape
    y_H = (torch.arange(height, device=x_BFHW.device, dtype=x_BFHW.dtype) + 0.5) / height
    x_W = (torch.arange(width, device=x_BFHW.device, dtype=x_BFHW.dtype) + 0.5) / width
    centres_HW2 = torch.stack(torch.meshgrid(x_W, y_H, indexing="xy"), dim=-1)
    return centres_HW2.flatten(0, 1).expand(batch, -1, -1)
