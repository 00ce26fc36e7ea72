r"""Lemma 1 of the paper, checked on the embeddings of a trained model.

The lemma bounds :math:`\|h'_1 - h'_2\| \le L \|z_1 - z_2\| + \delta` for two flows whose inverses are
L-Lipschitz. No affine coupling has a finite L on the whole space, so L is read on what the proof needs: the
segment between the two latents of each sample.
Letters: N samples, D dimensions, K kept and C changed dimensions of a layer (K + C = D), M segments,
E = 2 ends of a segment, P points.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from nexusflow.alignment import AffineCoupling, CouplingStack, center_loss, pair_loss
from nexusflow.alignment.lipschitz import inverse_stretch
from nexusflow.core.errors import UserError

__all__ = [
    "LemmaCheck",
    "LemmaReading",
    "check_lemma",
    "inverse_lipschitz_bound",
    "local_expansion",
    "secant_ratio",
]

_LOSSES: dict[str, Callable[..., Tensor]] = {"pair": pair_loss, "center": center_loss}
# What times the root of the loss of two tasks is the distance of their latents.
_FACTORS = {"pair": 1.0, "center": math.sqrt(2)}
# Differences below this share of the left side are rounding.
_ROUNDING = 1e-9
# Jacobians that are held at once.
_CHUNK = 64


@dataclass(frozen=True)
class LemmaReading:
    """The lemma's right side for one reading of L.

    Args:
        lipschitz: L, without unit; the larger of both flows.
        right_N: L * factor * sqrt(loss) + delta of each sample, in units of h'.
        slack_N: right side less left side.
        share: share of the samples for which the inequality holds.
        vacuous: the right side is infinite, so that the inequality says nothing.
    """

    lipschitz: float
    right_N: NDArray[np.float64]
    slack_N: NDArray[np.float64]
    share: float
    vacuous: bool


@dataclass(frozen=True)
class LemmaCheck:
    """Both sides of Lemma 1, sample by sample.

    Args:
        left_N: distance of the two embeddings h', in their units.
        loss_N: alignment loss of each sample, in squared units of z.
        factor: what times sqrt(loss) is the distance of the two latents.
        delta: largest distance of the two inverses of one latent, over all latents of both tasks.
        analytic: L from weights and clamp, see `inverse_lipschitz_bound`; the inequality must hold.
        local: L as the largest `local_expansion` at the latents; may be too small between them.
        secant: L as the largest `secant_ratio` of the samples; the smallest L for which the proof works.
    """

    left_N: NDArray[np.float64]
    loss_N: NDArray[np.float64]
    factor: float
    delta: float
    analytic: LemmaReading
    local: LemmaReading
    secant: LemmaReading


def check_lemma(
    flows: tuple[CouplingStack, CouplingStack],
    embeddings: tuple[ArrayLike | Tensor, ArrayLike | Tensor],
    *,
    loss: Literal["pair", "center"] = "center",
    reduction: Literal["sum", "mean"] = "sum",
    jacobians: int = 128,
) -> LemmaCheck:
    """Compare both sides of Lemma 1 for two tasks.

    Args:
        flows: coupling stacks c_1 and c_2; the full z must be aligned, as it is.
        embeddings: h'_1 and h'_2 of the same samples, shape (N, D) each.
        loss: alignment loss of the two tasks.
        reduction: sum or mean over D in that loss.
        jacobians: samples, evenly spaced, at whose latents the local expansion is measured.

    Returns:
        Both sides and the three readings of L.

    Raises:
        UserError: if shapes do not fit or values are not finite.

    Source: Lemma 1 of the paper, whose sqrt(loss) is the distance of the latents for the pair loss of two
    tasks only; the centre loss needs a factor sqrt(2), a mean over D a factor sqrt(D).
    """
    first, second = (_frozen(flow) for flow in flows)
    h1_ND, h2_ND = (_points(h_ND, flow) for h_ND, flow in zip(embeddings, (first, second), strict=True))
    if h1_ND.shape != h2_ND.shape:
        raise UserError(
            f"Lemma 1 compares embeddings of the same samples, not of shapes {tuple(h1_ND.shape)} and "
            f"{tuple(h2_ND.shape)}."
        )
    samples, dim = h1_ND.shape
    with torch.no_grad():
        z1_ND, z2_ND = first(h1_ND)[0], second(h2_ND)[0]
        left_N = (h1_ND - h2_ND).norm(dim=-1)
        pairs_N2D = torch.stack((z1_ND, z2_ND), dim=1)
        loss_N = torch.vmap(lambda z_2D: _LOSSES[loss](z_2D[:, None], reduction))(pairs_N2D)
        z_PD = torch.cat((z1_ND, z2_ND))
        delta = (first.inverse(z_PD) - second.inverse(z_PD)).norm(dim=-1).max().item()
    factor = _FACTORS[loss] * (math.sqrt(dim) if reduction == "mean" else 1.0)
    row_P = torch.linspace(0, samples - 1, min(jacobians, samples)).round().long()
    probes_PD = torch.cat((z1_ND[row_P], z2_ND[row_P]))

    def reading(measure: Callable[[CouplingStack], Tensor]) -> LemmaReading:
        lipschitz = max(measure(flow).max().item() for flow in (first, second))
        return _reading(lipschitz, left_N, factor * loss_N.sqrt(), delta)

    return LemmaCheck(
        left_N=left_N.numpy(),
        loss_N=loss_N.numpy(),
        factor=factor,
        delta=delta,
        analytic=reading(lambda flow: inverse_lipschitz_bound(flow, z1_ND, z2_ND)),
        local=reading(lambda flow: local_expansion(flow, probes_PD)),
        secant=reading(lambda flow: secant_ratio(flow, z1_ND, z2_ND)),
    )


@torch.no_grad()
def inverse_lipschitz_bound(flow: CouplingStack, start_MD: Tensor, end_MD: Tensor) -> Tensor:
    r"""Bound from above how much a flow's inverse stretches straight segments.

    The stretches of the inverse layers are multiplied (see `nexusflow.alignment.lipschitz`). Their maxima run
    over what the layers before made of the segment. They follow from exact values at both ends and from a
    radius, half the length of the segment at first, within which all points stay of what became of the nearer
    end.

    Args:
        flow: the coupling stack c.
        start_MD: first ends of the segments in the space of z.
        end_MD: other ends.

    Returns:
        Upper bounds of the length of the image over the length of the segment, shape (M,); they also bound
        the expansion at every point of the segment. Infinite where they exceed the range of double precision.

    Raises:
        UserError: if points do not fit the flow or are not finite.

    Source: chain rule with the Jacobian of one coupling; the paper assumes L and never bounds it.
    """
    flow = _frozen(flow)
    ends_EMD = torch.stack((_points(start_MD, flow), _points(end_MD, flow)))
    length_M = (ends_EMD[0] - ends_EMD[1]).norm(dim=-1)
    bound_M, radius_M = torch.ones_like(length_M), length_M / 2
    for layer, e_EMC, b_EMC in _restored(flow, ends_EMD):
        stretch_M, growth_M = inverse_stretch(layer.network_bounds(), layer.clamp, e_EMC, b_EMC, radius_M)
        bound_M, radius_M = bound_M * stretch_M, radius_M * growth_M
    # After an overflow, a layer of slope 0 gives 0 times infinity.
    return bound_M.nan_to_num(nan=math.inf, posinf=math.inf)


def local_expansion(flow: CouplingStack, z_PD: Tensor) -> Tensor:
    """Measure how much a flow's inverse stretches the neighbourhood of points.

    Args:
        flow: the coupling stack c.
        z_PD: points in the space of z.

    Returns:
        Spectral norms of the Jacobian of the inverse, shape (P,); lower bounds of every L there.

    Raises:
        UserError: if points do not fit the flow or are not finite.
    """
    flow = _frozen(flow)
    chunks = _points(z_PD, flow).split(_CHUNK)
    return torch.cat([torch.linalg.matrix_norm(_jacobians(flow, chunk_PD), 2) for chunk_PD in chunks])


@torch.no_grad()
def secant_ratio(flow: CouplingStack, start_MD: Tensor, end_MD: Tensor) -> Tensor:
    """Measure how much farther apart two points are after a flow's inverse.

    Args:
        flow: the coupling stack c.
        start_MD: first points in the space of z.
        end_MD: second points.

    Returns:
        Distance after the inverse over distance before, shape (M,); 0 where the points coincide.

    Raises:
        UserError: if points do not fit the flow or are not finite.
    """
    flow = _frozen(flow)
    start_MD, end_MD = _points(start_MD, flow), _points(end_MD, flow)
    before_M = (start_MD - end_MD).norm(dim=-1)
    after_M = (flow.inverse(start_MD) - flow.inverse(end_MD)).norm(dim=-1)
    return torch.where(before_M > 0, after_M / before_M, 0.0)


def _reading(lipschitz: float, left_N: Tensor, distance_N: Tensor, delta: float) -> LemmaReading:
    # Coinciding latents cost nothing even under an infinite L.
    right_N = torch.where(distance_N > 0, lipschitz * distance_N, 0.0) + delta
    slack_N = right_N - left_N
    return LemmaReading(
        lipschitz=lipschitz,
        right_N=right_N.numpy(),
        slack_N=slack_N.numpy(),
        share=(slack_N >= -_ROUNDING * left_N).double().mean().item(),
        vacuous=not math.isfinite(lipschitz) or not math.isfinite(delta),
    )


def _jacobians(flow: CouplingStack, z_PD: Tensor) -> Tensor:
    """Jacobians of the inverse, (P, D, D); one copy of a point per row, all in one backward pass.

    `torch.func.jacrev` gives the same, three times slower and after nine seconds of imports.
    """
    with torch.enable_grad():
        z_PDD = z_PD[:, None].repeat(1, z_PD.shape[1], 1).requires_grad_()
        outputs_PD = flow.inverse(z_PDD).diagonal(dim1=1, dim2=2)
        return torch.autograd.grad(outputs_PD.sum(), z_PDD)[0]


def _restored(flow: CouplingStack, z_EMD: Tensor) -> Iterator[tuple[AffineCoupling, Tensor, Tensor]]:
    """Runs through the inverse: each layer, its factors e = exp(-s) and the part that it has restored."""
    changed, kept = z_EMD.split(flow.halves, dim=-1)
    for index in reversed(range(flow.depth)):
        kept, changed = changed, kept
        layer = cast(AffineCoupling, flow.layers[index])
        with torch.enable_grad():
            changed = changed.detach().requires_grad_()
            restored = layer.restore(kept, changed)
            # Every number is restored from its own changed number, so the gradient of the sum is e.
            (factors,) = torch.autograd.grad(restored.sum(), changed)
        changed = restored.detach()
        yield layer, factors, changed
        if flow.orders_PD is not None and index % 2 == 0:
            x_EMD = torch.cat((kept, changed), dim=-1)[..., flow.orders_PD[index // 2].argsort()]
            kept, changed = x_EMD.split((kept.shape[-1], changed.shape[-1]), dim=-1)


def _frozen(flow: CouplingStack) -> CouplingStack:
    return copy.deepcopy(flow).cpu().double().requires_grad_(False)


def _points(points_PD: ArrayLike | Tensor, flow: CouplingStack) -> Tensor:
    if not isinstance(points_PD, Tensor):
        points_PD = torch.from_numpy(np.array(points_PD, np.float64))
    points_PD = points_PD.detach().cpu().double()
    if points_PD.ndim != 2 or len(points_PD) < 1 or points_PD.shape[1] != sum(flow.halves):
        raise UserError(
            f"A flow of {sum(flow.halves)} dimensions takes a table of points of as many, not one of shape "
            f"{tuple(points_PD.shape)}."
        )
    if not points_PD.isfinite().all():
        raise UserError("Some points of a flow hold NaN or infinity; look whether training diverged.")
    return points_PD
