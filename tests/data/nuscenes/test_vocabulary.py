"""Names agree with the official devkit."""

from __future__ import annotations

import pytest
from nuscenes.eval.common.config import config_factory
from nuscenes.map_expansion.map_api import locations

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.vocabulary import CITIES, LOCATIONS, TRACKING_CLASSES, city_of_location


def test_names_are_the_devkits() -> None:
    assert tuple(config_factory("tracking_nips_2019").class_names) == TRACKING_CLASSES
    assert set(LOCATIONS) == set(locations)
    assert set(LOCATIONS.values()) == set(CITIES)


def test_cities() -> None:
    assert city_of_location("singapore-queenstown", "l", "t") == "singapore"
    with pytest.raises(UserError, match="t: log l has location None"):
        city_of_location(None, "l", "t")  # type: ignore[arg-type]
