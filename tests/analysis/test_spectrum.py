"""Spectra: closed forms, blind to scale and offset, bands that cover what another sample would give."""

import numpy as np
import pytest
import torch

from nexusflow.alignment import effective_rank
from nexusflow.analysis.spectrum import Spectrum, entropy_rank, participation_ratio, pca_spectrum
from nexusflow.core.errors import UserError


def with_eigenvalues(values_D: np.ndarray, samples: int = 60, seed: int = 0) -> np.ndarray:
    """Points whose sample covariance has exactly these eigenvalues, in random directions."""
    rng = np.random.default_rng(seed)
    noise_ND = rng.normal(size=(samples, len(values_D)))
    white_ND = np.linalg.qr(noise_ND - noise_ND.mean(0))[0] * np.sqrt(samples - 1)
    rotation_DD = np.linalg.qr(rng.normal(size=(len(values_D), len(values_D))))[0]
    return white_ND * np.sqrt(values_D) @ rotation_DD + rng.normal(size=len(values_D))


def gaussians(samples: int, values_D: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, len(values_D))) * np.sqrt(values_D)


def test_eigenvalues_of_known_points() -> None:
    values_D = np.array([5.0, 2.0, 0.5, 1e-6])
    spectrum = pca_spectrum(with_eigenvalues(values_D))
    np.testing.assert_allclose(spectrum.eigenvalues_K, values_D, rtol=1e-8)
    np.testing.assert_allclose(spectrum.shares_K, values_D / values_D.sum(), rtol=1e-8)
    assert (spectrum.samples, spectrum.dim) == (60, 4)


def test_isotropic_points_fill_all_dimensions() -> None:
    spectrum = pca_spectrum(with_eigenvalues(np.full(7, 3.0)))
    assert spectrum.effective_rank == pytest.approx(7)
    assert spectrum.participation == pytest.approx(7)


def test_points_on_a_line_fill_one() -> None:
    line_ND = np.outer(np.linspace(-1, 1, 40), [3.0, 0, 4, 0]) + 2
    spectrum = pca_spectrum(line_ND)
    assert spectrum.effective_rank == pytest.approx(1, abs=1e-9)
    assert spectrum.participation == pytest.approx(1)
    assert spectrum.effective_rank_band == pytest.approx((1, 1), abs=1e-9)
    np.testing.assert_allclose(spectrum.share_band_2K[:, 0], 1)


def test_closed_forms_of_the_two_ranks() -> None:
    spectra_XK = np.array([[1.0, 1, 0, 0], [4.0, 2, 1, 1], [0, 0, 0, 0]])
    entropy = (np.log(2) / 2) + np.log(4) / 4 + np.log(8) / 4
    np.testing.assert_allclose(entropy_rank(spectra_XK), [2, np.exp(entropy), 0])
    np.testing.assert_allclose(participation_ratio(spectra_XK), [2, 64 / 22, 0])


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_scale_and_offset_do_not_matter(scale: float) -> None:
    points_ND = gaussians(100, np.array([4.0, 2, 1, 0.1]), seed=0)
    one, other = pca_spectrum(points_ND), pca_spectrum(scale * (points_ND + 7))
    np.testing.assert_allclose(other.eigenvalues_K, scale**2 * one.eigenvalues_K, rtol=1e-8)
    np.testing.assert_allclose(other.shares_K, one.shares_K, rtol=1e-8)
    np.testing.assert_allclose(other.share_band_2K, one.share_band_2K, rtol=1e-8)
    assert other.effective_rank == pytest.approx(one.effective_rank)
    assert other.effective_rank_band == pytest.approx(one.effective_rank_band)
    assert other.participation_band == pytest.approx(one.participation_band)


def test_agrees_with_the_monitor_of_training() -> None:
    points_ND = gaussians(50, np.arange(1.0, 9), seed=1)
    expected = effective_rank(torch.from_numpy(points_ND))
    assert pca_spectrum(points_ND).effective_rank == pytest.approx(expected)


def test_fewer_samples_than_dimensions() -> None:
    spectrum = pca_spectrum(gaussians(5, np.ones(20), seed=0), resamples=20)
    assert spectrum.eigenvalues_K.shape == (4,) and spectrum.share_band_2K.shape == (2, 4)
    assert (spectrum.eigenvalues_K > 0).all() and spectrum.effective_rank <= 4


def test_collapsed_features_have_rank_zero() -> None:
    for points_ND in (np.full((30, 4), 0.1, np.float32), np.zeros((30, 4))):
        spectrum = pca_spectrum(points_ND)
        assert spectrum.effective_rank == spectrum.participation == 0
        assert not spectrum.eigenvalues_K.any() and not spectrum.share_band_2K.any()
        assert spectrum.effective_rank_band == (0, 0)


def test_resamples_are_what_drawing_rows_gives() -> None:
    points_ND = gaussians(30, np.array([3.0, 1, 0.2]), seed=2)
    spectrum = pca_spectrum(points_ND, resamples=40, confidence=0.8, seed=5)
    drawn_RN = np.random.Generator(np.random.PCG64(5)).multinomial(30, np.full(30, 1 / 30), size=40)
    resampled_RK = np.stack(
        [
            np.linalg.eigvalsh(np.cov(np.repeat(points_ND, drawn_N, axis=0), rowvar=False))[::-1]
            for drawn_N in drawn_RN
        ]
    )
    ends_2K = np.quantile(resampled_RK, (0.1, 0.9), axis=0) / np.median(resampled_RK, axis=0)
    np.testing.assert_allclose(spectrum.eigenvalue_band_2K, ends_2K * spectrum.eigenvalues_K, rtol=1e-8)


def test_bands_are_a_function_of_the_seed() -> None:
    points_ND = gaussians(80, np.array([3.0, 1, 0.2]), seed=0)
    one, same, other = (pca_spectrum(points_ND, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.eigenvalue_band_2K, same.eigenvalue_band_2K)
    assert (one.eigenvalue_band_2K != other.eigenvalue_band_2K).all()


def test_bands_contain_the_estimate_and_widen_with_confidence() -> None:
    points_ND = gaussians(60, np.ones(20), seed=0)  # raw bootstrap spectra lie beside this estimate
    narrow, wide = pca_spectrum(points_ND, confidence=0.5), pca_spectrum(points_ND, confidence=0.95)
    for spectrum in (narrow, wide):
        assert (spectrum.eigenvalue_band_2K[0] < spectrum.eigenvalues_K).all()
        assert (spectrum.eigenvalue_band_2K[1] > spectrum.eigenvalues_K).all()
        low, high = spectrum.effective_rank_band
        assert low < spectrum.effective_rank < high
    assert (wide.eigenvalue_band_2K[0] < narrow.eigenvalue_band_2K[0]).all()
    assert (wide.eigenvalue_band_2K[1] > narrow.eigenvalue_band_2K[1]).all()


def test_bands_cover_the_true_eigenvalues_about_as_often_as_they_say() -> None:
    truth_D = np.array([9.0, 3.0, 1.0])
    inside = [
        (band_2K[0] <= truth_D) & (truth_D <= band_2K[1])
        for seed in range(100)
        for band_2K in [pca_spectrum(gaussians(150, truth_D, seed), seed=seed).eigenvalue_band_2K]
    ]
    coverage_D = np.mean(inside, axis=0)
    assert ((coverage_D > 0.78) & (coverage_D < 0.98)).all()


def test_unusable_features_are_refused() -> None:
    points_ND = gaussians(10, np.ones(3), seed=0)
    points_ND[3, 1], points_ND[4, 0] = np.nan, np.inf
    with pytest.raises(UserError, match="2 of 10 samples hold NaN"):
        pca_spectrum(points_ND)
    for few in (np.ones((1, 3)), np.ones((0, 3)), np.ones(5), np.ones((5, 0))):
        with pytest.raises(UserError, match="at least two samples"):
            pca_spectrum(few)
    with pytest.raises(UserError, match="two resamples"):
        pca_spectrum(np.eye(3), resamples=1)
    with pytest.raises(UserError, match="confidence"):
        pca_spectrum(np.eye(3), confidence=1.0)


def test_frames_of_a_scene_are_drawn_together() -> None:
    generator = np.random.default_rng(0)
    scenes_GD = generator.normal(size=(12, 3))
    points_ND = np.repeat(scenes_GD, 20, axis=0)
    groups_N = np.repeat(np.arange(12).astype(str), 20)
    # Twenty copies of a scene say no more than one: their band is that of twelve points, not of 240.
    grouped = pca_spectrum(points_ND, resamples=400, groups_N=groups_N)
    single = pca_spectrum(points_ND, resamples=400)
    twelve = pca_spectrum(scenes_GD, resamples=400)

    def width(spectrum: Spectrum) -> float:
        return float(np.log(spectrum.share_band_2K[1, 0] / spectrum.share_band_2K[0, 0]))

    assert width(single) < 0.5 * width(grouped)
    assert np.isclose(width(grouped), width(twelve), rtol=0.15)


def test_ranks_stay_within_what_is_possible() -> None:
    spectrum = pca_spectrum(np.random.default_rng(1).normal(size=(40, 4)), resamples=50)
    assert spectrum.effective_rank_band[1] <= 4 and spectrum.participation_band[1] <= 4
