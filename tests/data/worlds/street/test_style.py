from __future__ import annotations

import itertools

import numpy as np
import pytest

from nexusflow.data.worlds.street import style as module
from nexusflow.data.worlds.street.style import DIALS, PALETTES, WEATHER, Style

GAPS = np.linspace(0, 1, 41)


@pytest.mark.parametrize("key", list(DIALS))
def test_numbers_move_steadily_from_boston_to_singapore(key: str) -> None:
    values = np.array([Style(g)[key] for g in GAPS])
    boston, singapore = DIALS[key]
    assert values[0] == boston and values[-1] == pytest.approx(singapore)
    steps = np.diff(values)
    assert np.allclose(steps, (singapore - boston) / 40)


def test_colours_and_palettes_are_continuous() -> None:
    for key in PALETTES:
        for index in range(6):
            path = np.array([Style(g).palette(key, index) for g in GAPS])
            assert np.abs(np.diff(path, axis=0)).max() < 255 / 40 + 1e-9
            assert not np.allclose(path[0], path[-1])
    asphalt = np.array([Style(g).colour("rgb_asphalt") for g in GAPS])
    assert np.all(np.diff(asphalt, axis=0) > 0)


def test_discrete_choices_switch_at_most_once() -> None:
    rng = np.random.default_rng(0)
    for uniform, switch in rng.uniform(size=(200, 2)):
        sides = [Style(g).chance("keep_left", uniform) for g in GAPS]
        assert sides == sorted(sides)
        weather = [Style(g).weather(switch, uniform) for g in GAPS]
        assert sum(a != b for a, b in itertools.pairwise(weather)) <= 1
        assert set(weather) <= set(WEATHER)
    assert not Style(0.0).chance("keep_left", 0.0)
    assert Style(1.0).chance("keep_left", 0.999)


def test_weights_are_probabilities() -> None:
    for gap in (0.0, 0.4, 1.0):
        for prefix in ("mix_", "park_"):
            weights = Style(gap).weights(prefix)
            assert sum(weights.values()) == pytest.approx(1)
            assert min(weights.values()) > 0.05


def test_every_difference_is_documented() -> None:
    text = module.__doc__ or ""
    for key in (*DIALS, *(f"rgb_{k}" for k in ("asphalt",))):
        assert f"``{key}``" in text or f"``{key.split('_')[0]}_*``" in text, key
