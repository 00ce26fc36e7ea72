"""Settings of the evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

__all__ = ["EvaluationConfig", "TrackingClass"]

TrackingClass = Literal["bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck"]


class EvaluationConfig(BaseModel):
    """What is scored and how; match distance and recall thresholds are the official ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["train", "val", "mini_train", "mini_val"] = Field(
        default="val", description="Official split whose scenes are scored."
    )
    class_range_m: PositiveFloat | dict[TrackingClass, PositiveFloat] | None = Field(
        default=None,
        description="Boxes farther than this from the ego vehicle are ignored, in metres; never beyond the"
        " official 50 m (bus, car, trailer, truck) or 40 m (bicycle, motorcycle, pedestrian). null: those.",
    )
    official: bool = Field(
        default=True,
        description="Take the overall tracking metrics from the official devkit and check the fast evaluator"
        " against it; false: use the fast evaluator alone.",
    )
    workers: PositiveInt = Field(default=1, description="Processes that share the classes of the devkit run.")
