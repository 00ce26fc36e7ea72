"""Frames of the analyses: as many of every domain, whichever run looks at them."""

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.suites.taps import FrameTable, balanced_frames


def table(domains: list[str]) -> FrameTable:
    names = np.array([f"frame{number}" for number in range(len(domains))])
    return FrameTable(np.arange(len(domains)), names, np.array(domains), names)


def test_domains_are_balanced_and_spread_from_end_to_end() -> None:
    chosen = balanced_frames(table(["b"] * 3 + ["a"] * 7), per_domain=100)
    assert chosen.domains_N.tolist() == ["a"] * 3 + ["b"] * 3
    assert chosen.rows_N.tolist() == [3, 6, 9, 0, 1, 2]
    assert balanced_frames(table(["b"] * 3 + ["a"] * 7), per_domain=2).rows_N.tolist() == [3, 9, 0, 2]


def test_one_domain_is_refused() -> None:
    with pytest.raises(UserError, match="between domains"):
        balanced_frames(table(["a"] * 4), per_domain=2)
