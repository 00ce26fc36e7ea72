"""Attention with learned queries over sets of tokens, and deformable sampling of the plane, in plain PyTorch.

Legend: B batch, Q tokens, F features of a token, D dimensions, M learned queries, H heads, P points per head,
S sampled points (M·H·P), G cells of a side, Y cells of a map (G²), R = D / H, W frequencies.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.alignment.taps import Tokens

__all__ = ["DeformableAttention", "QueryLayer", "SetAttention", "sample_map", "sine_embedding", "splat"]


class SetAttention(nn.Module):
    """Multi-head attention of queries to tokens in which a token of weight 2 counts like two tokens.

    Args:
        dim: size D of queries and result.
        token_dim: size F of the tokens.
        heads: number of heads, a divisor of ``dim``.
    """

    def __init__(self, dim: int, token_dim: int, heads: int) -> None:
        super().__init__()
        _check_heads(dim, heads)
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(token_dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def forward(self, x_BMD: Tensor, tokens_BQF: Tensor, weights_BQ: Tensor | None = None) -> Tensor:
        """Returns what the queries ``x_BMD`` read, shape (B, M, D)."""
        q_BHMR = self._split(self.query(x_BMD))
        k_BHQR, v_BHQR = map(self._split, self.key_value(tokens_BQF).chunk(2, dim=-1))
        if weights_BQ is None:
            read_BHMR = F.scaled_dot_product_attention(q_BHMR, k_BHQR, v_BHQR)
        else:
            # softmax(score + log w) is the weighted softmax; a sample without tokens reads zeros, not NaN.
            empty_B111 = (weights_BQ <= 0).all(-1)[:, None, None, None]
            bias_B11Q = torch.where(empty_B111, 0, weights_BQ.log()[:, None, None]).to(q_BHMR.dtype)
            read_BHMR = F.scaled_dot_product_attention(q_BHMR, k_BHQR, v_BHQR, attn_mask=bias_B11Q)
            read_BHMR = torch.where(empty_B111, 0, read_BHMR)
        return self.out(read_BHMR.transpose(1, 2).flatten(2))

    def _split(self, x_BQD: Tensor) -> Tensor:
        return x_BQD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class DeformableAttention(nn.Module):
    """Queries that look at a few points of the plane, each head at its own, and learn where these lie.

    Features are sampled first and projected afterwards, so the cost does not grow with the size of the map.

    Args:
        dim: size D of queries and result.
        token_dim: size F of the features on the plane.
        heads: number of heads, a divisor of ``dim``.
        points: sampled points per head and query.
        reach: unit of the offsets, as a fraction of the plane's side.

    Source: Deformable DETR, one level.
    """

    def __init__(self, dim: int, token_dim: int, heads: int, points: int, reach: float) -> None:
        super().__init__()
        _check_heads(dim, heads)
        self.heads, self.points, self.reach = heads, points, reach
        self.offsets = nn.Linear(dim, heads * points * 2)
        self.scores = nn.Linear(dim, heads * points)
        self.values_HFR = nn.Parameter(torch.empty(heads, token_dim, dim // heads))
        self.out = nn.Linear(dim, dim)
        nn.init.normal_(self.values_HFR, std=token_dim**-0.5)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.scores.weight)
        angle_H = torch.arange(heads) * (2 * math.pi / heads)
        ring_H12 = torch.stack((angle_H.cos(), angle_H.sin()), dim=-1)[:, None]
        with torch.no_grad():  # each head starts along its own direction, each point one step further out
            self.offsets.bias.copy_((ring_H12 * torch.arange(1, points + 1)[:, None]).flatten())

    def forward(self, x_BMD: Tensor, references_M2: Tensor, map_BFHW: Tensor) -> Tensor:
        """Returns what the queries read from a map around their reference points, shape (B, M, D)."""
        offsets_BMHP2 = self.offsets(x_BMD).unflatten(-1, (self.heads, self.points, 2))
        places_BMHP2 = references_M2[:, None, None] + self.reach * offsets_BMHP2
        seen_BSF = sample_map(map_BFHW, places_BMHP2.flatten(1, 3))
        seen_BMHPF = seen_BSF.unflatten(1, places_BMHP2.shape[1:4])
        shares_BMHP = self.scores(x_BMD).unflatten(-1, (self.heads, self.points)).softmax(-1)
        seen_BMHF = torch.einsum("bmhp,bmhpf->bmhf", shares_BMHP, seen_BMHPF)
        return self.out(torch.einsum("bmhf,hfr->bmhr", seen_BMHF, self.values_HFR).flatten(2))


class QueryLayer(nn.Module):
    """Self-attention of the queries, a given cross-attention and a feed-forward network, each residual.

    Args:
        cross: module called with the normalised queries and what ``forward`` received besides them.
        dim: size D of the queries.
        heads: heads of the self-attention.
        hidden: hidden units of the feed-forward network.
        queries: number M of queries; a single one has no use for self-attention.
    """

    def __init__(self, cross: nn.Module, dim: int, heads: int, hidden: int, queries: int) -> None:
        super().__init__()
        self.own = SetAttention(dim, dim, heads) if queries > 1 else None
        self.own_norm = nn.LayerNorm(dim) if queries > 1 else nn.Identity()
        self.cross_norm, self.cross = nn.LayerNorm(dim), cross
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim)
        )

    def forward(self, x_BMD: Tensor, *seen: object) -> Tensor:
        """Returns the queries ``x_BMD`` after they have looked at what else is given."""
        if self.own is not None:
            normed_BMD = self.own_norm(x_BMD)
            x_BMD = x_BMD + self.own(normed_BMD, normed_BMD)
        x_BMD = x_BMD + self.cross(self.cross_norm(x_BMD), *seen)
        return x_BMD + self.feed_forward(x_BMD)


def sample_map(x_BFHW: Tensor, places_BS2: Tensor) -> Tensor:
    """Reads a dense map at places in [0, 1]² by bilinear interpolation; zero outside, shape (B, S, F)."""
    seen_BFS1 = F.grid_sample(x_BFHW, 2 * places_BS2[:, :, None].to(x_BFHW.dtype) - 1, align_corners=False)
    return seen_BFS1.squeeze(-1).mT


def splat(tokens: Tokens, cells: int) -> Tensor:
    """Lays a weighted set of tokens onto a square map with a bilinear kernel.

    A token adds its features times its weight to the four cells around it; where the weights in a cell sum to
    more than 1, the cell shows their mean instead. One token of weight 1 at each cell centre gives back its
    map.

    Returns:
        A map, shape (B, F, cells, cells), x along columns.
    """
    centres_G = (torch.arange(cells, device=tokens.weights_BQ.device) + 0.5) / cells
    x_B1Q, y_B1Q = tokens.placed().mT.split(1, dim=1)
    near_x_BGQ = (1 - cells * (centres_G[:, None] - x_B1Q).abs()).clamp_min(0)
    near_y_BGQ = (1 - cells * (centres_G[:, None] - y_B1Q).abs()).clamp_min(0)
    near_y_BGQ = near_y_BGQ * tokens.weights_BQ[:, None]
    near_BYQ = (near_y_BGQ[:, :, None] * near_x_BGQ[:, None]).flatten(1, 2)
    near_BYQ = near_BYQ / near_BYQ.sum(-1, keepdim=True).clamp_min(1)
    return (near_BYQ @ tokens.features_BQF).mT.unflatten(-1, (cells, cells))


def sine_embedding(positions_BQ2: Tensor, frequencies: int = 16) -> Tensor:
    """Sines and cosines of positions in [0, 1]² at frequencies from half a period to 64 periods.

    Returns:
        Features, shape (B, Q, 4·W).
    """
    rates_W = math.pi * 2 ** torch.linspace(0, 7, frequencies, device=positions_BQ2.device)
    angles_BQX = (positions_BQ2[..., None] * rates_W).flatten(-2)
    return torch.cat((angles_BQX.sin(), angles_BQX.cos()), dim=-1)


def _check_heads(dim: int, heads: int) -> None:
    if dim % heads:
        raise ValueError(f"heads must divide dim, but {heads} does not divide {dim}")
