"""Distances between the tasks' embeddings of one sample, and optional guards against collapse.

Legend: N tasks, B batch, D dimensions, E pairs of tasks.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["center_loss", "covariance_penalty", "normalize_embeddings", "pair_loss", "variance_penalty"]

Reduction = Literal["sum", "mean"]
Normalization = Literal["none", "layer", "unit"]


def center_loss(z_NBD: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Squared distances of the tasks' embeddings to their centre, Σᵢ ‖zᵢ − z̄‖².

    Args:
        z_NBD: embeddings, one (B, D) slice per task.
        reduction: sum or mean over the D dimensions; the batch is always averaged.

    Returns:
        A scalar.

    Source: Eq. 4 of the paper, the loss it adopts. It equals `pair_loss` divided by the number of tasks.

    Examples:
        >>> center_loss(torch.tensor([[[0.0, 0.0]], [[2.0, 0.0]]])).item()
        2.0
    """
    return _squared_norm(z_NBD - z_NBD.mean(0), reduction)


def pair_loss(z_NBD: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Squared distances between the embeddings of all pairs of tasks, Σ ‖zᵢ − zⱼ‖² over i < j.

    Args:
        z_NBD: embeddings, one (B, D) slice per task.
        reduction: sum or mean over the D dimensions; the batch is always averaged.

    Returns:
        A scalar.

    Source: Eq. 3 of the paper.

    Examples:
        >>> pair_loss(torch.tensor([[[0.0, 0.0]], [[2.0, 0.0]]])).item()
        4.0
    """
    i_E, j_E = torch.triu_indices(len(z_NBD), len(z_NBD), offset=1, device=z_NBD.device)
    return _squared_norm(z_NBD[i_E] - z_NBD[j_E], reduction)


def normalize_embeddings(z_NBD: Tensor, mode: Normalization) -> Tensor:
    """Normalises every embedding before the loss. Extension, not in the paper.

    Args:
        z_NBD: embeddings.
        mode: ``none``; ``layer``, zero mean and unit variance over D; ``unit``, length 1.

    Returns:
        Embeddings of the same shape, which can no longer come closer by shrinking.
    """
    if mode == "layer":
        return F.layer_norm(z_NBD, z_NBD.shape[-1:])
    if mode == "unit":
        return F.normalize(z_NBD, dim=-1)
    return z_NBD


def variance_penalty(z_NBD: Tensor, floor: float = 1.0) -> Tensor:
    """Penalises dimensions that vary too little over the batch. Extension, not in the paper.

    Args:
        z_NBD: embeddings of at least two samples.
        floor: standard deviation from which a dimension costs nothing.

    Returns:
        The mean hinge over tasks and dimensions, a scalar between 0 and ``floor``.

    Source: variance term of VICReg.
    """
    _check_batch(z_NBD)
    std_ND = (z_NBD.var(dim=1) + 1e-4 * floor**2).sqrt()
    return F.relu(floor - std_ND).mean()


def covariance_penalty(z_NBD: Tensor) -> Tensor:
    """Penalises correlations between dimensions over the batch. Extension, not in the paper.

    Args:
        z_NBD: embeddings of at least two samples.

    Returns:
        The squared off-diagonal covariances, summed, divided by D, averaged over tasks; a scalar.

    Source: covariance term of VICReg.
    """
    _check_batch(z_NBD)
    _, samples, dim = z_NBD.shape
    centred_NBD = z_NBD - z_NBD.mean(dim=1, keepdim=True)
    covariance_NDD = centred_NBD.mT @ centred_NBD / (samples - 1)
    squares_NDD = covariance_NDD.square()
    diagonal_ND = squares_NDD.diagonal(dim1=-2, dim2=-1)
    return (squares_NDD.sum((-2, -1)) - diagonal_ND.sum(-1)).mean() / dim


def _check_batch(z_NBD: Tensor) -> None:
    if z_NBD.shape[1] < 2:
        raise ValueError("variance and covariance penalties need at least two samples per batch")


def _squared_norm(difference_XBD: Tensor, reduction: Reduction) -> Tensor:
    squares_XBD = difference_XBD.square()
    squares_XB = squares_XBD.sum(-1) if reduction == "sum" else squares_XBD.mean(-1)
    return squares_XB.sum(0).mean()
