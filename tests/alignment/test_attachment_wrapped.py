"""Attached surrogates in models that are compiled or trained by several processes."""

import tempfile
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nexusflow import attach

from .test_attachment import CHANNELS, SMALL, TAPS, make


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_are_heard(backend):
    model, handle, x_BC = make(register=True)
    model(x_BC)
    expected = handle.loss()
    compiled = torch.compile(model, backend=backend)
    for _ in range(2):
        compiled(x_BC)
        assert handle.fired == tuple(TAPS)
        torch.testing.assert_close(handle.loss(), expected)
    compiled(x_BC)
    handle.loss().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.filterwarnings("ignore")
def test_one_process_of_distributed_training():
    model, handle, x_BC = make(register=True)
    model(x_BC)
    handle.loss().backward()
    expected = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    with tempfile.TemporaryDirectory() as folder:
        distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        try:
            wrapped = DistributedDataParallel(model)
            for tasks in (tuple(TAPS), ("map", "depth"), tuple(TAPS)):  # no parameter may stay unused
                model.zero_grad()
                outputs = wrapped(x_BC, tasks)
                idle = sum(0 * weight.sum() for weight in model.heads.parameters())
                (handle.loss() + idle + 0 * outputs["map"].sum()).backward()
            for weight, gradient in zip(model.parameters(), expected, strict=True):
                torch.testing.assert_close(weight.grad, gradient)
        finally:
            distributed.destroy_process_group()


def _train(rank: int, store: str, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    model, handle, x_BC = make(register=True)
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.01)
    for step in range(3):
        optimizer.zero_grad()
        # The processes see other samples, and in the second step other tasks.
        outputs = wrapped(x_BC + rank)
        if rank == step == 1:
            handle._recorder.taps.pop("track")
        (handle.loss() + sum(0 * x.sum() for x in outputs.values())).backward()
        optimizer.step()
    torch.save(model.state_dict(), Path(folder, f"{rank}.pt"))
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_processes_stay_alike(tmp_path):
    torch.multiprocessing.spawn(_train, (str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_surrogates_can_be_wrapped_alone():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *arguments, **options):
            return self.module(*arguments, **options)

    model, handle, x_BC = make()
    model(x_BC)
    expected = handle.loss()
    handle.surrogates = Wrapper(handle.surrogates)
    model(x_BC)
    assert torch.equal(handle.loss(), expected)


@pytest.mark.slow
def test_attached_to_a_compiled_model():
    model, _, x_BC = make()
    compiled = torch.compile(model, backend="eager")
    handle = attach(compiled, TAPS, channels=CHANNELS, **SMALL)
    compiled(x_BC)
    assert handle.loss() > 0
