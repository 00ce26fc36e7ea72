"""Lemma 1 for every pair of tasks: plain data that JSON can say, arrays that agree with it."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from nexusflow.alignment import MLPAggregator, NexusFlow
from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.task_lemma import task_lemma
from nexusflow.core.errors import UserError
from tests.analysis.toy_features import toy_features

CONFIG = AnalysisConfig(jacobians=3)


def surrogates(
    spread: float = 0.3, tasks: tuple[str, ...] = ("track", "map"), depth: int = 3, **options
) -> NexusFlow:
    """Surrogates whose flows are far from the identity."""
    generator = torch.Generator().manual_seed(0)
    aggregator = partial(MLPAggregator, layers=1)
    made = NexusFlow(dict.fromkeys(tasks, 3), dim=4, depth=depth, hidden=5, aggregator=aggregator, **options)
    with torch.no_grad():
        for weight in made.flows.parameters():
            weight.normal_(std=spread, generator=generator)
    return made


def test_numbers_agree_with_the_arrays() -> None:
    arrays, content = task_lemma(toy_features(), surrogates(), "center", "sum", CONFIG)
    (pair,) = content["pairs"]
    assert (pair["tasks"], content["loss"], content["reduction"]) == (["track", "map"], "center", "sum")
    assert pair["factor"] == pytest.approx(2**0.5)
    left_N = arrays["track-map/left"]
    features = toy_features()
    np.testing.assert_allclose(
        left_N,
        np.linalg.norm(
            features.of("embedding", "track").astype(np.float64) - features.of("embedding", "map"), axis=1
        ),
    )
    for name, reading in pair["readings"].items():
        right_N = arrays[f"track-map/right_{name}"]
        assert reading["share"] == pytest.approx((right_N >= left_N * (1 - 1e-9)).mean())
        assert reading["median_slack"] == pytest.approx(np.median(right_N - left_N))
        assert right_N.min() >= pair["delta"] > 0 and not reading["vacuous"]
    assert pair["readings"]["analytic"]["share"] == 1


def test_every_pair_of_tasks_is_compared() -> None:
    tasks = ["track", "map", "depth"]
    features = toy_features(tasks=tasks)
    for by_task in features.features.values():
        by_task["depth"] = by_task["track"] + 1  # type: ignore[index]
    arrays, content = task_lemma(features, surrogates(tasks=tuple(tasks)), "pair", "mean", CONFIG)
    assert [pair["tasks"] for pair in content["pairs"]] == [
        ["track", "map"],
        ["track", "depth"],
        ["map", "depth"],
    ]
    assert len(arrays) == 3 * 4 and content["pairs"][0]["factor"] == pytest.approx(4**0.5)


def test_an_infinite_bound_is_null_and_vacuous() -> None:
    made = surrogates(spread=30.0, depth=8, clamp=3.0)
    content = task_lemma(toy_features(), made, "center", "sum", CONFIG)[1]
    analytic = content["pairs"][0]["readings"]["analytic"]
    assert analytic["lipschitz"] is None and analytic["vacuous"] and analytic["median_slack"] is None
    json.dumps(content, allow_nan=False)


def test_half_of_the_latent_is_refused() -> None:
    with pytest.raises(UserError, match="Run toy aligns half of z"):
        task_lemma(toy_features(), surrogates(output="second_half"), "center", "sum", CONFIG)


def test_features_of_other_surrogates_are_refused() -> None:
    with pytest.raises(UserError, match="A flow of 4 dimensions"):
        task_lemma(toy_features(width=6), surrogates(), "center", "sum", CONFIG)


def test_nan_is_one_sentence() -> None:
    features = toy_features()
    features.features["embedding"]["map"][0, 0] = np.nan
    with pytest.raises(UserError, match="hold NaN or infinity"):
        task_lemma(features, surrogates(), "center", "sum", CONFIG)
