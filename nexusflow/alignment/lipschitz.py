"""Bounds of how much a coupling layer and its inverse stretch, the bricks of every bound on a flow.

An affine coupling stretches without limit far from the origin, so each bound holds within a radius.
Legend: M balls, E points at which a ball's values are known, K kept and C changed dimensions of a layer.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["forward_stretch", "inverse_stretch", "network_bounds", "shear_norm"]


def shear_norm(p_M: Tensor, q_M: Tensor) -> Tensor:
    """Largest singular value of [[1, 0], [q, p]].

    Args:
        p_M: what the changed part is multiplied by.
        q_M: how much of the kept part enters the changed one.

    Returns:
        Spectral norms, shape (M,).

    Examples:
        >>> shear_norm(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0])).tolist()
        [1.0, 2.0]
    """
    return (torch.hypot(1 + p_M, q_M) + torch.hypot(1 - p_M, q_M)) / 2


@torch.no_grad()
def network_bounds(networks: Iterable[nn.Module], size: int) -> list[float]:
    """Lipschitz constants of networks of linear layers and activations that have the constant 1.

    Args:
        networks: the networks.
        size: outputs of each quantity; a network that computes several holds them one after the other.

    Returns:
        A bound per quantity: the spectral norms of the weights, multiplied.
    """
    bounds = []
    for network in networks:
        *hidden, last = [part for part in network.modules() if isinstance(part, nn.Linear)]
        before = math.prod(torch.linalg.matrix_norm(part.weight, 2).item() for part in hidden)
        bounds += [before * torch.linalg.matrix_norm(weight, 2).item() for weight in last.weight.split(size)]
    return bounds


def inverse_stretch(
    bounds: tuple[float, float], clamp: float, e_EMC: Tensor, b_EMC: Tensor, radius_M: Tensor
) -> tuple[Tensor, Tensor]:
    """Bound how much an inverse layer, b = (b′ − t(a)) · e, stretches a ball.

    Its Jacobian is at most [[1, 0], [q, p]] with p = max e and q = p Lip(t) + max |b| Lip(s).

    Args:
        bounds: Lipschitz constants of s and t.
        clamp: bound of the absolute log-scale.
        e_EMC: factors exp(-s(a)) at points of which one is within the radius of every point of the ball.
        b_EMC: the restored part there.
        radius_M: that radius before the layer.

    Returns:
        Bounds of the stretch between any two points of the ball, and from the known points to any other,
        shape (M,) each.

    Source: chain rule with the Jacobian of one coupling; the paper assumes L and never bounds it.
    """
    lip_s, lip_t = bounds
    if lip_s == 0:  # whatever the radius is, the factors are those of the known points
        p_M = e_EMC.amax((0, 2))
        return shear_norm(p_M, p_M * lip_t), shear_norm(p_M, p_M * lip_t)
    # No log-scale leaves the clamp, so none drifts farther than twice the clamp.
    drift_M = (lip_s * radius_M).clamp_max(2 * clamp)
    p_M = (e_EMC.amax((0, 2)).log() + drift_M).clamp_max(clamp).exp()
    end_M = b_EMC.abs().amax((0, 2))
    slope_M = lip_s * torch.where(drift_M > 0, drift_M.expm1() / drift_M, 1.0)
    q_M = p_M * lip_t + end_M * slope_M  # from the known point itself to a point at the radius
    far_M = end_M + torch.hypot(p_M, q_M) * radius_M
    return shear_norm(p_M, p_M * lip_t + lip_s * far_M), shear_norm(p_M, q_M)


def forward_stretch(
    bounds: tuple[float, float], clamp: float, s_MC: Tensor, b_MC: Tensor, radius_M: Tensor
) -> Tensor:
    """Bound how much a layer, b′ = b · exp s(a) + t(a), stretches a ball.

    Args:
        bounds: Lipschitz constants of s and t.
        clamp: bound of the absolute log-scale.
        s_MC: log-scale at the centre.
        b_MC: the part to be changed at the centre.
        radius_M: radius of the ball before the layer.

    Returns:
        Bounds of the stretch between any two points of the ball, shape (M,).

    Source: chain rule with the Jacobian of one coupling.
    """
    lip_s, lip_t = bounds
    if lip_s == 0:  # whatever the radius is, the scale is that of the centre
        p_M = s_MC.amax(-1).exp()
        return shear_norm(p_M, torch.full_like(p_M, lip_t))
    p_M = (s_MC.amax(-1) + lip_s * radius_M).clamp_max(clamp).exp()
    far_M = b_MC.abs().amax(-1) + radius_M
    return shear_norm(p_M, lip_t + p_M * far_M * lip_s)
