"""Key frames of nuScenes-format data with their cities, and what a trained model holds about them.

Letters: B clips, T key frames of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nexusflow.bev.model import BEVModel
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.scenes import SceneEntry
from nexusflow.suites.taps import FrameTable, TapReader

__all__ = ["NuScenesTaps"]

# The geographic partition of the paper's tables (S-Geo).
_LABELLED_IN = {"track": "singapore", "map": "boston"}
# Rounding of timestamps.
_SLACK_S = 0.05


class NuScenesTaps(TapReader):
    """Key frames and the taps of a model that sees each of them at the end of a short clip.

    The model gets no label: the BEV grid of earlier key frames is fused, but no track is carried, so the
    tracking tap holds detections only.

    Args:
        cache: decoded images and calibration.
        model: trained model.
        history: key frames before the frame that the model sees.
        spacing_s: least time between two used key frames of a scene, in seconds.
    """

    def __init__(self, cache: NuScenesCache, model: BEVModel, history: int, spacing_s: float) -> None:
        self._cache, self._model = cache, model.eval().requires_grad_(False)
        self._history, self._spacing_s = history, spacing_s
        config = model.config
        shared = config.encoder.channels
        own = {"track": config.track.dim, "map": config.map.dim}
        self.tap_channels = dict.fromkeys(own, shared) if config.tap == "bev" else own
        self.labelled_in = dict(_LABELLED_IN)

    def frames(self, split: str) -> FrameTable:
        """See `TapReader.frames`; key frames without full history are left out."""
        found = [(row, scene) for scene in self._cache.scenes_of(split) for row in self._spaced(scene)]
        rows = [row for row, _ in found]
        return FrameTable(
            rows_N=np.array(rows, np.int64),
            names_N=np.array([self._cache.sample_tokens[row] for row in rows], dtype=np.str_),
            domains_N=np.array([scene.city for _, scene in found], dtype=np.str_),
            groups_N=np.array([scene.name for _, scene in found], dtype=np.str_),
        )

    def _spaced(self, scene: SceneEntry) -> list[int]:
        """Rows of the used key frames of a scene."""
        rows: list[int] = []
        for row in scene.frames[self._history :]:
            gap = self._cache.timestamps_F[row] - self._cache.timestamps_F[rows[-1]] if rows else np.inf
            if gap >= self._spacing_s - _SLACK_S:
                rows.append(row)
        return rows

    @torch.no_grad()
    def taps(self, rows: Sequence[int]) -> dict[str, dict[str, Tensor]]:
        """See `TapReader.taps`."""
        device = next(self._model.parameters()).device
        rows_BT = np.asarray(rows, np.int64)[:, None] + np.arange(-self._history, 1)
        inputs = (
            self._cache.images_FNCHW,
            self._cache.ego2img_FN44,
            self._cache.ego2global_F44,
            self._cache.timestamps_F,
        )
        images, ego2img, ego2global, timestamps = (
            torch.from_numpy(np.ascontiguousarray(array[rows_BT])).to(device) for array in inputs
        )
        return self._model(images, ego2img, ego2global, timestamps, None).taps
