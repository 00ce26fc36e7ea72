"""Memory of gradients that is used again."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from nexusflow.alignment import NexusFlow
from nexusflow.alignment.spare import SpareMemory

LIKE = torch.empty(1)


def test_memory_nobody_uses_is_given_again() -> None:
    spare = SpareMemory()
    first = spare.take(LIKE, 5)
    place = first.data_ptr()
    del first
    assert spare.take(LIKE, 5).data_ptr() == place


def test_memory_in_use_is_not_given_again() -> None:
    spare = SpareMemory()
    for keep in (lambda t: t, lambda t: t[2:], lambda t: t.numpy(), lambda t: t.detach().view(5, 1)):
        kept = keep(spare.take(LIKE, 5).fill_(7))
        spare.take(LIKE, 5).fill_(0)
        assert (kept == 7).all()


def test_another_size_or_type_gets_other_memory() -> None:
    spare = SpareMemory()
    spare.take(LIKE, 5)
    assert spare.take(LIKE, 6).shape == (6,)
    assert spare.take(LIKE.double(), 6).dtype == torch.float64


def model_and_taps() -> tuple[NexusFlow, dict[str, Tensor]]:
    torch.manual_seed(0)
    model = NexusFlow({"map": 6, "track": 6}, dim=8, depth=3, hidden=5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model, {task: torch.randn(4, 6, 2, 2) for task in ("map", "track")}


def test_gradients_that_are_kept_are_not_written_over() -> None:
    model, taps = model_and_taps()
    for pack in (False, True):
        trained = model.pack() if pack else list(model.parameters())
        kept = torch.autograd.grad(model(taps).loss, trained)
        values = [gradient.clone() for gradient in kept]
        torch.autograd.grad(5 * model(taps).loss, trained)
        assert all(torch.equal(a, b) for a, b in zip(kept, values, strict=True))


def test_gradients_accumulate() -> None:
    model, taps = model_and_taps()
    (packed,) = model.pack()
    model(taps).loss.backward()
    once = packed.grad.clone()  # type: ignore[union-attr]
    model(taps).loss.backward()
    assert torch.allclose(packed.grad, 2 * once)  # type: ignore[arg-type]


def test_a_training_step_takes_the_memory_of_the_last_one() -> None:
    model, taps = model_and_taps()
    (packed,) = model.pack()
    places = []
    for _ in range(3):
        packed.grad = None
        model(taps).loss.backward()
        places.append(packed.grad.data_ptr())  # type: ignore[attr-defined]
    assert len(set(places)) == 1


def test_a_copy_has_memory_of_its_own() -> None:
    model, taps = model_and_taps()
    model.pack()
    model(taps).loss.backward()
    twin = copy.deepcopy(model)
    gradients = torch.autograd.grad(twin(taps).loss, list(twin.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
