"""Products of all tasks at once, and of the last one apart."""

from __future__ import annotations

import pytest
import torch

from nexusflow.alignment import products as module
from nexusflow.alignment.products import add_products, products


@pytest.mark.parametrize("large", [1, 10**9], ids=["apart", "together"])
@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("given", [False, True], ids=["fresh", "out"])
def test_products_are_those_of_the_matrices(
    tasks: int, large: int, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", large)
    torch.manual_seed(0)
    left, right = torch.randn(tasks, 5, 7).double(), torch.randn(tasks, 4, 7).double().mT
    bias, full = torch.randn(tasks, 1, 4).double(), torch.randn(tasks, 5, 4).double()
    out = torch.empty(tasks, 5, 4).double() if given else None
    found = products(left, right, out=out)
    assert torch.allclose(found, torch.stack([a @ b for a, b in zip(left, right, strict=True)]))
    assert out is None or found.data_ptr() == out.data_ptr()
    for added in (bias, full):
        assert torch.allclose(add_products(added, left, right), added + left @ right)
    expected = full + left @ right
    assert torch.allclose(add_products(full, left, right, out=full), expected)


def test_only_with_many_rows_the_last_of_an_odd_number_of_tasks_is_multiplied_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together: list[tuple[int, ...]] = []
    plain = torch.bmm
    monkeypatch.setattr(
        torch,
        "bmm",
        lambda left, right, out=None: (together.append(tuple(left.shape)), plain(left, right))[1],
    )
    for tasks, rows in ((1, 512), (2, 512), (3, 512), (3, 8)):
        products(torch.zeros(tasks, rows, 128), torch.zeros(tasks, 128, 128))
    assert together == [(1, 512, 128), (2, 512, 128), (2, 512, 128), (3, 8, 128)]
