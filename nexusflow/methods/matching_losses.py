"""How far the features of two domains are apart; none of this is in the paper.

Letters: N, M samples of the two domains, J samples of both, D features.
"""

import torch
from torch import Tensor

__all__ = ["moment_distance", "multi_kernel_mmd"]

_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_LEAST_BANDWIDTH = 1e-12
_LEAST_VARIANCE = 1e-6


def multi_kernel_mmd(x_ND: Tensor, y_MD: Tensor) -> Tensor:
    """Squared MMD with a sum of five Gaussian kernels whose bandwidth is the samples' mean squared distance.

    The bandwidth keeps its gradient: features that shrink together then gain nothing, where a constant one
    would reward a collapse. With one sample of each domain the value is a constant.

    Args:
        x_ND: features of one domain.
        y_MD: features of another one.

    Returns:
        The V-statistic, a scalar, at least 0 and 0 for equal samples.

    Source: Long et al., ICML 2015 (sum of kernels); factors and bandwidth as in public code that follows it,
        which detaches the bandwidth.
    """
    joint_JD = torch.cat([x_ND, y_MD])
    samples = len(joint_JD)
    squared_JJ = (joint_JD[:, None] - joint_JD).square().sum(-1)
    bandwidth = (squared_JJ.sum() / (samples * (samples - 1))).clamp_min(_LEAST_BANDWIDTH)
    kernel_JJ = torch.stack([torch.exp(-squared_JJ / (factor * bandwidth)) for factor in _FACTORS]).sum(0)
    weights_J = torch.cat(
        [x_ND.new_full((len(x_ND),), 1 / len(x_ND)), y_MD.new_full((len(y_MD),), -1 / len(y_MD))]
    )
    return weights_J @ kernel_JJ @ weights_J


def moment_distance(x_ND: Tensor, y_MD: Tensor) -> Tensor:
    """Squared distance of means plus that of covariances, each averaged over its entries.

    Features are first divided by their standard deviation over both domains, which count equally, so that a
    common scale changes nothing.

    Args:
        x_ND: features of one domain.
        y_MD: features of another one.

    Returns:
        A scalar, 0 if and only if both moments agree.

    Source: Deep CORAL (Sun and Saenko, 2016) for the covariances; means and the division are added.
    """
    mean_xD, mean_yD = x_ND.mean(0), y_MD.mean(0)
    centre_D = (mean_xD + mean_yD) / 2
    variance_D = ((x_ND - centre_D).square().mean(0) + (y_MD - centre_D).square().mean(0)) / 2
    scale_D = (variance_D + _LEAST_VARIANCE).rsqrt()
    means = ((mean_xD - mean_yD) * scale_D).square().mean()
    x_ND, y_MD = (x_ND - mean_xD) * scale_D, (y_MD - mean_yD) * scale_D
    covariances = (x_ND.mT @ x_ND / len(x_ND) - y_MD.mT @ y_MD / len(y_MD)).square().mean()
    return means + covariances
