"""Images of NYUv2-format data with their clusters, and what a trained model holds about them.

Letters: B images of a batch, N training images, M validation images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.domains import validation_clusters
from nexusflow.data.nyuv2.vocabulary import TASKS
from nexusflow.dense.model import DenseModel
from nexusflow.suites.taps import FrameTable, TapReader

__all__ = ["NYUv2Taps"]


class NYUv2Taps(TapReader):
    """Images and the taps of a model.

    Args:
        cache: decoded images.
        model: trained model.
        clusters: the partition by clusters, as `read_image_partition` returns it; it names the domains of all
            runs, whichever partition they were trained under.

    Raises:
        UserError: if the partition does not fit the data.
    """

    def __init__(self, cache: NYUv2Cache, model: DenseModel, clusters: Mapping[str, np.ndarray]) -> None:
        cluster_N = clusters["cluster"]
        if len(cluster_N) != cache.num_train:
            raise UserError(
                f"The partition table has {len(cluster_N)} images, the data have {cache.num_train} training "
                "images; make the partition again."
            )
        self._cache, self._model = cache, model.eval().requires_grad_(False)
        self._cluster_N = cluster_N
        self.tap_channels = dict(model.tap_channels)
        # The cluster that shows the labels of a task shows those of no other.
        self.labelled_in = {task: f"cluster{cluster_N[clusters[task]].min()}" for task in TASKS}

    def frames(self, split: str) -> FrameTable:
        """See `TapReader.frames`."""
        rows_N = np.array(self._cache.rows(split), np.int64)
        own_N = self._cluster_N
        cluster_N = own_N if split == "train" else validation_clusters(self._cache, own_N)
        names_N = np.array([f"{split}{number:05d}" for number in range(len(rows_N))], dtype=np.str_)
        domains_N = np.array([f"cluster{cluster}" for cluster in cluster_N], dtype=np.str_)
        return FrameTable(rows_N, names_N, domains_N, groups_N=names_N)

    @torch.no_grad()
    def taps(self, rows: Sequence[int]) -> dict[str, dict[str, Tensor]]:
        """See `TapReader.taps`."""
        device = next(self._model.parameters()).device
        images_B3HW = torch.from_numpy(np.ascontiguousarray(self._cache.images_N3HW[list(rows)]))
        output = self._model(images_B3HW.to(device, memory_format=torch.channels_last))
        return {task: {"features": tap_BCHW.float()} for task, tap_BCHW in output.taps.items()}
