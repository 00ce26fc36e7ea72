"""Boxes and map masks drawn as images over the BEV grid, with gradient.

A cell's row follows y (left) and its column x (forward), both growing with the index, as in the BEV grid, the
heat map and the map targets; cell i is centred at -half + (i + ½)·size.
Letters: B samples, Q boxes, R = B·Q boxes, K classes, C channels, H × W cells, N pairs of a box and a cell
near it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.bev.layers import full_precision

__all__ = ["GridMotion", "average_masks", "render_boxes", "render_map"]

# Log length, log width, sine and cosine of the yaw, behind the classes.
_REGRESSED = 4
_MIN_SIGMA_CELLS = 1.0
_SIGMAS_PER_SIZE = 0.25
# At this many standard deviations a Gaussian is 2⁻²⁴: one minus less than that is one in single precision.
_REACH_SIGMAS = math.sqrt(48.0 * math.log(2.0))
# Keeps the logarithm of "no box here" finite, gradient included, where a sure box has its centre.
_ALMOST_ONE = 1.0 - 1e-6
# Regressed numbers fade to zero where the weights of all boxes sum to less than about this.
_WEIGHT_FLOOR = 1e-3
# As in `code_to_boxes`: sizes from 2 cm to 148 m.
_LOG_SIZE_RANGE = (-4.0, 5.0)
_MIN_HEADING = 1e-3


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _Outlines(NamedTuple):
    """Where boxes lie on the canvas: centres and standard deviations in cells, sine and cosine, log sizes."""

    centre_2R: Tensor
    sigma_2R: Tensor
    heading_2R: Tensor
    log_size_2R: Tensor

    @classmethod
    def of(cls, code_10R: Tensor, half_m: float, cells: int) -> _Outlines:
        size_m = 2.0 * half_m / cells
        log_size_2R = code_10R[2:4].clamp(*_LOG_SIZE_RANGE)
        return cls(
            (code_10R[:2] + half_m) / size_m - 0.5,
            (log_size_2R.exp() * (_SIGMAS_PER_SIZE / size_m)).clamp(min=_MIN_SIGMA_CELLS),
            F.normalize(code_10R[6:8], dim=0, eps=_MIN_HEADING),
            log_size_2R,
        )

    def axes(self) -> Tensor:
        """Return (4, R): the directions along and across each box, divided by the standard deviations."""
        sin, cos = self.heading_2R
        along_sigma, across_sigma = self.sigma_2R
        return torch.stack([cos / along_sigma, sin / along_sigma, -sin / across_sigma, cos / across_sigma])

    @torch.no_grad()
    def near_cells(self, valid_R: Tensor, cells: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return box, column and row (N,) of all cells where the Gaussian of a box is not negligible."""
        sin, cos = self.heading_2R
        length, width = self.sigma_2R * _REACH_SIGMAS
        # Half sides of the upright rectangle around the turned ellipse.
        reach_2R = torch.stack(
            [torch.hypot(length * cos, width * sin), torch.hypot(length * sin, width * cos)]
        )
        first_2R = (self.centre_2R - reach_2R).ceil().long().clamp(0, cells)
        beyond_2R = ((self.centre_2R + reach_2R).floor().long() + 1).clamp(0, cells)
        columns_R, rows_R = (beyond_2R - first_2R).clamp(min=0)
        count_R = columns_R * rows_R * valid_R
        box_N = torch.repeat_interleave(count_R)
        place_N = torch.arange(len(box_N), device=box_N.device) - (count_R.cumsum(0) - count_R)[box_N]
        wide_N = columns_R[box_N]
        row_N = place_N.div(wide_N, rounding_mode="floor")
        return box_N, first_2R[0, box_N] + place_N - row_N * wide_N, first_2R[1, box_N] + row_N


def _strongest(tensors: tuple[Tensor, Tensor], valid_BQ: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the boxes of largest class probability of (codes, probabilities)."""
    scores_BQ = tensors[1].detach().amax(-1).masked_fill(~valid_BQ, -1.0)
    order = scores_BQ.topk(count, dim=1).indices
    code, probs = (x.gather(1, order[..., None].expand(-1, -1, x.shape[-1])) for x in tensors)
    return code, probs, valid_BQ.gather(1, order)


def _summed(
    code_10R: Tensor, probs_KR: Tensor, valid_R: Tensor, half_m: float, shape: tuple[int, int]
) -> Tensor:
    """Return (K + 5, B·H·W) sums: logs of "no box of the class", weighted regressed numbers, weights."""
    batch, cells = shape
    outlines = _Outlines.of(code_10R, half_m, cells)
    box_N, column_N, row_N = outlines.near_cells(valid_R, cells)
    # All numbers of a box in one table: one look-up forward, one sum backward.
    parts = [outlines.centre_2R, outlines.axes(), outlines.log_size_2R, outlines.heading_2R]
    table = torch.cat([*parts, probs_KR.amax(0, keepdim=True), probs_KR]).index_select(1, box_N)
    (x, y, along_x, along_y, across_x, across_y), values_4N, weight_1N, probs_KN = table.split(
        [6, _REGRESSED, 1, len(probs_KR)]
    )
    dx, dy = column_N - x, row_N - y
    gauss_N = torch.exp(-0.5 * ((along_x * dx + along_y * dy) ** 2 + (across_x * dx + across_y * dy) ** 2))
    weight_1N = weight_1N * gauss_N
    terms = torch.cat([torch.log1p(-_ALMOST_ONE * probs_KN * gauss_N), weight_1N * values_4N, weight_1N])
    sample_N = box_N // (len(valid_R) // batch)
    empty = terms.new_zeros(len(terms), batch * cells * cells)
    return empty.index_add(1, (sample_N * cells + row_N) * cells + column_N, terms)


def render_boxes(
    code_BQ10: Tensor,
    probs_BQK: Tensor,
    valid_BQ: Tensor,
    half_m: float,
    cells: int,
    max_boxes: int | None = None,
) -> Tensor:
    """Draw boxes as turned Gaussians: a heat map per class, and the size and heading of boxes at each cell.

    A Gaussian G has a quarter of the box's length and width as standard deviations, but at least one cell.
    Class c is seen at a cell with 1 - ∏(1 - p_c G) over the boxes; the regressed numbers are means over the
    boxes, weighted by G and the box's largest class probability, and fade to zero where nothing is seen.
    Only cells near a box are visited, a small part of all pairs of boxes and cells.

    Args:
        code_BQ10: box codes (metres), see `nexusflow.bev.boxes`; sine and cosine need not be normalised.
        probs_BQK: class probabilities in [0, 1].
        valid_BQ: which boxes exist, bool; the others contribute nothing and get no gradient.
        half_m: half-width of the grid (metres).
        cells: cells per side of the canvas.
        max_boxes: draw only that many boxes of every sample, those of largest probability; None for all.

    Returns:
        (B, K + 4, H, W), float32 or the wider type of the codes: class heat maps in [0, 1], log length and
        log width (log metres), sine and cosine of the yaw.

    Source: the heat maps of CenterPoint, here turned with the box and joined by noisy-or.
    """
    with full_precision(code_BQ10):
        code, probs = _at_least_float32(code_BQ10), _at_least_float32(probs_BQK)
        if max_boxes is not None and max_boxes < code.shape[1]:
            code, probs, valid_BQ = _strongest((code, probs), valid_BQ, max_boxes)
        # Padding may hold anything; replacing it first keeps non-finite values out of the gradient.
        code, probs = (torch.where(valid_BQ[..., None], x, 0.0).flatten(0, 1).t() for x in (code, probs))
        batch, classes = len(valid_BQ), len(probs)
        sums = _summed(code, probs, valid_BQ.flatten(), half_m, (batch, cells))
        absent, values, weights = sums.split([classes, _REGRESSED, 1])
        canvas = torch.cat([-torch.expm1(absent), values / (weights + _WEIGHT_FLOOR)])
    return canvas.unflatten(1, (batch, cells, cells)).transpose(0, 1)


def average_masks(masks_BKHW: Tensor, cells: int) -> Tensor:
    """Bring masks to the size of a canvas, each cell the mean of what it covers.

    Args:
        masks_BKHW: probabilities, or 0 and 1, over the grid's extent.
        cells: cells per side of the canvas.

    Returns:
        (B, K, H, W) in [0, 1], float32 or wider.
    """
    return F.adaptive_avg_pool2d(_at_least_float32(masks_BKHW), cells)


def render_map(logits_BKHW: Tensor, cells: int) -> Tensor:
    """Draw predicted map masks.

    Args:
        logits_BKHW: mask logits of any size over the grid's extent.
        cells: cells per side of the canvas.

    Returns:
        (B, K, H, W) probabilities, float32 or wider.
    """
    return average_masks(_at_least_float32(logits_BKHW).sigmoid(), cells)


@dataclass(frozen=True)
class GridMotion:
    """A mirroring and a turn of the world around the grid's centre that send cells to cells.

    Attributes:
        mirrored: swap left and right (y → -y), before the turn.
        quarter_turns: turns by 90° from x (forward) to y (left).
    """

    mirrored: bool
    quarter_turns: int

    def move_grid(self, grid_BCHW: Tensor) -> Tensor:
        """Move the cells of a square grid; what they hold stays as it is.

        Args:
            grid_BCHW: features, masks or heat maps.

        Returns:
            The moved grid, of the same shape.
        """
        if self.mirrored:
            grid_BCHW = grid_BCHW.flip(-2)
        # From columns to rows, as x is the column and y the row.
        return grid_BCHW.rot90(self.quarter_turns, (-1, -2))

    def move_boxes(self, canvas_BCHW: Tensor) -> Tensor:
        """Move a canvas of `render_boxes`, with the headings in its last two channels.

        Args:
            canvas_BCHW: class heat maps, log sizes, sine and cosine of the yaw.

        Returns:
            What `render_boxes` draws of the moved boxes.
        """
        moved = self.move_grid(canvas_BCHW)
        sin, cos = moved[:, -2], moved[:, -1]
        if self.mirrored:
            sin = -sin
        for _ in range(self.quarter_turns % 4):
            sin, cos = cos, -sin
        return torch.cat([moved[:, :-2], torch.stack([sin, cos], 1)], 1)
