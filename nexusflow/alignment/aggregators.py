"""Aggregators g: compress what a task branch holds into one vector per sample, h' = g(h).

Legend: B batch, Q tokens, F features of the branch, D dimensions of the vector, M learned queries.
"""

import torch
from torch import Tensor, nn

from nexusflow.alignment.attention import (
    DeformableAttention,
    QueryLayer,
    SetAttention,
    sine_embedding,
    splat,
)
from nexusflow.alignment.taps import Tap, features_of, tokens_of

__all__ = ["AttentionAggregator", "DeformableAggregator", "MLPAggregator", "weighted_mean"]


class MLPAggregator(nn.Module):
    """Weighted mean of the tokens, then linear layers with ReLU between them.

    Args:
        in_dim: features of the branch.
        dim: size D of the vector.
        layers: number of linear layers, at least 1.
        final_norm: ends with LayerNorm, which keeps the vectors from shrinking together.

    Source: Tables A.1 and B.1 of the paper ("MLP", 3 layers best); pooling, width and norm are not stated
    there.

    Examples:
        >>> g = MLPAggregator(in_dim=8, dim=16)
        >>> g({"features": torch.randn(2, 30, 8), "weights": torch.rand(2, 30)}).shape
        torch.Size([2, 16])
    """

    def __init__(self, in_dim: int, dim: int, layers: int = 3, final_norm: bool = True) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"an MLP aggregator needs at least one layer, not {layers}")
        parts: list[nn.Module] = [nn.Linear(in_dim, dim)]
        for _ in range(layers - 1):
            parts += [nn.ReLU(), nn.Linear(dim, dim)]
        self.network = nn.Sequential(*parts, _norm(dim, final_norm))

    def forward(self, tap: Tap) -> Tensor:
        """Compresses a tap (see `tokens_of`) into vectors (B, D)."""
        return self.network(weighted_mean(tap))


class AttentionAggregator(nn.Module):
    """Learned queries read the tokens by attention and are averaged.

    Args:
        in_dim: features of the branch.
        dim: size D of the vector, a multiple of ``heads``.
        layers: number of attention layers.
        heads: heads per layer.
        queries: number M of learned queries.
        hidden: hidden units of the feed-forward networks.
        final_norm: ends with LayerNorm, which keeps the vectors from shrinking together.

    Source: v1 of the paper ("transformer"); pooling by queries is our reading for sets without a grid.

    Examples:
        >>> g = AttentionAggregator(in_dim=8, dim=16, heads=4)
        >>> g({"features": torch.randn(2, 30, 8), "positions": torch.rand(2, 30, 2)}).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        in_dim: int,
        dim: int,
        layers: int = 1,
        heads: int = 8,
        queries: int = 1,
        hidden: int = 512,
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.read = nn.Linear(in_dim, dim)
        self.locate = nn.Linear(64, dim, bias=False)
        self.token_norm = nn.LayerNorm(dim)
        self.queries_MD = _queries(queries, dim)
        self.layers = nn.ModuleList(
            QueryLayer(SetAttention(dim, dim, heads), dim, heads, hidden, queries) for _ in range(layers)
        )
        self.norm = _norm(dim, final_norm)

    def forward(self, tap: Tap) -> Tensor:
        """Compresses a tap with positions (see `tokens_of`) into vectors (B, D)."""
        tokens = tokens_of(tap)
        places_BQD = self.locate(sine_embedding(tokens.placed()))
        tokens_BQD = self.token_norm(self.read(tokens.features_BQF) + places_BQD)
        x_BMD = self.queries_MD.expand(len(tokens_BQD), -1, -1)
        for layer in self.layers:
            x_BMD = layer(x_BMD, tokens_BQD, tokens.weights_BQ)
        return self.norm(x_BMD.mean(1))


class DeformableAggregator(nn.Module):
    """Learned queries with learned reference points read the plane by deformable attention and are averaged.

    A dense map is sampled as it is. A set, or a map with weights, is splatted onto a map first, each token
    with its weight.

    Args:
        in_dim: features of the branch.
        dim: size D of the vector, a multiple of ``heads``.
        layers: number of layers: self-attention, deformable cross-attention, feed-forward network.
        heads: heads per layer.
        queries: number M of learned queries.
        points: sampled points per head and query.
        hidden: hidden units of the feed-forward networks.
        cells: side of the map onto which a set is splatted; the unit of the offsets is one cell.
        final_norm: ends with LayerNorm, which keeps the vectors from shrinking together.

    Source: Table A.1 of the paper ("deformable"); all sizes are our choice, the paper states none.

    Examples:
        >>> g = DeformableAggregator(in_dim=8, dim=16, heads=4)
        >>> g(torch.randn(2, 8, 50, 50)).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        in_dim: int,
        dim: int,
        layers: int = 2,
        heads: int = 8,
        queries: int = 16,
        points: int = 4,
        hidden: int = 512,
        cells: int = 16,
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.cells = cells
        self.queries_MD = _queries(queries, dim)
        # A low-discrepancy sequence spreads the first reference points evenly for any number of queries.
        spread_M2 = torch.arange(queries)[:, None] * torch.tensor([0.754878, 0.569840]) % 1
        self.references_M2 = nn.Parameter((0.05 + 0.9 * spread_M2).logit())
        self.layers = nn.ModuleList(
            QueryLayer(
                DeformableAttention(dim, in_dim, heads, points, reach=1 / cells), dim, heads, hidden, queries
            )
            for _ in range(layers)
        )
        self.norm = _norm(dim, final_norm)

    def forward(self, tap: Tap) -> Tensor:
        """Compresses a dense map or a tap with positions (see `tokens_of`) into vectors (B, D)."""
        map_BFHW = self.map_of(tap)
        x_BMD = self.queries_MD.expand(len(map_BFHW), -1, -1)
        for layer in self.layers:
            x_BMD = layer(x_BMD, self.references_M2.sigmoid(), map_BFHW)
        return self.norm(x_BMD.mean(1))

    def map_of(self, tap: Tap) -> Tensor:
        """Returns the map (B, F, H, W) that the queries read, in full precision."""
        features = features_of(tap)
        if features.ndim == 4 and (isinstance(tap, Tensor) or "weights" not in tap):
            return features.to(torch.promote_types(features.dtype, torch.float32))
        return splat(tokens_of(tap), self.cells)


def weighted_mean(tap: Tap) -> Tensor:
    """Pools the tokens of a tap (see `tokens_of`) by their weights, in full precision.

    Args:
        tap: what a branch holds.

    Returns:
        Vectors (B, F); zero where all weights are.
    """
    features = features_of(tap)
    if features.ndim == 4 and (isinstance(tap, Tensor) or set(tap) == {"features"}):
        # A map without weights is read in place: as tokens it would be copied in full precision.
        return features.mean((2, 3), dtype=torch.promote_types(features.dtype, torch.float32))
    x_BQF, weights_BQ, _ = tokens_of(tap)
    total_B1 = weights_BQ.sum(-1, keepdim=True)
    shares_BQ = weights_BQ / torch.where(total_B1 > 0, total_B1, 1)
    return (shares_BQ[..., None] * x_BQF).sum(1)


def _queries(queries: int, dim: int) -> nn.Parameter:
    # Small, so that what the queries read outweighs what they are.
    return nn.Parameter(0.02 * torch.randn(queries, dim))


def _norm(dim: int, wanted: bool) -> nn.Module:
    return nn.LayerNorm(dim) if wanted else nn.Identity()
