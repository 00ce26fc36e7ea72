"""Surrogates without gradient against the same with it."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import Tensor

from nexusflow.alignment import MLPAggregator, NexusFlow, batched_values

TASKS = {"segmentation": 6, "depth": 6, "normal": 6}


def surrogates(**options: object) -> NexusFlow:
    torch.manual_seed(0)
    settings: dict = {"dim": 8, "depth": 3, "hidden": 5, "aggregator": partial(MLPAggregator, layers=2)}
    model = NexusFlow(TASKS, **(settings | options))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def taps(batch: int = 4) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {task: torch.randn(batch, 6, 3, 2) for task in TASKS}


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("dim", [7, 8])
@pytest.mark.parametrize(("depth", "clamp"), [(0, 1.0), (1, 1.0), (2, 0.4), (3, 1.0)])
def test_values_without_gradient_are_the_same_numbers(depth: int, clamp: float, dim: int, pack: bool) -> None:
    model, entries = surrogates(depth=depth, clamp=clamp, dim=dim), taps()
    if pack:
        model.pack()
    with_gradient = model(entries)
    with torch.no_grad():
        without = model(entries)
    for task in TASKS:
        assert torch.equal(with_gradient.embeddings[task], without.embeddings[task])
        assert torch.equal(with_gradient.latents[task], without.latents[task])
        assert torch.equal(with_gradient.log_dets[task], without.log_dets[task])
        assert not without.latents[task].requires_grad


@pytest.mark.parametrize(
    "options", [{}, {"dim": 7, "clamp": 0.4, "depth": 2}, {"permutation_seed": 3}, {"depth": 0}]
)
def test_the_flows_are_inverted_together(options: dict) -> None:
    model, entries = surrogates(**options), taps()
    output = model(entries)
    latents = {task: z_BD.clone() for task, z_BD in output.latents.items()}
    inverted = model.invert(latents)
    for task in TASKS:
        assert torch.allclose(inverted[task], output.embeddings[task], atol=1e-5)
        assert torch.equal(latents[task], output.latents[task])


@pytest.mark.parametrize("rows", [3, 7])
def test_values_in_blocks_are_those_of_the_whole(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, entries = surrogates(), taps(batch=5)
    with torch.no_grad():
        whole = model(entries)
        monkeypatch.setattr(batched_values, "ROWS", rows)
        blocks = model(entries)
    inverted = model.invert(whole.latents)
    for task in TASKS:
        assert torch.allclose(blocks.latents[task], whole.latents[task], rtol=1e-5, atol=1e-6)
        assert torch.allclose(blocks.log_dets[task], whole.log_dets[task], rtol=1e-5, atol=1e-6)
        assert torch.allclose(inverted[task], whole.embeddings[task], atol=1e-5)


def test_the_inverse_is_that_of_the_single_flows() -> None:
    model = surrogates()
    torch.manual_seed(2)
    latents = {task: torch.randn(5, 8) for task in TASKS}
    for task, h_BD in model.invert(latents).items():
        assert torch.allclose(h_BD, model.flows[task].inverse(latents[task]), rtol=1e-5, atol=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_of_a_batch_of_any_size_are_those_of_the_single_modules(batch: int) -> None:
    together, entries = surrogates().double(), {task: tap.double() for task, tap in taps(batch).items()}
    single = copy.deepcopy(together)
    single.batched = False
    for model in (together, single):
        output = model(entries)
        (output.loss + sum(log_det_B.sum() for log_det_B in output.log_dets.values())).backward()
    for ours, theirs in zip(together.parameters(), single.parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)


def test_parameters_updated_in_place_before_the_backward_pass_are_noticed() -> None:
    model = surrogates()
    output = model(taps())
    with torch.no_grad():
        next(iter(model.flows.parameters())).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.loss.backward()
