"""What an attachment tells about the last samples, and when it warns."""

import copy

import pytest
import torch
from torch import nn

from nexusflow import attach
from nexusflow.alignment import CollapseWarning, collapse_report

from .test_attachment import SMALL, make


def test_the_report_is_of_the_last_samples():
    _, handle, x_BC = make(monitor=4)
    model = handle.model
    assert handle.report() == {}
    model(x_BC + 1)
    handle()
    model(x_BC)
    expected = collapse_report(handle())
    assert handle.report() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    model(x_BC, ("map", "depth"))
    handle()  # a batch without all tasks is not remembered
    assert handle.report() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_report_can_be_switched_off():
    model, handle, x_BC = make(monitor=0)
    model(x_BC)
    handle()
    assert handle.report() == {}


def test_the_memory_is_not_part_of_the_state():
    model, handle, x_BC = make(register=True)
    names = set(model.state_dict())
    model(x_BC)
    handle()
    assert set(model.state_dict()) == names
    twin = copy.deepcopy(model)
    assert twin.nexusflow.report() == handle.report()
    twin(x_BC + 1)
    twin.nexusflow()
    assert twin.nexusflow.report() != handle.report()


@pytest.mark.parametrize(("samples", "warned"), [(16, True), (15, False)])
def test_branches_that_hold_a_constant_are_reported(samples, warned, recwarn):
    torch.manual_seed(0)
    model = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(3, 4)})
    handle = attach(model, {"a": "a", "b": "b"}, channels={"a": 4, "b": 4}, **SMALL)
    with torch.no_grad():  # equal surrogates, and branches that ignore their input
        for part in (handle.surrogates.aggregators, handle.surrogates.flows):
            part["b"].load_state_dict(part["a"].state_dict())
        for branch in model.values():
            branch.weight.zero_()
            branch.bias.fill_(1.0)
    for branch in model.values():
        branch(torch.randn(samples, 3))
    assert handle.loss() < 1e-6
    handle.report()
    assert [warning.category for warning in recwarn.list] == ([CollapseWarning] if warned else [])
    assert not warned or "lie on a line or at a point" in str(recwarn.list[0].message)
