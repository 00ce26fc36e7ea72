"""The alignment as a training method: weights, labels, logs."""

import pytest
import torch

from nexusflow.alignment import NexusFlow
from nexusflow.methods.base import Method
from nexusflow.methods.nexusflow import NexusFlowMethod
from nexusflow.methods.supervised import Supervised


def make(lambda_align: float = 1.0, **options) -> NexusFlowMethod:
    torch.manual_seed(0)
    surrogates = NexusFlow({"track": 6, "map": 4}, dim=8, depth=2, hidden=8, **options)
    return NexusFlowMethod(surrogates, lambda_align, monitor_window=16)


def make_taps(batch: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "track": torch.randn(batch, 5, 6, generator=generator).requires_grad_(),
        "map": torch.randn(batch, 5, 4, generator=generator).requires_grad_(),
    }


VISIBLE = {"track": torch.tensor([True, True, False, False]), "map": torch.tensor([False, False, True, True])}


def test_losses_are_weighted_and_logged_unweighted():
    method = make(lambda_align=10.0, variance_floor=1.0, variance_weight=0.5)
    taps = make_taps()
    losses = method.extra_losses(taps, {}, VISIBLE, step=0)
    expected = method.surrogates(taps).terms
    torch.testing.assert_close(losses["nexusflow/align"], 10 * expected["align"])
    torch.testing.assert_close(losses["nexusflow/variance"], 0.5 * expected["variance"])
    assert set(method.unweighted) == set(losses)
    torch.testing.assert_close(method.unweighted["nexusflow/align"], expected["align"].detach())
    assert not method.unweighted["nexusflow/align"].requires_grad


def test_samples_without_labels_are_aligned_too():
    taps = make_taps()
    sum(make().extra_losses(taps, {}, VISIBLE, step=0).values()).backward()
    for tap in taps.values():
        assert (tap.grad.abs().amax(dim=(1, 2)) > 0).all()


def test_lambda_zero_leaves_the_branches_alone():
    taps = make_taps()
    sum(make(lambda_align=0.0).extra_losses(taps, {}, VISIBLE, step=0).values()).backward()
    assert all(tap.grad.abs().max() == 0 for tap in taps.values())


def test_detached_surrogates_train_and_the_branches_do_not():
    method, taps = make(detach=True), make_taps()
    sum(method.extra_losses(taps, {}, VISIBLE, step=0).values()).backward()
    assert all(tap.grad is None for tap in taps.values())
    assert any(
        weight.grad is not None and weight.grad.abs().max() > 0 for weight in method.extra_parameters()
    )


def test_monitors_report_the_last_samples():
    method = make()
    assert method.monitors() == {}
    for step in range(6):
        method.extra_losses(make_taps(), {}, VISIBLE, step)
    report = method.monitors()
    assert int(method.monitor.seen) == 24
    assert {"nexusflow/cosine_same", "nexusflow/track/latent_rank"} < set(report)
    assert all(isinstance(value, float) for value in report.values())


@pytest.mark.parametrize("method", [Method(), Supervised()])
def test_supervision_adds_nothing(method):
    assert method.extra_losses(make_taps(), {}, VISIBLE, step=0) == {}
    assert method.monitors() == {} and method.unweighted == {} and method.extra_parameters() == []


def test_extra_parameters_are_all_of_the_surrogates():
    method = make()
    assert {id(weight) for weight in method.extra_parameters()} == {
        id(weight) for weight in method.surrogates.parameters()
    }
