"""Names and orders that every consumer of the nuScenes format here agrees on."""

from __future__ import annotations

from nexusflow.core.errors import UserError

__all__ = ["CAMERAS", "CITIES", "LOCATIONS", "MAP_CLASSES", "TASKS", "TRACKING_CLASSES", "city_of_location"]

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
TRACKING_CLASSES = ("bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck")
MAP_CLASSES = ("divider", "crossing", "contour", "drivable")
TASKS = ("track", "map")
CITIES = ("boston", "singapore")
LOCATIONS = {
    "boston-seaport": "boston",
    "singapore-onenorth": "singapore",
    "singapore-hollandvillage": "singapore",
    "singapore-queenstown": "singapore",
}


def city_of_location(location: str, log: str, table: str) -> str:
    """Name the city of a log's location.

    Args:
        location: the `location` field of a log record.
        log: token or file name of the log, for the message.
        table: path of the log table, for the message.

    Returns:
        "boston" or "singapore".

    Raises:
        UserError: if the location is none of the four of nuScenes.
    """
    try:
        return LOCATIONS[location]
    except (KeyError, TypeError):
        raise UserError(
            f"{table}: log {log} has location {location!r}, but only {', '.join(LOCATIONS)} are known; "
            "correct the location or leave the log's scenes out."
        ) from None
