"""Losses against slow, obvious loops; hidden labels give no gradient; no valid pixel gives zero."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.dense.losses import dense_losses

SIZE = (3, 4, 5)  # images, rows, columns


def example(seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    b, h, w = SIZE
    outputs = {
        "segmentation": torch.randn(b, 13, h, w, generator=g).log_softmax(1),
        "depth": torch.rand(b, 1, h, w, generator=g) * 5,
        "normal": torch.nn.functional.normalize(torch.randn(b, 3, h, w, generator=g), dim=1),
    }
    labels = torch.randint(-1, 13, SIZE, generator=g)
    depth = torch.rand(b, 1, h, w, generator=g) * 5 * (torch.rand(b, 1, h, w, generator=g) > 0.3)
    normals = torch.nn.functional.normalize(torch.randn(b, 3, h, w, generator=g), dim=1)
    return outputs, labels, depth, normals * (torch.rand(b, 1, h, w, generator=g) > 0.3)


def slow(outputs, labels, depth, normals, visible) -> dict[str, float]:  # type: ignore[no-untyped-def]
    total = dict.fromkeys(("segmentation/nll", "depth/l1", "normal/cosine"), 0.0)
    b, h, w = SIZE
    for i in range(b):
        errors: dict[str, list[float]] = {name: [] for name in total}
        for y in range(h):
            for x in range(w):
                if labels[i, y, x] >= 0:
                    errors["segmentation/nll"].append(
                        -float(outputs["segmentation"][i, labels[i, y, x], y, x])
                    )
                if depth[i, 0, y, x] != 0:
                    errors["depth/l1"].append(abs(float(outputs["depth"][i, 0, y, x] - depth[i, 0, y, x])))
                if float(normals[i, :, y, x].abs().sum()) != 0:
                    product = sum(
                        float(outputs["normal"][i, c, y, x] * normals[i, c, y, x]) for c in range(3)
                    )
                    errors["normal/cosine"].append(1 - product)
        for name, values in errors.items():
            if visible[name.split("/")[0]][i] and values:
                total[name] += sum(values) / len(values) / b
    return total


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), shown=st.lists(st.booleans(), min_size=9, max_size=9))
def test_losses_equal_the_obvious_loop(seed: int, shown: list[bool]) -> None:
    data = example(seed)
    tasks = ("segmentation", "depth", "normal")
    visible = {task: torch.tensor(shown[3 * i : 3 * i + 3]) for i, task in enumerate(tasks)}
    losses, expected = dense_losses(*data, visible), slow(*data, visible)
    assert all(math.isclose(float(losses[name]), expected[name], abs_tol=1e-5) for name in expected)


def test_hidden_labels_give_no_gradient() -> None:
    outputs, labels, depth, normals = example(0)
    leaves = {task: value.clone().requires_grad_() for task, value in outputs.items()}
    visible = {task: torch.tensor([True, False, True]) for task in outputs}
    sum(dense_losses(leaves, labels, depth, normals, visible).values()).backward()
    for value in leaves.values():
        assert value.grad is not None
        assert not value.grad[1].any() and value.grad[0].any() and value.grad[2].any()


@pytest.mark.parametrize("bad", [0.0, float("nan")])
def test_an_image_without_a_valid_pixel_adds_nothing(bad: float) -> None:
    outputs, labels, depth, normals = example(1)
    labels[1], depth[1], normals[1] = -1, 0, 0
    outputs["depth"][1] = bad
    visible = {task: torch.ones(3, dtype=torch.bool) for task in outputs}
    losses = dense_losses(outputs, labels, depth, normals, visible)
    assert all(math.isfinite(float(value)) for value in losses.values())
