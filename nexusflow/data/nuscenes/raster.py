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
        owners: which line of the map each piece was cut from; one owns all by default.
    """

    def __init__(self, pieces: np.ndarray, owners: np.ndarray | None = None) -> None:
        self.pieces = pieces
        self.owners = np.zeros(len(pieces), int) if owners is None else owners
        self.tree = shapely.STRtree(pieces)

    def near(self, patch: shapely.Polygon) -> np.ndarray:
        """Pieces whose bounds meet the patch's, in a fixed order."""
        return self.pieces[np.sort(self.tree.query(patch))]

    def near_by_owner(self, patch: shapely.Polygon) -> list[np.ndarray]:
        """The same pieces, those of each line of the map together, in a fixed order."""
        rows = np.sort(self.tree.query(patch))
        owners = self.owners[rows]
        return [self.pieces[rows[owners == owner]] for owner in np.unique(owners)]


class MapRasteriser:
    """Draws targets around ego poses in one location.

    Args:
        layers: the prepared map of the location.
        config: extent, resolution and style.

    Source: UniAD's map targets (line classes, crossing edges, overlap rule).
    """

    def __init__(self, layers: LocationMap, config: NuScenesReaderConfig) -> None:
        self.config = config
        crossing = "crossing_edges" if config.crossing == "edges" else "crossing_area"
        self.layers = [
            _Layer(getattr(layers, name), layers.owners.get(name))
            for name in ("divider", crossing, "contour", "drivable")
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
            self._erase(target_KHW, target_KHW[_CROSSING], near, ego2global_44)
        return target_KHW

    def draw_instances(self, ego2global_44: np.ndarray) -> np.ndarray:
        """Draw the four targets of a key frame, piece by piece.

        A line of the map is as many instances as it has connected pieces on the canvas; so are all contours
        together, and all crossings where those are areas. The drivable area is one instance. Where pieces of
        a class cross, the later one owns the cell.

        Args:
            ego2global_44: ego pose; maps are flat, so only its heading and horizontal position count.

        Returns:
            (K, H, W) int16: numbers of instances from 1 in every class, without gaps; 0 = nothing. Above zero
            exactly where `draw` says 1.

        Source: UniAD's map targets, where every line within the patch is an instance with a mask of its own.
        """
        config = self.config
        patch = self._patch(ego2global_44)
        target_KHW = np.zeros((len(MAP_CLASSES), config.map_cells, config.map_cells), np.int16)
        for number, layer in enumerate(self.layers):
            is_area = number == _DRIVABLE or (number == _CROSSING and config.crossing == "polygon")
            count = 0
            for pieces in layer.near_by_owner(patch):
                canvas_HW: np.ndarray = np.zeros(target_KHW.shape[1:], np.uint8)
                if is_area:
                    self._fill(canvas_HW, pieces, ego2global_44)
                else:
                    self._draw_lines(canvas_HW, pieces, ego2global_44, config.line_width_px)
                if number != _DRIVABLE:
                    canvas_HW = cv2.connectedComponents(canvas_HW, connectivity=8)[1]
                here_HW = canvas_HW > 0
                target_KHW[number][here_HW] = canvas_HW[here_HW] + count
                count += int(canvas_HW.max())
        if config.overlap_rule:
            near = [layer.near(patch) for layer in self.layers]
            crossing_HW = (target_KHW[_CROSSING] > 0).astype(np.uint8)
            self._erase(target_KHW, crossing_HW, near, ego2global_44)
        return np.stack([_numbered(target_HW) for target_HW in target_KHW])

    def _erase(
        self,
        target_KHW: np.ndarray,
        crossing_HW: np.ndarray,
        near: list[np.ndarray],
        ego2global_44: np.ndarray,
    ) -> None:
        """Apply the overlap rule: contour erases crossing and divider, crossing erases divider."""
        width = self.config.erase_width_px
        if self.config.crossing == "polygon":
            erase_HW, outlines = crossing_HW.copy(), shapely.boundary(near[_CROSSING])
        else:
            erase_HW, outlines = np.zeros_like(crossing_HW), near[_CROSSING]
        self._draw_lines(erase_HW, outlines, ego2global_44, width)
        target_KHW[_DIVIDER] *= 1 - erase_HW
        erase_HW[:] = 0
        self._draw_lines(erase_HW, near[_CONTOUR], ego2global_44, width)
        target_KHW[: _CROSSING + 1] *= 1 - erase_HW

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


def _numbered(target_HW: np.ndarray) -> np.ndarray:
    """Close the gaps in the numbers of instances, whose order stays."""
    numbers, places_HW = np.unique(target_HW, return_inverse=True)
    return (places_HW.reshape(target_HW.shape) + (numbers[0] != 0)).astype(np.int16)


def _turn(ego2global_44: np.ndarray) -> np.ndarray:
    """(2, 2) rotation ego → global in the horizontal plane."""
    yaw = yaw_of(ego2global_44)
    return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
