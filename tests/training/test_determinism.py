"""Seeds, and the list of what no seed makes equal."""

import warnings
from collections.abc import Iterator

import pytest
import torch

from nexusflow.training.determinism import make_deterministic, nondeterministic_operations


@pytest.fixture
def warn_only() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def _put() -> None:
    torch.zeros(4).put_(torch.tensor([1, 1]), torch.tensor([1.0, 2.0]))


@pytest.mark.usefixtures("warn_only")
def test_operations_without_a_deterministic_algorithm_are_listed_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with nondeterministic_operations() as names:
        _put()
        _put()
        assert names == ["put_"]
    assert capsys.readouterr().out == "not deterministic on this device: put_\n"


@pytest.mark.usefixtures("warn_only")
def test_other_warnings_pass() -> None:
    with pytest.warns(UserWarning, match="something else"), nondeterministic_operations() as names:
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert names == []


def test_the_same_seed_draws_the_same_numbers() -> None:
    draws = []
    for seed in (3, 3, 4):
        make_deterministic(seed, torch.get_num_threads())
        draws.append(torch.rand(5))
    torch.use_deterministic_algorithms(False)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
