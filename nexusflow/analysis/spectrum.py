"""Spectrum of a set of features: how many directions it fills, whatever its scale.

Letters: N samples, D dimensions, K = min(N - 1, D) eigenvalues, R resamples, X further axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.special import entr

from nexusflow.core.errors import UserError

__all__ = ["Spectrum", "entropy_rank", "participation_ratio", "pca_spectrum"]

# Numbers that one chunk of resamples may hold at once, 128 MiB.
_CHUNK = 2**24
# A variance below this share of the mean squared length is rounding of single precision.
_NOISE = 1e-12


@dataclass(frozen=True)
class Spectrum:
    """Principal components of one set of features.

    A band spans the quantiles of the bootstrap, shifted (in the logarithm) so that their median is the
    estimate: resamples repeat points, so their raw spectra are steeper than the data's.

    Args:
        samples: number N of samples.
        dim: number D of dimensions; curves are comparable for equal N and D, and smooth from N = 10 D.
        eigenvalues_K: variances along the principal directions, decreasing, in squared units of the features.
        eigenvalue_band_2K: lower and upper end of the band of each eigenvalue.
        shares_K: eigenvalues divided by their sum; zero if all samples are equal.
        share_band_2K: band of each share.
        effective_rank: `entropy_rank` of the eigenvalues, 1 to K; 0 if all samples are equal.
        effective_rank_band: its band.
        participation: `participation_ratio` of the eigenvalues, 1 to K; 0 if all samples are equal.
        participation_band: its band.
    """

    samples: int
    dim: int
    eigenvalues_K: NDArray[np.float64]
    eigenvalue_band_2K: NDArray[np.float64]
    shares_K: NDArray[np.float64]
    share_band_2K: NDArray[np.float64]
    effective_rank: float
    effective_rank_band: tuple[float, float]
    participation: float
    participation_band: tuple[float, float]


def pca_spectrum(
    points_ND: np.ndarray,
    resamples: int = 100,
    confidence: float = 0.9,
    seed: int = 0,
    groups_N: np.ndarray | None = None,
) -> Spectrum:
    """Compute the eigenvalues of the covariance, with bands for the choice of the samples.

    Args:
        points_ND: features; they are centred, but no dimension is rescaled.
        resamples: bootstrap samples, each of as many groups as there are.
        confidence: share of the resamples inside a band, between 0 and 1.
        seed: of the resamples.
        groups_N: what is drawn together, as frames of one scene, which are alike; None draws single points.

    Returns:
        The spectrum.

    Raises:
        UserError: if the features are no table of at least two samples, or hold NaN or infinity.

    Source: caption of Figure 5 of the paper; centring, the bands and the scale-free numbers are not stated
    there.
    """
    points_ND = np.asarray(points_ND, np.float64)
    if points_ND.ndim != 2 or len(points_ND) < 2 or points_ND.shape[1] < 1:
        raise UserError(
            f"A spectrum needs a table of at least two samples, not one of shape {points_ND.shape}; "
            "collect features of more frames."
        )
    if broken := int((~np.isfinite(points_ND)).any(1).sum()):
        raise UserError(
            f"{broken} of {len(points_ND)} samples hold NaN or infinity and have no spectrum; "
            "look whether training diverged."
        )
    if resamples < 2 or not 0 < confidence < 1:
        raise UserError(
            f"A band needs at least two resamples and a confidence between 0 and 1, not {resamples} and "
            f"{confidence}."
        )
    samples, dim = points_ND.shape
    scores_NK, eigenvalues_K = _principal_components(points_ND)
    groups_N = np.arange(samples) if groups_N is None else groups_N
    resampled_RK = _bootstrap(scores_NK, groups_N, resamples, seed)
    levels = (0.5 - confidence / 2, 0.5 + confidence / 2)
    rank, participation = entropy_rank(eigenvalues_K), participation_ratio(eigenvalues_K)
    # Shifted, a band could pass the largest possible value.
    most = len(eigenvalues_K)
    rank_band = _band(rank, entropy_rank(resampled_RK), levels).clip(max=most)
    participation_band = _band(participation, participation_ratio(resampled_RK), levels).clip(max=most)
    return Spectrum(
        samples=samples,
        dim=dim,
        eigenvalues_K=eigenvalues_K,
        eigenvalue_band_2K=_band(eigenvalues_K, resampled_RK, levels),
        shares_K=_shares(eigenvalues_K),
        share_band_2K=_band(_shares(eigenvalues_K), _shares(resampled_RK), levels),
        effective_rank=float(rank),
        effective_rank_band=(float(rank_band[0]), float(rank_band[1])),
        participation=float(participation),
        participation_band=(float(participation_band[0]), float(participation_band[1])),
    )


def entropy_rank(eigenvalues_XK: np.ndarray) -> NDArray[np.float64]:
    """Compute the effective rank, exp of the entropy of the shares.

    Args:
        eigenvalues_XK: spectra, not negative.

    Returns:
        Values from 1 (one direction) to K (all alike), shape (X,); 0 for spectra of zeros.

    Source: Roy and Vetterli, EUSIPCO 2007, with eigenvalues in place of singular values.
    """
    rank_X = np.exp(entr(_shares(eigenvalues_XK)).sum(-1))
    return np.where(np.sum(eigenvalues_XK, -1) > 0, rank_X, 0.0)


def participation_ratio(eigenvalues_XK: np.ndarray) -> NDArray[np.float64]:
    """Compute the squared sum of the eigenvalues over the sum of their squares.

    Args:
        eigenvalues_XK: spectra, not negative.

    Returns:
        Values from 1 (one direction) to K (all alike), shape (X,); 0 for spectra of zeros. Never above
        `entropy_rank`, since it listens less to weak directions.
    """
    squares_X = np.square(_shares(eigenvalues_XK)).sum(-1)
    return np.divide(1.0, squares_X, out=np.zeros_like(squares_X), where=squares_X > 0)


def _shares(eigenvalues_XK: np.ndarray) -> NDArray[np.float64]:
    values_XK = np.asarray(eigenvalues_XK, np.float64)
    total_X1 = values_XK.sum(-1, keepdims=True)
    return np.divide(values_XK, total_X1, out=np.zeros_like(values_XK), where=total_X1 > 0)


def _principal_components(points_ND: np.ndarray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates along the principal directions, and the variances along them."""
    samples, dim = points_ND.shape
    centred_ND = points_ND - points_ND.mean(0)
    left_NK, singular_K, _ = scipy.linalg.svd(centred_ND, full_matrices=False)
    count = min(samples - 1, dim)
    scores_NK = (left_NK * singular_K)[:, :count]
    if np.square(singular_K).sum() <= _NOISE * np.square(points_ND).sum():
        scores_NK = np.zeros_like(scores_NK)
    return scores_NK, np.square(scores_NK).sum(0) / (samples - 1)


def _bootstrap(scores_NK: np.ndarray, groups_N: np.ndarray, resamples: int, seed: int) -> NDArray[np.float64]:
    """Spectra of resamples, (R, K); how often each group was drawn stands for the resample itself."""
    samples, count = scores_NK.shape
    names, codes_N = np.unique(groups_N, return_inverse=True)
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn_RG = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    drawn_RN = drawn_RG[:, codes_N]
    chunks = []
    for part_RN in np.array_split(drawn_RN, max(1, -(-resamples * samples * count // _CHUNK))):
        total_R1 = part_RN.sum(1, keepdims=True)
        mean_RK = part_RN @ scores_NK / total_R1
        moments_RKK = scores_NK.T @ (part_RN[:, :, None] * scores_NK)
        covariance_RKK = moments_RKK - total_R1[:, :, None] * mean_RK[:, :, None] * mean_RK[:, None, :]
        # Rounding may turn the variance along an empty direction negative.
        degrees_R1 = np.maximum(total_R1 - 1, 1)
        chunks.append(np.maximum(np.linalg.eigvalsh(covariance_RKK)[:, ::-1] / degrees_R1, 0))
    return np.concatenate(chunks)


def _band(
    estimate_X: np.ndarray, resampled_RX: np.ndarray, levels: tuple[float, float]
) -> NDArray[np.float64]:
    low_X, median_X, high_X = np.quantile(resampled_RX, (levels[0], 0.5, levels[1]), axis=0)
    shift_X = np.divide(estimate_X, median_X, out=np.ones_like(median_X), where=median_X > 0)
    return np.stack((low_X * shift_X, high_X * shift_X))
