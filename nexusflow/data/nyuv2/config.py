"""Image size of the NYUv2 reader, and where the recorded data set comes from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["NYUv2ReaderConfig", "NYUv2SourceConfig"]


class NYUv2ReaderConfig(BaseModel):
    """Size of all arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_height: int = Field(default=288, gt=0, multiple_of=32, description="height of every array, pixels")
    image_width: int = Field(default=384, gt=0, multiple_of=32, description="width of every array, pixels")


class NYUv2SourceConfig(BaseModel):
    """The recorded NYUv2: a pre-processed folder, or the official files, which are fetched and converted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preprocessed: str | None = Field(
        default=None,
        description="folder with train/ and val/ of image/, label/, depth/, normal/ as MTAN distributes it; "
        "null: convert the official files, with normals computed from depth",
    )
    labelled_url: str = Field(
        default="http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat",
        description="the 1449 labelled images (2.8 GB, HDF5)",
    )
    splits_url: str = Field(
        default="http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat",
        description="the official split, 795 and 654 images",
    )
    mapping40_url: str = Field(
        default="https://raw.githubusercontent.com/ankurhanda/nyuv2-meta-data/master/classMapping40.mat",
        description="894 → 40 classes",
    )
    mapping13_url: str = Field(
        default="https://raw.githubusercontent.com/ankurhanda/nyuv2-meta-data/master/class13Mapping.mat",
        description="40 → 13 classes",
    )
