"""Frames of the analyses: as many of every domain, whichever run looks at them."""

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.suites.taps import FrameTable, TapReader, balanced_frames


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


def test_chosen_frames_are_different_ones() -> None:
    chosen = balanced_frames(table(["a", "b"] * 9), per_domain=7)
    assert len(set(chosen.rows_N.tolist())) == 14


def test_taking_frames_keeps_their_columns_together() -> None:
    frames = FrameTable(
        np.array([4, 5, 6]), np.array(["x", "y", "z"]), np.array(["a", "b", "a"]), np.array(["s", "s", "t"])
    )
    taken = frames.take(np.array([2, 0]))
    assert taken.rows_N.tolist() == [6, 4] and taken.names_N.tolist() == ["z", "x"]
    assert taken.domains_N.tolist() == ["a", "a"] and taken.groups_N.tolist() == ["t", "s"]


def test_a_reader_must_say_frames_and_taps() -> None:
    with pytest.raises(TypeError, match="abstract"):
        TapReader()  # type: ignore[abstract]
