"""Patterns stay between their two colours, and are where the surface is."""

import numpy as np
import pytest

from nexusflow.data.worlds.rooms.primitives import Material
from nexusflow.data.worlds.rooms.textures import PATTERNS, paint


@pytest.mark.parametrize("pattern", PATTERNS)
def test_colours_lie_between_the_two(pattern: str) -> None:
    rng = np.random.default_rng(0)
    points, faces = rng.uniform(-3, 3, (500, 3)), rng.integers(0, 3, 500)
    colours = paint(Material((0.2, 0.4, 0.8), (0.6, 0.3, 0.1), pattern, 0.2), points, faces)
    assert (colours >= [0.2, 0.3, 0.1]).all() and (colours <= [0.6, 0.4, 0.8]).all()
    if pattern != "plain":
        assert len(np.unique(colours[:, 0])) > 1


def test_a_checker_changes_from_square_to_square() -> None:
    points = np.array([[0.05, 0, 0.05], [0.15, 0, 0.05], [0.15, 0, 0.15]])
    colours = paint(Material((0, 0, 0), (1, 1, 1), "checker", 0.1), points, np.full(3, 1))
    assert colours[:, 0].tolist() == [0, 1, 0]
