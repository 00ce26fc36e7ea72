"""How tracks are born and kept alive at test time, and how those thresholds are chosen."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrackerSearchConfig"]


class TrackerSearchConfig(BaseModel):
    """Candidate thresholds; the best pair on training scenes with visible tracks is used on validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    births: tuple[float, ...] = Field(
        default=(0.4,), min_length=1, description="scores at which a track may be born"
    )
    keeps: tuple[float, ...] = Field(
        default=(0.35,), min_length=1, description="scores below which a key frame is a miss"
    )
    max_misses: int = Field(
        default=5, gt=0, description="misses in a row, in key frames, after which a track dies"
    )
    scenes: int = Field(default=8, gt=0, description="training scenes on which the pairs are compared")
