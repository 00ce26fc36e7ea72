"""Names and orders that predictions, metrics and tables share."""

from __future__ import annotations

__all__ = ["CITIES", "MAP_CLASSES", "MAX_BOXES_PER_SAMPLE", "TRACKING_CLASSES"]

TRACKING_CLASSES = ("bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck")
MAP_CLASSES = ("divider", "crossing", "contour", "drivable")
CITIES = ("boston", "singapore")
MAX_BOXES_PER_SAMPLE = 500
