"""The mapping former that the config names, its losses, and its map.

Letters: B samples or clips, C BEV channels, T frames, K map classes, H/W grid or canvas.
"""

from __future__ import annotations

from torch import Tensor

from nexusflow.bev.config import BEVModelConfig, MapConfig
from nexusflow.bev.mapping.former import MapFormer
from nexusflow.bev.mapping.instance_former import InstanceMapFormer
from nexusflow.bev.mapping.instance_losses import instance_map_losses
from nexusflow.bev.mapping.losses import map_losses
from nexusflow.bev.types import InstanceMapOutput, MapOutput
from nexusflow.core.parts import PoolCounts

__all__ = ["build_map_former", "losses_of_map", "predict_map"]


def build_map_former(config: BEVModelConfig) -> MapFormer | InstanceMapFormer:
    """Return the mapping former that the config names."""
    return InstanceMapFormer(config) if config.map.queries == "instance" else MapFormer(config)


def losses_of_map(
    former: MapFormer | InstanceMapFormer,
    output: MapOutput | InstanceMapOutput,
    truth_BKHW: Tensor,
    visible_B: Tensor,
    config: MapConfig,
    pool_counts: PoolCounts | None = None,
) -> dict[str, Tensor]:
    """Compute the losses of the former's kind.

    Args:
        former: the mapping former.
        output: its output.
        truth_BKHW: 0/1 masks, or numbers of instances where the queries are instances, of the last frame or
            (B, T, K, H, W) of all frames.
        visible_B: clips whose map labels may be used.
        config: mapping section.
        pool_counts: where this is a part of a batch, gives the counts of the whole batch.

    Returns:
        Weighted scalars `map/…`.
    """
    if isinstance(former, InstanceMapFormer):
        assert isinstance(output, InstanceMapOutput)
        return instance_map_losses(former, output, truth_BKHW, visible_B, pool_counts)
    assert isinstance(output, MapOutput)
    return map_losses(output, truth_BKHW, visible_B, config, pool_counts)


def predict_map(former: MapFormer | InstanceMapFormer, bev_BCHW: Tensor) -> Tensor:
    """Return the map (B, K, H, W) of single frames: probabilities, or painted masks of 0 and 1."""
    output = former(bev_BCHW, 1)
    if isinstance(former, InstanceMapFormer):
        return former.paint(output)
    probabilities: Tensor = output.logits_FKHW.float().sigmoid()
    return probabilities
