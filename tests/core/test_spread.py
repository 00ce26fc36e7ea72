"""Even choices keep both ends and never choose twice."""

import pytest

from nexusflow.core.spread import evenly_spread


@pytest.mark.parametrize(
    ("count", "wanted", "places"),
    [(5, 3, [0, 2, 4]), (5, 9, [0, 1, 2, 3, 4]), (5, 1, [0]), (4, 2, [0, 3]), (0, 3, [])],
)
def test_places_are_even_and_end_with_the_last(count: int, wanted: int, places: list[int]) -> None:
    assert evenly_spread(count, wanted).tolist() == places
