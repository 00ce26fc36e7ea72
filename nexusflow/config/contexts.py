"""On what each suite is measured: scale, data and seeds, as every table and figure states them."""

from __future__ import annotations

from collections.abc import Sequence

from nexusflow.bev.config import ResNetDCNConfig
from nexusflow.config.load import Configuration
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.paper.rows import TableContext

__all__ = ["data_and_start", "nuscenes_context", "nyuv2_context", "suite_contexts"]


def nuscenes_context(configuration: Configuration, seeds: Sequence[int]) -> TableContext:
    """Say on what the nuScenes suite is measured.

    Args:
        configuration: configuration of a scale with this suite.
        seeds: training seeds.

    Returns:
        Scale, data and seeds.
    """
    world = configuration.nuscenes.world
    if isinstance(world, NuScenesSourceConfig):
        scenes, gap = f"nuScenes {configuration.nuscenes.version}", None
    else:
        scenes = f"{world.train_scenes} + {world.val_scenes} scenes of {world.key_frames} key frames"
        gap = world.domain_gap
    return TableContext(
        scale=configuration.scale_name,
        data=f"{configuration.scale.description} ({scenes})",
        seeds=tuple(seeds),
        domain_gap=gap,
        embedded=not isinstance(world, NuScenesSourceConfig),
        initialisation=_initialisation(configuration),
    )


def _initialisation(configuration: Configuration) -> str:
    backbone = configuration.nuscenes.model.backbone
    return backbone.weights.source if isinstance(backbone, ResNetDCNConfig) else "none"


def nyuv2_context(configuration: Configuration, seeds: Sequence[int]) -> TableContext:
    """Say on what the NYUv2 suite is measured.

    Args:
        configuration: configuration of a scale with this suite.
        seeds: training seeds.

    Returns:
        Scale, data and seeds.
    """
    world, reader = configuration.nyuv2.world, configuration.nyuv2.reader
    size = f"{reader.image_height} × {reader.image_width} pixels"
    embedded = isinstance(world, RoomsWorldConfig)
    images = (
        f"{world.train_images} + {world.val_images}" if isinstance(world, RoomsWorldConfig) else "795 + 654"
    )
    return TableContext(
        scale=configuration.scale_name,
        data=f"{configuration.scale.description} ({images} images of {size})",
        seeds=tuple(seeds),
        comparable=not embedded,
        embedded=embedded,
    )


def suite_contexts(configuration: Configuration, seeds: Sequence[int]) -> dict[str, TableContext]:
    """Say on what each suite is measured.

    Args:
        configuration: configuration of the scale.
        seeds: training seeds.

    Returns:
        Suite → scale, data and seeds; a scale may have one suite only.
    """
    makers = {"nuscenes": nuscenes_context, "nyuv2": nyuv2_context}
    return {
        suite: make(configuration, seeds)
        for suite, make in makers.items()
        if getattr(configuration.scale, suite) is not None
    }


def data_and_start(configuration: Configuration) -> str:
    """Say for both suites together what is measured, and what training starts with.

    Args:
        configuration: configuration of the scale.

    Returns:
        Part of a sentence.
    """
    starts = dict.fromkeys(context.start for context in suite_contexts(configuration, ()).values())
    return "; ".join((configuration.scale.description, *starts))
