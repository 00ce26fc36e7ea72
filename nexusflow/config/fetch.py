"""Carries the verb `fetch` to the scale that reads the recorded data set."""

from __future__ import annotations

from pathlib import Path

from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.archives import VERSIONS
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig

__all__ = ["fetch_from_configuration"]


def _reader_of(folder: Path, version: str) -> tuple[Configuration, NuScenesSourceConfig]:
    """The scale that reads a release, and where it has it from."""
    for path in sorted((folder / "scales").glob("*.yaml")):
        configuration = load_configuration(folder, path.stem)
        section = configuration.scale.nuscenes
        if section and section.version == version and isinstance(section.world, NuScenesSourceConfig):
            return configuration, section.world
    raise UserError(
        f"No file in {folder / 'scales'} has `nuscenes.version: {version}` and `nuscenes.world.source`; "
        f"write one, or choose one of {', '.join(VERSIONS)}."
    )


def fetch_from_configuration(folder: Path, dataset: str, version: str, archives: Path | None) -> Path:
    """Bring a release of a recorded data set to where its scale reads it.

    Args:
        folder: the config/ folder.
        dataset: nuscenes.
        version: v1.0-mini or v1.0-trainval.
        archives: folder of the archives instead of the one that the scale names.

    Returns:
        The data root.

    Raises:
        UserError: for another data set or version, or data that cannot be had.
    """
    if dataset != "nuscenes":
        raise UserError(
            f"There is no data set {dataset!r} to fetch by name; `nuscenes` is, and NYUv2 comes with "
            "`nexusflow data --suite nyuv2 --scale full`."
        )
    from nexusflow.data.nuscenes.source import fetch_nuscenes

    configuration, source = _reader_of(folder, version)
    if archives is not None:
        source = source.model_copy(update={"archives": str(archives), "root": None})
    root = Layout(configuration.scale_name).data("nuscenes", configuration.nuscenes.default_world)
    fetch_nuscenes(source, version, root)
    return root
