"""Parts of a batch: rows of samples, also where a sample has several."""

import pytest
import torch

from nexusflow.core.parts import BatchPart


def test_parts_cut_the_rows_of_their_samples() -> None:
    whole = torch.arange(24).view(2, 12)
    parts = [BatchPart(0, 1, 3), BatchPart(1, 3, 3)]
    assert [len(part) for part in parts] == [1, 2]
    assert torch.equal(torch.cat([part.cut(whole, dim=1) for part in parts], 1), whole)
    assert parts[0].cut(whole, dim=1).shape == (2, 4) and parts[1].whole_size(8) == 12


def test_unequal_rows_are_our_mistake() -> None:
    with pytest.raises(AssertionError):
        BatchPart(0, 1, 3).cut(torch.zeros(4))
    with pytest.raises(AssertionError):
        BatchPart(1, 1, 3)
