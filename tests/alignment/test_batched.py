"""Surrogates of all tasks at once against the tasks' own modules."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from nexusflow.alignment import MLPAggregator, NexusFlow, batched_function
from nexusflow.alignment.batched import BatchPlan

TASKS = {"segmentation": 6, "depth": 6, "normal": 6}


def surrogates(**options: object) -> NexusFlow:
    """Float64 surrogates whose last layers are not zero, as a new flow's would be."""
    torch.manual_seed(0)
    settings: dict = {"dim": 7, "depth": 3, "hidden": 5, "aggregator": partial(MLPAggregator, layers=2)}
    model = NexusFlow(TASKS, **(settings | options)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def taps() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {task: torch.randn(4, 6, 3, 2, dtype=torch.float64, requires_grad=True) for task in TASKS}


def gradients(model: NexusFlow, entries: dict[str, Tensor]) -> list[Tensor]:
    output = model(entries)
    log_dets = torch.stack([*output.log_dets.values()])
    total = output.loss + (log_dets * torch.linspace(-1, 1, log_dets.numel()).view_as(log_dets)).sum()
    return list(torch.autograd.grad(total, [*entries.values(), *model.parameters()]))


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("clamp", [1.0, 0.4])
def test_values_and_gradients_are_those_of_the_single_modules(depth: int, clamp: float) -> None:
    batched, entries = surrogates(depth=depth, clamp=clamp), taps()
    single = copy.deepcopy(batched)
    single.batched = False
    assert batched._plan().couplings and batched._plan().mlps
    ours, theirs = batched(entries), single(entries)
    for task in TASKS:
        assert torch.allclose(ours.embeddings[task], theirs.embeddings[task], rtol=1e-12, atol=1e-12)
        assert torch.allclose(ours.latents[task], theirs.latents[task], rtol=1e-12, atol=1e-12)
        assert torch.allclose(ours.log_dets[task], theirs.log_dets[task], rtol=1e-12, atol=1e-12)
    for mine, other in zip(gradients(batched, entries), gradients(single, entries), strict=True):
        assert torch.allclose(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_gradient_is_that_of_finite_differences(layers: int, depth: int) -> None:
    model = surrogates(depth=depth, aggregator=partial(MLPAggregator, layers=layers))
    x_NBF = torch.randn(3, 2, 6, dtype=torch.float64, requires_grad=True)
    plan = model._plan()
    assert plan.mlps
    flat = plan.pack()

    def with_parameters(x_NBF: Tensor, flat_P: Tensor) -> tuple[Tensor, ...]:
        plan.packed = flat_P  # type: ignore[assignment]
        plan._parts = plan.layout.split(flat_P.detach())
        return plan.apply(x_NBF)

    assert torch.autograd.gradcheck(with_parameters, (x_NBF, flat))


@pytest.mark.parametrize("output", [0, 1, 2], ids=["embeddings", "latents", "log-determinants"])
def test_a_loss_of_one_output_alone_has_a_gradient(output: int) -> None:
    flows = list(surrogates().flows.values())
    plan = BatchPlan([nn.Identity()] * 3, flows)
    x_NBD = torch.randn(3, 2, 7, dtype=torch.float64, requires_grad=True)
    (ours,) = torch.autograd.grad(plan.apply(x_NBD)[output].square().sum(), x_NBD)
    parts = [(x, *flow(x)) for flow, x in zip(flows, x_NBD, strict=True)]
    theirs_loss = torch.stack([part[output] for part in parts]).square().sum()
    (theirs,) = torch.autograd.grad(theirs_loss, x_NBD)
    assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_packed_surrogates_learn_what_separate_parameters_learn() -> None:
    packed, entries = surrogates(), taps()
    separate = copy.deepcopy(packed)
    trained = packed.pack()
    assert len(trained) == 1 and trained[0].numel() == sum(p.numel() for p in packed.parameters())
    optimizers = torch.optim.AdamW(trained, lr=0.05), torch.optim.AdamW(separate.parameters(), lr=0.05)
    for _ in range(3):
        for model, optimizer in zip((packed, separate), optimizers, strict=True):
            optimizer.zero_grad()
            model(entries).loss.backward()
            optimizer.step()
    for mine, other in zip(packed.parameters(), separate.parameters(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-12)


def test_a_packed_model_is_saved_loaded_and_copied_like_any_other() -> None:
    packed, entries = surrogates(), taps()
    packed.pack()
    other = surrogates(depth=3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    packed.load_state_dict(other.state_dict())
    assert torch.allclose(packed(entries).loss, other(entries).loss)
    twin = copy.deepcopy(packed)
    assert torch.allclose(twin(entries).loss, packed(entries).loss)
    with torch.no_grad():
        next(iter(twin.parameters())).mul_(2)
    assert not torch.allclose(twin(entries).loss, packed(entries).loss)


def test_aggregators_that_are_not_alike_stay_outside_the_pack() -> None:
    model = NexusFlow({"map": 4, "track": 6}, dim=8, depth=2)
    flows = sum(p.numel() for p in model.flows.parameters())
    packed, *others = model.pack()
    assert packed.numel() == flows
    assert {id(p) for p in others} == {id(p) for p in model.aggregators.parameters()}


def test_surrogates_moved_after_packing_say_so() -> None:
    model, entries = surrogates(), taps()
    model.pack()
    with pytest.raises(RuntimeError, match="after they were packed"):
        model.float()
    assert model(entries).loss.isfinite()


@pytest.mark.parametrize(
    "options",
    [{"depth": 0}, {"additive": True}, {"fused": False}, {"permutation_seed": 3}],
    ids=["no layer", "additive", "two networks", "permutations"],
)
def test_other_flows_are_left_to_their_modules(options: dict) -> None:
    model = surrogates(**options)
    assert not model._plan().couplings
    single = copy.deepcopy(model)
    single.batched = False
    entries = taps()
    for task in TASKS:
        assert torch.allclose(model(entries).latents[task], single(entries).latents[task])


def test_aggregators_of_unequal_width_are_left_to_their_modules() -> None:
    model = NexusFlow({"map": 4, "track": 6}, dim=8, depth=2)
    assert not model._plan().mlps and model._plan().couplings


def test_a_layer_altered_after_the_first_batch_is_noticed() -> None:
    model, entries = surrogates(), taps()
    before = model(entries).loss
    layer = model.flows["depth"].layers[1].networks[0]  # type: ignore[union-attr,index]
    nn.utils.parametrizations.weight_norm(layer[2])
    layer[2].parametrizations.weight.original0.data.mul_(2)  # type: ignore[union-attr]
    after = model(entries).loss
    assert not model._plan().couplings
    assert not torch.allclose(before, after)


def test_a_copy_computes_with_its_own_weights() -> None:
    model, entries = surrogates(), taps()
    model(entries)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    single = copy.deepcopy(other)
    single.batched = False
    assert torch.allclose(other(entries).loss, single(entries).loss)
    assert not torch.allclose(other(entries).loss, model(entries).loss)


def test_a_second_derivative_is_refused_instead_of_wrong() -> None:
    model, entries = surrogates(), taps()
    (gradient,) = torch.autograd.grad(model(entries).loss, [entries["depth"]], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()
    model.batched = False
    (gradient,) = torch.autograd.grad(model(entries).loss, [entries["depth"]], create_graph=True)
    gradient.square().sum().backward()


def test_memory_taken_again_is_never_that_of_a_graph_that_is_still_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batched_function, "_LARGE", 1)
    batched = surrogates(depth=3)
    single = copy.deepcopy(batched)
    single.batched = False
    first = {task: tap.detach().requires_grad_(True) for task, tap in taps().items()}
    second = {task: (2 * tap).detach().requires_grad_(True) for task, tap in taps().items()}
    # Both graphs live at once; the third takes the memory of the first, which is gone by then.
    outputs = [batched(first), batched(second)]
    found = [
        torch.autograd.grad(output.loss, [*entries.values(), *batched.parameters()])
        for output, entries in zip(outputs, (first, second), strict=True)
    ]
    del outputs
    found.append(torch.autograd.grad(batched(first).loss, [*first.values(), *batched.parameters()]))
    for entries, mine in zip((first, second, first), found, strict=True):
        theirs = torch.autograd.grad(single(entries).loss, [*entries.values(), *single.parameters()])
        for ours, other in zip(mine, theirs, strict=True):
            assert torch.allclose(ours, other, rtol=1e-9, atol=1e-12)


def test_large_batches_take_memory_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_function, "_LARGE", 1)
    model, entries, taken = surrogates(depth=3), taps(), []
    spare = model._plan()._spare[0]
    plain = spare.take
    monkeypatch.setattr(spare, "take", lambda *given: (taken.append(plain(*given)), taken[-1])[1])
    places = []
    for _ in range(3):
        model(entries).loss.backward()
        places.append(taken.pop().data_ptr())
    assert len(set(places)) == 1
