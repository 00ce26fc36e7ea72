"""Lifting by precomputed bilinear weights: camera features to BEV pillars as one sparse product.

For a calibrated rig the pixels that a BEV point sees are fixed, so sampling is a sparse matrix (rows: BEV
points, columns: feature pixels of all cameras), built once per calibration and kept. The product runs in
float32. Letters: B samples, N cameras, C channels, H/W BEV rows/columns, h/w feature rows/columns, Z heights,
R = H·W·Z.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.bev.layers import full_precision

__all__ = ["BilinearLift", "LiftGeometry", "lift_matrix", "pillar_points"]

ROUNDED_DECIMALS = 3  # of the projections: far below a pixel anywhere on the grid


class LiftGeometry(NamedTuple):
    """What fixes the lifting besides the calibration: sizes (pixels) and the nearest depth (metres)."""

    image_hw: tuple[int, int]
    feature_hw: tuple[int, int]
    min_depth_m: float


def pillar_points(half_m: float, cells: int, heights_m: tuple[float, ...]) -> np.ndarray:
    """Return homogeneous ego points (R, 4) of all BEV cells and heights, ordered row, column, height."""
    centres = (np.arange(cells) + 0.5) * (2.0 * half_m / cells) - half_m
    y, x, z = np.meshgrid(centres, centres, np.asarray(heights_m, dtype=np.float64), indexing="ij")
    return np.stack([x, y, z, np.ones_like(x)], -1).reshape(-1, 4).astype(np.float32)


def lift_matrix(ego2img_N44: np.ndarray, points_R4: np.ndarray, geometry: LiftGeometry) -> sp.csr_matrix:
    """Build the sampling matrix of one rig.

    Args:
        ego2img_N44: projections of ego points to (u·d, v·d, d, 1) (pixels, metres).
        points_R4: homogeneous ego points (metres).
        geometry: image and feature sizes.

    Returns:
        (R, N·h·w) matrix: bilinear weights, averaged over the cameras that see the point; rows of points
        that no camera sees are empty.
    """
    (height, width), (rows, columns) = geometry.image_hw, geometry.feature_hw
    projected_NR3 = np.einsum("nij,rj->nri", ego2img_N44[:, :3].astype(np.float32), points_R4)
    depth = projected_NR3[..., 2]
    safe = np.maximum(depth, geometry.min_depth_m)
    u, v = projected_NR3[..., 0] / safe, projected_NR3[..., 1] / safe
    seen = (depth > geometry.min_depth_m) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    camera, point = np.nonzero(seen)
    u_feature = np.clip(u[seen] * (columns / width) - 0.5, 0, columns - 1)
    v_feature = np.clip(v[seen] * (rows / height) - 0.5, 0, rows - 1)
    u0, v0 = np.floor(u_feature).astype(np.int64), np.floor(v_feature).astype(np.int64)
    du, dv = u_feature - u0, v_feature - v0
    share = 1.0 / np.bincount(point, minlength=len(points_R4))[point]
    data, cols = [], []
    for row, row_weight in ((v0, 1 - dv), (np.minimum(v0 + 1, rows - 1), dv)):
        for column, column_weight in ((u0, 1 - du), (np.minimum(u0 + 1, columns - 1), du)):
            cols.append((camera * rows + row) * columns + column)
            data.append(row_weight * column_weight * share)
    values = np.concatenate(data).astype(np.float32)
    index = (np.tile(point, 4), np.concatenate(cols))
    return sp.csr_matrix((values, index), shape=(len(points_R4), len(ego2img_N44) * rows * columns))


class _Bags(NamedTuple):
    """A sparse matrix in the form that `embedding_bag` takes."""

    columns: Tensor
    offsets: Tensor
    values: Tensor

    def product(self, x: Tensor) -> Tensor:
        return F.embedding_bag(self.columns, x, self.offsets, mode="sum", per_sample_weights=self.values)


def _bags(matrix: sp.csr_matrix) -> _Bags:
    return _Bags(
        torch.from_numpy(matrix.indices.astype(np.int64)),
        torch.from_numpy(matrix.indptr.astype(np.int64)),
        torch.from_numpy(matrix.data.astype(np.float32)),
    )


def _stack(parts: list[_Bags], columns: int, device: torch.device) -> _Bags:
    """Put matrices of equal shape on the diagonal of one."""
    shifted = [part.columns + index * columns for index, part in enumerate(parts)]
    starts, base = [], 0
    for part in parts:
        starts.append(part.offsets[:-1] + base)
        base += int(part.offsets[-1])
    values = torch.cat([part.values for part in parts])
    return _Bags(torch.cat(shifted).to(device), torch.cat(starts).to(device), values.to(device))


class _SparseProduct(torch.autograd.Function):
    """y = A x with the transposed matrix at hand for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forward: _Bags, backward: _Bags) -> Tensor:
        ctx.transposed = backward
        return forward.product(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transposed.product(grads[0].contiguous()), None, None


class BilinearLift(nn.Module):
    """Camera features to BEV pillars.

    Args:
        half_m: half-width of the BEV grid (metres).
        cells: BEV cells per side.
        heights_m: sampled heights (metres).
        geometry: image and feature sizes.
        cached_rigs: calibrations whose matrices are kept (least recently used go first).
    """

    def __init__(
        self,
        half_m: float,
        cells: int,
        heights_m: tuple[float, ...],
        geometry: LiftGeometry,
        cached_rigs: int,
    ) -> None:
        super().__init__()
        self.cells, self.heights = cells, len(heights_m)
        self.geometry = geometry
        self.cached_rigs = cached_rigs
        self._points_R4 = pillar_points(half_m, cells, heights_m)
        self._cache: OrderedDict[bytes, tuple[_Bags, _Bags]] = OrderedDict()

    def _matrices(self, ego2img_N44: np.ndarray) -> tuple[_Bags, _Bags]:
        """Return the matrix of a rig and its transpose.

        Projections are rounded first, so that rounding noise in equal calibrations neither misses the cache
        nor makes results depend on what is in it.
        """
        ego2img_N44 = np.round(ego2img_N44, ROUNDED_DECIMALS) + 0.0
        key = ego2img_N44.tobytes()
        found = self._cache.pop(key, None)
        if found is None:
            matrix = lift_matrix(ego2img_N44, self._points_R4, self.geometry)
            found = (_bags(matrix), _bags(matrix.T.tocsr()))
        if self.cached_rigs:
            self._cache[key] = found
            while len(self._cache) > self.cached_rigs:
                self._cache.popitem(last=False)
        return found

    def forward(self, features_BNChw: Tensor, ego2img_BN44: Tensor) -> Tensor:
        """Sample features at all pillar points.

        Args:
            features_BNChw: camera features.
            ego2img_BN44: projections (pixels of the input image, metres).

        Returns:
            (B, Z·C, H, W) float32 in channels-last memory.
        """
        batch, cameras, channels, rows, columns = features_BNChw.shape
        assert (rows, columns) == self.geometry.feature_hw, "feature size differs from the lifting's"
        pairs = [self._matrices(rig) for rig in ego2img_BN44.detach().float().cpu().numpy()]
        device = features_BNChw.device
        forward = _stack([pair[0] for pair in pairs], cameras * rows * columns, device)
        backward = _stack([pair[1] for pair in pairs], len(self._points_R4), device)
        with full_precision(features_BNChw):
            flat = features_BNChw.float().permute(0, 1, 3, 4, 2).reshape(-1, channels)
            pillars = _SparseProduct.apply(flat, forward, backward)
        return pillars.reshape(batch, self.cells, self.cells, self.heights * channels).permute(0, 3, 1, 2)
