"""Losses of instances: values against a plain reference, hidden frames, parts of a batch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.bev.mapping.instance_former import InstanceMapFormer
from nexusflow.bev.mapping.instance_losses import instance_map_losses
from nexusflow.bev.types import InstanceMapOutput
from tests.bev.mapping.instances import make_former, numbered_canvas

SHOWN = torch.tensor([True])


def some_bev(frames: int = 1, cells: int = 12) -> Tensor:
    return torch.randn(frames, 16, cells, cells, generator=torch.Generator().manual_seed(1))


def varied_former() -> InstanceMapFormer:
    """A former whose boxes and classes differ from query to query."""
    former = make_former(encoder_layers=1, queries=8)
    rng = torch.Generator().manual_seed(2)
    for branch in [*former.locations.to_class, *(box[-1] for box in former.locations.to_box)]:
        branch.weight.data = torch.randn(branch.weight.shape, generator=rng) * 0.3
    return former


def focal(logit: Tensor, positive: bool) -> Tensor:
    p = logit.sigmoid()
    return -0.25 * (1 - p) ** 2 * p.log() if positive else -0.75 * p**2 * (1 - p).log()


def giou(a: Tensor, b: Tensor) -> Tensor:
    low = [max(x[k] - x[k + 2] / 2 for x in (a, b)) for k in (0, 1)]
    high = [min(x[k] + x[k + 2] / 2 for x in (a, b)) for k in (0, 1)]
    inner = max(high[0] - low[0], torch.tensor(0.0)) * max(high[1] - low[1], torch.tensor(0.0))
    union = a[2] * a[3] + b[2] * b[3] - inner
    low = [min(x[k] - x[k + 2] / 2 for x in (a, b)) for k in (0, 1)]
    high = [max(x[k] + x[k + 2] / 2 for x in (a, b)) for k in (0, 1)]
    hull = (high[0] - low[0]) * (high[1] - low[1])
    return inner / union - (hull - union) / hull


def dice(p: Tensor, g: Tensor) -> Tensor:
    return 1 - 2 * (p * g).sum() / (p.square().sum() + g.square().sum() + 2e-6)


def cheapest(cost: Mapping[tuple[int, int], Tensor], queries: list[int], things: int) -> tuple[int, ...]:
    """Query of every thing, by trying all."""
    table = {key: float(value.detach()) for key, value in cost.items()}
    return min(
        itertools.permutations(queries, things), key=lambda p: sum(table[q, m] for m, q in enumerate(p))
    )


def reference_losses(former: InstanceMapFormer, output: InstanceMapOutput) -> dict[str, Tensor]:
    """The losses of one frame of `numbered_canvas`, pair by pair."""
    side = 24
    labels = [0, 0, 2]
    truth = [numbered_canvas()[k] == n for k, n in ((0, 1), (0, 2), (2, 1))]
    boxes = []
    for mask in truth:
        y, x = (mask.any(1 - axis).nonzero()[:, 0] for axis in (0, 1))
        low, high = torch.stack([x[0], y[0]]).float(), torch.stack([x[-1], y[-1]]).float() + 1
        boxes.append(torch.cat([(low + high) / 2, high - low]) / side)
    names = ("thing_cls", "thing_box", "thing_giou", "thing_dice", "stuff_dice", "stuff_cls")
    total = dict.fromkeys(names, torch.tensor(0.0))

    def cost(layer: int, factor: float) -> dict[tuple[int, int], Tensor]:
        found = {}
        for q, m in itertools.product(range(8), range(3)):
            logit, box = output.classes_LFQK[layer, 0, q, labels[m]], output.boxes_LFQ4[layer, 0, q]
            value = factor * (focal(logit, True) - focal(logit, False))
            found[q, m] = value + 5 * (box - boxes[m]).abs().sum() - 2 * giou(box, boxes[m])
        return found

    for layer in range(2):
        chosen = cheapest(cost(layer, 2.0), list(range(8)), 3)
        for q, label in itertools.product(range(8), range(3)):
            positive = q in chosen and labels[chosen.index(q)] == label
            total["thing_cls"] = total["thing_cls"] + focal(output.classes_LFQK[layer, 0, q, label], positive)
        for m, q in enumerate(chosen):
            box = output.boxes_LFQ4[layer, 0, q]
            total["thing_box"] = total["thing_box"] + (box - boxes[m]).abs().sum()
            total["thing_giou"] = total["thing_giou"] + 1 - giou(box, boxes[m])
    plain = cost(1, 2.0)  # eight queries, three things: two rounds
    first = cheapest(plain, list(range(8)), 3)
    second = cheapest(plain, [q for q in range(8) if q not in first], 3)
    memory = output.memory_FCHW.flatten(2).transpose(1, 2)
    masks = former.thing_masks(output.queries_FQD, memory)[0].reshape(3, 8, 1, 12, 12)
    fine = torch.stack([F.interpolate(x, size=(24, 24), mode="bilinear")[:, 0] for x in masks])
    doubled = cost(1, 4.0)
    for key in doubled:
        doubled[key] = doubled[key] + 2 * dice(fine[-1, key[0]], truth[key[1]].float())
    for m, q in enumerate(cheapest(doubled, [*first, *second], 3)):
        for level in range(3):
            total["thing_dice"] = total["thing_dice"] + dice(fine[level, q], truth[m].float())
    stuff, presence = former.stuff(memory)
    drivable = (numbered_canvas()[3] > 0).float()
    for mask in stuff.reshape(3, 1, 12, 12):
        upsampled = F.interpolate(mask[None], size=(24, 24), mode="bilinear")[0, 0]
        total["stuff_dice"] = total["stuff_dice"] + dice(upsampled, drivable)
    total["stuff_cls"] = sum(focal(logit, True) for logit in presence.flatten())
    weights = dict(zip(names, (2.0, 5.0, 2.0, 2.0, 2.0, 4.0), strict=True))
    # Three things and one stuff: shares of 3/4 and 1/4, divided by their counts.
    share = {"thing": 3 / 4 / 3, "stuff": 1 / 4 / 1}
    return {f"map/{name}": weights[name] * share[name[:5]] * total[name] for name in names}


def test_values_are_those_of_a_plain_reference() -> None:
    former = varied_former()
    output = former(some_bev(), 1)
    losses = instance_map_losses(former, output, numbered_canvas()[None], SHOWN)
    expected = reference_losses(former, output)
    assert list(losses) == list(expected)
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)


def gradients(former: InstanceMapFormer, losses: dict[str, Tensor]) -> list[Tensor]:
    former.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    return [p.grad.clone() for p in former.parameters()]


def test_every_parameter_gets_a_finite_gradient() -> None:
    former = varied_former()
    for parameter in former.parameters():  # what starts at zero would block what lies before it
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(3))
    found = gradients(
        former, instance_map_losses(former, former(some_bev(), 1), numbered_canvas()[None], SHOWN)
    )
    still = set()
    for (name, _), gradient in zip(former.named_parameters(), found, strict=True):
        assert gradient.isfinite().all(), name
        if not gradient.any():
            still.add(name.split(".", 3)[3])
    # The only stuff query attends to itself alone, whatever its query and key say.
    assert still == {
        f"self_attention.{part}.{kind}" for part in ("query", "key") for kind in ("weight", "bias")
    }


def test_nothing_visible_is_zero_with_zero_gradient() -> None:
    former, bev = make_former(), some_bev(2).requires_grad_()
    losses = instance_map_losses(
        former, former(bev, 1), numbered_canvas().expand(2, -1, -1, -1), torch.tensor([False, False])
    )
    assert all(float(value.detach()) == 0.0 for value in losses.values())
    assert not any(gradient.any() for gradient in gradients(former, losses))
    assert bev.grad is None or not bev.grad.any()


def test_hidden_numbers_and_frames_change_nothing() -> None:
    former, bev = varied_former(), some_bev(2).requires_grad_()
    numbers, visible = torch.stack([numbered_canvas()] * 2), torch.tensor([False, True])
    first = instance_map_losses(former, former(bev, 1), numbers, visible)
    of_first = gradients(former, first)
    assert not bev.grad[0].any() and bev.grad[1].any()
    other = numbers.clone()
    other[0] = other[0].flip(1)
    second = instance_map_losses(former, former(bev, 1), other, visible)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(map(torch.equal, of_first, gradients(former, second)))
    alone = instance_map_losses(former, former(bev[1:], 1), numbers[1:], SHOWN)
    for name in first:
        torch.testing.assert_close(first[name], alone[name])


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    former, bev = varied_former(), some_bev(3)
    numbers = torch.stack([numbered_canvas(), numbered_canvas(), numbered_canvas()])
    numbers[1, 0] = 0
    visible = torch.tensor([True, True, False])
    whole = instance_map_losses(former, former(bev, 1), numbers, visible)
    counts: dict[str, Tensor] = {}

    def note(of_part: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        for name, count in of_part.items():
            counts[name] = counts.get(name, torch.tensor(0.0)) + count
        return of_part

    def part(clip: int, pool: object) -> dict[str, Tensor]:
        rows = slice(clip, clip + 1)
        return instance_map_losses(former, former(bev[rows], 1), numbers[rows], visible[rows], pool)  # type: ignore[arg-type]

    for clip in range(3):
        part(clip, note)
    assert {name: float(count) for name, count in counts.items()} == {"map/things": 4.0, "map/frames": 2.0}
    parts = [part(clip, lambda names: {name: counts[name] for name in names}) for clip in range(3)]
    for name, value in whole.items():
        torch.testing.assert_close(sum(one[name] for one in parts), value, rtol=1e-5, atol=1e-6)


def test_a_frame_without_things_teaches_the_stuff() -> None:
    former, numbers = make_former(), numbered_canvas()[None]
    numbers[:, :3] = 0
    losses = instance_map_losses(former, former(some_bev(), 1), numbers, SHOWN)
    assert {name for name, value in losses.items() if value.detach() > 0} == {
        "map/stuff_dice",
        "map/stuff_cls",
    }


def test_last_frame_or_all_frames_of_clips() -> None:
    former, bev = varied_former(), some_bev(4)
    numbers = torch.stack([numbered_canvas().roll(k, 1) for k in range(4)]).unflatten(0, (2, 2))
    visible = torch.tensor([True, True])
    last = instance_map_losses(former, former(bev, 2), numbers[:, -1], visible)
    direct = instance_map_losses(former, former(bev[1::2], 1), numbers, visible)
    both = instance_map_losses(former, former(bev, 2), numbers, visible)
    for name in last:
        torch.testing.assert_close(last[name], direct[name])
    assert not torch.equal(both["map/thing_dice"], last["map/thing_dice"])
