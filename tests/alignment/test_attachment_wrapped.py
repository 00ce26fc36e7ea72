"""Attached surrogates in models that are compiled or trained by several processes."""

import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nexusflow import NexusFlow, attach

from .test_attachment import CHANNELS, SMALL, TAPS, make

NEEDS_COMPILER = pytest.param(
    "inductor",
    marks=pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler"),
)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager", NEEDS_COMPILER])
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("backend", ["aot_eager", NEEDS_COMPILER])
def test_surrogates_compile_in_one_graph(backend, batched):
    torch.manual_seed(0)
    surrogates = NexusFlow({"a": 3, "b": 3}, batched=batched, **SMALL)
    taps = {task: torch.randn(4, 3, requires_grad=True) for task in ("a", "b")}
    inputs = [*taps.values(), *surrogates.parameters()]
    with torch.no_grad():
        for weight in surrogates.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    expected = surrogates(taps)
    torch._dynamo.reset()
    output = torch.compile(surrogates, backend=backend, fullgraph=True)(taps)
    torch.testing.assert_close(output.log_dets, expected.log_dets)
    gradients = torch.autograd.grad(output.loss, inputs)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected.loss, inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["eager", NEEDS_COMPILER])
def test_a_whole_step_compiles(backend):
    model, handle, x_BC = make()
    model(x_BC)
    expected = handle.loss()

    def step(x_BC):
        outputs = model(x_BC)
        return sum(x.square().mean() for x in outputs.values()), handle.loss()

    torch._dynamo.reset()
    compiled = torch.compile(step, backend=backend)
    for _ in range(2):
        task_loss, aligned = compiled(x_BC)
        torch.testing.assert_close(aligned, expected)
    (task_loss + aligned).backward()
    assert all(weight.grad is not None for weight in [*model.parameters(), *handle.parameters()])


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


def _train_apart(rank: int, store: str, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    model, handle, x_BC = make()
    names = list(handle.state_dict())
    wrapped = DistributedDataParallel(model)  # does not know the surrogates
    handle.distribute()
    assert list(handle.state_dict()) == names
    parameters = list(handle.parameters())
    gradients = []
    for inputs, tasks in ((x_BC + rank, ("map", "track")[: 2 - rank]), (x_BC + rank, tuple(TAPS))):
        handle.zero_grad()
        with wrapped.no_sync():
            wrapped(inputs, tasks)
        handle.loss().backward()
        gradients.append([weight.grad for weight in parameters])
    torch.save([[g.clone() for g in step] for step in gradients], Path(folder, f"{rank}.pt"))
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_surrogates_apart_from_the_wrapped_model_are_averaged(tmp_path):
    torch.multiprocessing.spawn(_train_apart, (str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    model, handle, x_BC = make()
    expected = []
    for inputs in (x_BC, x_BC + 1):
        handle.zero_grad()
        model(inputs)
        handle.loss().backward()
        expected.append([weight.grad.clone() for weight in handle.parameters()])
    for ours, theirs, one, other in zip(first[1], second[1], *expected, strict=True):
        assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours, (one + other) / 2)
    # In the first step one process had two tasks, the other too few.
    assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))
    assert any(gradient.abs().max() > 0 for gradient in first[0])


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
