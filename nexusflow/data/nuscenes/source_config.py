"""Where the recorded nuScenes comes from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["NuScenesSourceConfig"]


class NuScenesSourceConfig(BaseModel):
    """The recorded nuScenes: an extracted folder, a folder of archives, or a token to fetch them with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["nuscenes"] = Field(description="nuscenes: the recorded data set, not a generated world")
    root: str | None = Field(
        default=None,
        description="folder that holds `{version}/`, `samples/` and `maps/` already; null: extract archives",
    )
    archives: str = Field(
        default="data/nuscenes",
        description="folder of the archives, yours or those fetched with the token in NUSCENES_TOKEN",
    )
    blobs: Literal["keyframes", "blobs"] = Field(
        default="keyframes",
        description="which trainval archives a token fetches: key frames only, or with all sweeps (300 GB); "
        "of those that lie in the folder either serves",
    )
    sensors: Literal["cameras", "all"] = Field(
        default="cameras", description="what is extracted: camera key frames, or everything"
    )
    api: str = Field(
        default="https://o9k5xn5546.execute-api.us-east-1.amazonaws.com/v1/archives/v1.0",
        description="what names the address of an archive to whoever has a token",
    )
    region: Literal["us", "asia"] = Field(default="us", description="from where archives are fetched")
