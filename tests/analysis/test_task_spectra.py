"""Spectra of every task and of all together: shares that sum to one, ranks that see lost directions."""

import numpy as np
import pytest

from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.features import KINDS
from nexusflow.analysis.task_spectra import POOLED, task_spectra
from nexusflow.core.errors import UserError
from tests.analysis.toy_features import TASKS, toy_features

CONFIG = AnalysisConfig(resamples=8)


def test_every_part_of_every_kind_has_a_spectrum() -> None:
    arrays, content = task_spectra(toy_features(), CONFIG)
    for kind in KINDS:
        for part in (POOLED, *TASKS):
            width = 3 if kind == "h" else 4
            shares_K, band_2K = arrays[f"{kind}/{part}/shares"], arrays[f"{kind}/{part}/band"]
            assert shares_K.shape == (width,) and band_2K.shape == (2, width)
            assert shares_K.sum() == pytest.approx(1) and (band_2K[0] <= band_2K[1]).all()
            numbers = content["spectra"][kind][part]
            assert numbers["samples"] == (48 if part == POOLED else 24) and numbers["dim"] == width
            low, high = numbers["effective_rank_band"]
            assert low <= numbers["effective_rank"] <= min(high, width)
    assert (content["resamples"], content["confidence"]) == (8, 0.9)


def test_tasks_apart_make_one_direction_of_all() -> None:
    numbers = task_spectra(toy_features(apart=100.0), CONFIG)[1]["spectra"]["latent"]
    assert numbers[POOLED]["effective_rank"] < 1.1 < 3 < numbers["map"]["effective_rank"]
    assert numbers[POOLED]["variance"] > 1000 * numbers["map"]["variance"]


def test_a_common_scale_changes_the_variance_only() -> None:
    small = toy_features()
    for task in TASKS:
        small.features["latent"][task][:] *= 2.0**-10
    plain, shrunk = (
        task_spectra(features, CONFIG)[1]["spectra"]["latent"]["map"] for features in (toy_features(), small)
    )
    assert shrunk["effective_rank"] == pytest.approx(plain["effective_rank"])
    assert shrunk["variance"] == pytest.approx(2.0**-20 * plain["variance"])


def test_tasks_of_different_widths_are_not_pooled() -> None:
    content = task_spectra(toy_features(h_widths=(3, 5)), CONFIG)[1]["spectra"]
    assert set(content["h"]) == set(TASKS) and set(content["latent"]) == {POOLED, *TASKS}


def test_nan_is_one_sentence() -> None:
    features = toy_features()
    features.features["embedding"]["track"][0, 0] = np.inf
    with pytest.raises(UserError, match="1 of 48 samples hold NaN or infinity"):
        task_spectra(features, CONFIG)
