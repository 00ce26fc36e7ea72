"""Deformable aggregators computed together do what each does by itself."""

import copy

import pytest
import torch
from torch import nn

from nexusflow.alignment import DeformableAggregator, MLPAggregator, NexusFlow
from nexusflow.alignment.batched_queries import aggregate_together, are_alike


def aggregators(**changed) -> list[nn.Module]:
    torch.manual_seed(0)
    options = {"in_dim": 6, "dim": 8, "heads": 2, "queries": 3, "hidden": 16, "cells": 5} | changed
    made = nn.ModuleList(DeformableAggregator(**options) for _ in range(2))
    for parameter in made.parameters():  # offsets and scores start at zero
        nn.init.normal_(parameter, std=0.3)
    return list(made)


def taps() -> list:
    tokens = {"features": torch.randn(4, 7, 6), "positions": torch.rand(4, 7, 2), "weights": torch.rand(4, 7)}
    tokens["features"].requires_grad_()
    return [tokens, torch.randn(4, 6, 9, 11, requires_grad=True)]


def gradients(modules: list[nn.Module], seen: list) -> list[torch.Tensor]:
    leaves = [p for g in modules for p in g.parameters()] + [seen[0]["features"], seen[1]]
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("changed", [{}, {"queries": 1}, {"final_norm": False}, {"layers": 1, "points": 1}])
def test_values_and_gradients_are_those_of_the_modules(changed):
    together, seen = aggregators(**changed), taps()
    apart, same = copy.deepcopy(together), copy.deepcopy(seen)
    weights_NBD = torch.randn(2, 4, 8)
    found_NBD = aggregate_together(together, seen)
    expected_NBD = torch.stack([g(tap) for g, tap in zip(apart, same, strict=True)])
    torch.testing.assert_close(found_NBD, expected_NBD)
    (found_NBD * weights_NBD).sum().backward()
    (expected_NBD * weights_NBD).sum().backward()
    for found, expected in zip(gradients(together, seen), gradients(apart, same), strict=True):
        torch.testing.assert_close(found, expected)


def test_only_unaltered_aggregators_of_one_architecture_are_alike():
    first, second = aggregators()
    assert are_alike([first, second])
    assert not are_alike([first, MLPAggregator(6, 8)])
    assert not are_alike([first, aggregators(heads=4)[0]])
    assert not are_alike([first, aggregators(in_dim=5)[0]])
    assert not are_alike([first, aggregators(cells=6)[0]])  # another unit of the offsets
    second.norm = nn.Softmax(-1)
    assert not are_alike([first, second])


def test_surrogates_use_it_and_agree_with_single_ones(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "nexusflow.alignment.module.aggregate_together",
        lambda *given: calls.append(1) or aggregate_together(*given),
    )
    surrogates = NexusFlow(
        {"a": 6, "b": 6}, dim=8, aggregator=lambda width, dim: DeformableAggregator(width, dim)
    )
    single = copy.deepcopy(surrogates)
    single.batched = False
    named = dict(zip("ab", taps(), strict=True))
    torch.testing.assert_close(surrogates(named).loss, single(named).loss)
    assert calls == [1]
    surrogates({"a": named["a"]}, missing="skip")
    assert calls == [1]
