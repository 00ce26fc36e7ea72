"""Drawing the BEV map targets of a key frame.

Row i of a target is y = -half + (i + ½)·cell, column j is x = -half + (j + ½)·cell, in the ego frame.
Shape letters: K map classes (divider, crossing, contour, drivable), H and W rows and columns of the target.
"""

from __future__ import annotations

import cv2
import numpy as np
import shapely

from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.geometry import yaw_of
from nexusflow.data.nuscenes.vector_map import LocationMap
from nexusflow.data.nuscenes.vocabulary import MAP_CLASSES

__all__ = ["MapRasteriser"]

# OpenCV takes fixed-point coordinates with this many fractional bits.
_SHIFT = 8
# Areas are filled on a finer canvas and read at the cells' centres: OpenCV also paints every cell that an
# outline touches, which would widen areas by half a cell.
_FINE = 5
_DIVIDER, _CROSSING, _CONTOUR, _DRIVABLE = range(len(MAP_CLASSES))


class _Layer:
    """Pieces of one layer with a search tree.

    Args:
        pieces: array of lines, or of polygons, in the global frame.
    """

    def __init__(self, pieces: np.ndarray) -> None:
        self.pieces = pieces
        self.tree = shapely.STRtree(pieces)

    def near(self, patch: shapely.Polygon) -> np.ndarray:
        """Pieces whose bounds meet the patch's, in a fixed order."""
        return self.pieces[np.sort(self.tree.query(patch))]


class MapRasteriser:
    """Draws targets around ego poses in one location.

    Args:
        layers: the prepared map of the location.
        config: extent, resolution and style.

    Source: UniAD's map targets (line classes, crossing edges, overlap rule).
    """

    def __init__(self, layers: LocationMap, config: NuScenesReaderConfig) -> None:
        self.config = config
        crossing = layers.crossing_edges if config.crossing == "edges" else layers.crossing_area
        self.layers = [
            _Layer(pieces) for pieces in (layers.divider, crossing, layers.contour, layers.drivable)
        ]

    def draw(self, ego2global_44: np.ndarray) -> np.ndarray:
        """Draw the four targets of a key frame.

        Args:
            ego2global_44: ego pose; maps are flat, so only its heading and horizontal position count.

        Returns:
            (K, H, W) uint8, 0 or 1.
        """
        config = self.config
        patch = self._patch(ego2global_44)
        near = [layer.near(patch) for layer in self.layers]
        target_KHW = np.zeros((len(MAP_CLASSES), config.map_cells, config.map_cells), np.uint8)
        crossing_is_area = config.crossing == "polygon"
        self._draw_lines(target_KHW[_DIVIDER], near[_DIVIDER], ego2global_44, config.line_width_px)
        if crossing_is_area:
            self._fill(target_KHW[_CROSSING], near[_CROSSING], ego2global_44)
        else:
            self._draw_lines(target_KHW[_CROSSING], near[_CROSSING], ego2global_44, config.line_width_px)
        self._draw_lines(target_KHW[_CONTOUR], near[_CONTOUR], ego2global_44, config.line_width_px)
        self._fill(target_KHW[_DRIVABLE], near[_DRIVABLE], ego2global_44)
        if config.overlap_rule:
            erase_HW = target_KHW[_CROSSING].copy() if crossing_is_area else np.zeros_like(target_KHW[0])
            outlines = shapely.boundary(near[_CROSSING]) if crossing_is_area else near[_CROSSING]
            self._draw_lines(erase_HW, outlines, ego2global_44, config.erase_width_px)
            target_KHW[_DIVIDER] &= 1 - erase_HW
            erase_HW[:] = 0
            self._draw_lines(erase_HW, near[_CONTOUR], ego2global_44, config.erase_width_px)
            target_KHW[: _CROSSING + 1] &= 1 - erase_HW
        return target_KHW

    def _patch(self, ego2global_44: np.ndarray) -> shapely.Polygon:
        """The drawn square in the global frame, widened by the thickest line."""
        reach = self.config.bev_half_m + self.config.erase_width_px * self.config.cell_m
        corners_42 = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * reach
        return shapely.Polygon(corners_42 @ _turn(ego2global_44).T + ego2global_44[:2, 3])

    def _fixed_point(
        self, geometries: np.ndarray, ego2global_44: np.ndarray, fineness: int
    ) -> list[np.ndarray]:
        """Vertices of lines or rings as OpenCV points, one array for each geometry."""
        xy_P2, owner_P = shapely.get_coordinates(geometries, return_index=True)
        local_P2 = (xy_P2 - ego2global_44[:2, 3]) @ _turn(ego2global_44)
        cell = self.config.cell_m / fineness
        # OpenCV's integer coordinates name cell centres, ours cell borders: hence the half cell.
        points_P2 = np.rint(((local_P2 + self.config.bev_half_m) / cell - 0.5) * (1 << _SHIFT)).astype(
            np.int32
        )
        return np.split(points_P2, np.flatnonzero(np.diff(owner_P)) + 1) if len(points_P2) else []

    def _draw_lines(
        self, canvas_HW: np.ndarray, lines: np.ndarray, ego2global_44: np.ndarray, width: int
    ) -> None:
        """Draw lines of some thickness."""
        points = self._fixed_point(lines, ego2global_44, 1)
        cv2.polylines(canvas_HW, points, False, (1,), width, cv2.LINE_8, _SHIFT)

    def _fill(self, canvas_HW: np.ndarray, polygons: np.ndarray, ego2global_44: np.ndarray) -> None:
        """Set the cells whose centre lies in one of the polygons, which must not overlap."""
        rings = shapely.get_rings(polygons)
        if len(rings):
            fine_HW = np.zeros((canvas_HW.shape[0] * _FINE, canvas_HW.shape[1] * _FINE), np.uint8)
            cv2.fillPoly(fine_HW, self._fixed_point(rings, ego2global_44, _FINE), (1,), cv2.LINE_8, _SHIFT)
            canvas_HW |= fine_HW[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]


def _turn(ego2global_44: np.ndarray) -> np.ndarray:
    """(2, 2) rotation ego → global in the horizontal plane."""
    yaw = yaw_of(ego2global_44)
    return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
