"""Names and orders that predictions, metrics and tables share."""

from __future__ import annotations

from nexusflow.data.nuscenes.vocabulary import CITIES, MAP_CLASSES, TRACKING_CLASSES

__all__ = ["CITIES", "MAP_CLASSES", "MAX_BOXES_PER_SAMPLE", "TRACKING_CLASSES"]

MAX_BOXES_PER_SAMPLE = 500  # limit of an official submission
