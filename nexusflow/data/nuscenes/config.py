"""Settings of the nuScenes reader."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["NuScenesReaderConfig"]


class NuScenesReaderConfig(BaseModel):
    """How key frames become arrays: image size, extent and drawing of the BEV targets, choice of boxes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_height: int = Field(default=64, gt=0, description="height of the cached images, pixels")
    image_width: int = Field(default=112, gt=0, description="width of the cached images, pixels")
    bev_half_m: float = Field(default=25.0, gt=0, description="half-width of the square BEV area, metres")
    map_cells: int = Field(default=100, gt=0, description="cells per side of the map targets")
    line_width_px: int = Field(
        default=2, gt=0, description="thickness of drawn lines (OpenCV's sense), cells"
    )
    crossing: Literal["edges", "polygon"] = Field(
        default="edges",
        description="pedestrian crossings as their two longest edges (UniAD) or as filled polygons",
    )
    overlap_rule: bool = Field(
        default=True, description="contour erases crossing and divider, crossing erases divider (UniAD)"
    )
    erase_width_m: float = Field(
        default=6 * 0.512,
        gt=0,
        description="thickness of the lines that erase, metres (UniAD: 6 cells of 0.512 m)",
    )
    min_points: int = Field(default=1, ge=0, description="fewest lidar plus radar points of a kept box")
    crop_boxes: bool = Field(default=True, description="keep only boxes whose centre lies in the BEV area")

    @property
    def cell_m(self) -> float:
        """Side of a map cell, metres."""
        return 2.0 * self.bev_half_m / self.map_cells

    @property
    def erase_width_px(self) -> int:
        """Thickness of the lines that erase, cells; never thinner than the drawn lines."""
        return max(self.line_width_px, round(self.erase_width_m / self.cell_m))
