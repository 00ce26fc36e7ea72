"""What MTPSL and JTR share: distance of features, samples of classes, convolution blocks.

Letters: B samples, K classes, C channels, H × W cells.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Norm", "cosine_distance", "initialise", "normalisation", "sample_classes"]

Norm = Literal["batch", "group"]

_EPSILON = 1e-12
_GROUPS = 8


def cosine_distance(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """Measures how differently two feature maps point, cell by cell.

    Args:
        first_BCHW: features.
        second_BCHW: features of the same shape.

    Returns:
        (B,) one minus the mean over the cells of the cosine between the channel vectors, in [0, 2].

    Source: the consistency terms of MTPSL and JTR.
    """
    with torch.autocast(first_BCHW.device.type, enabled=False):
        first = F.normalize(first_BCHW.float(), dim=1, eps=_EPSILON)
        second = F.normalize(second_BCHW.float(), dim=1, eps=_EPSILON)
        return 1 - (first * second).sum(1).mean((1, 2))


def sample_classes(log_probs_BKHW: Tensor, generator: torch.Generator) -> Tensor:
    """Draws a class for every cell, with the gradient of the softmax (straight-through Gumbel, tau = 1).

    Args:
        log_probs_BKHW: log-probabilities.
        generator: source of the noise, on the CPU.

    Returns:
        One-hot (B, K, H, W).

    Source: MTPSL and JTR feed sampled segmentations to their networks.
    """
    log_probs = log_probs_BKHW.float()
    uniform = torch.rand(log_probs.shape, generator=generator).clamp_(1e-10, 1 - 1e-7)
    noise = -torch.log(-torch.log(uniform)).to(log_probs.device)
    soft = (log_probs + noise).softmax(1)
    hard = torch.zeros_like(soft).scatter_(1, soft.argmax(1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())


def normalisation(channels: int, norm: Norm) -> nn.Module:
    """Builds BatchNorm, as published, or GroupNorm, which keeps no batch statistics.

    Args:
        channels: features to normalise.
        norm: which one.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(next(groups for groups in range(_GROUPS, 0, -1) if channels % groups == 0), channels)


def initialise(network: nn.Module) -> None:
    """Draws convolution weights from Xavier's normal distribution and sets biases to zero, in place."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
