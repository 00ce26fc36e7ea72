"""Names that every part of the NYUv2 suite shares."""

__all__ = ["CLASSES", "NUM_CLASSES", "TASKS", "VOID"]

TASKS = ("segmentation", "depth", "normal")
CLASSES = (
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)
NUM_CLASSES = len(CLASSES)
VOID = -1
