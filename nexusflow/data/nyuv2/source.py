"""Brings the recorded data set to the data root: from a pre-processed folder, or from the official files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nexusflow.core.download import download
from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_json
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig, NYUv2SourceConfig
from nexusflow.data.nyuv2.convert import convert_official
from nexusflow.data.nyuv2.files import count_images
from nexusflow.data.nyuv2.official import OfficialFiles

__all__ = ["fetch_nyuv2"]

_SPLITS = ("train", "val")


def _link(source: Path, root: Path) -> dict[str, int]:
    """Make the folders of a pre-processed set appear under the data root; check all before linking any."""
    counts = {split: count_images(source / split) for split in _SPLITS}
    for split in _SPLITS:
        target = root / split
        if target.exists() and not target.is_symlink():
            raise UserError(f"{target} exists and is no link; move it away, so that {source} can be used.")
    root.mkdir(parents=True, exist_ok=True)
    for split in _SPLITS:
        target = root / split
        target.unlink(missing_ok=True)
        target.symlink_to((source / split).resolve(), target_is_directory=True)
    return counts


def _fetch_all(wanted: Sequence[tuple[str, Path]]) -> None:
    """Fetch files in turn; the first that fails ends it with the list of all that are still to be placed."""
    for url, path in wanted:
        try:
            download(url, path)
        except UserError as error:
            missing = [(u, p) for u, p in wanted if not p.exists()]
            if len(missing) == 1:
                raise
            places = ", ".join(f"{p} (from {u})" for u, p in missing)
            reason = str(error).rstrip(".")
            raise UserError(f"{reason}; files still missing: {places}.") from error


def fetch_nyuv2(config: NYUv2SourceConfig, reader: NYUv2ReaderConfig, root: Path, workers: int = 1) -> None:
    """Put train/, val/ and manifest.json under the data root.

    Args:
        config: where the data come from.
        reader: size of the arrays.
        root: data root; fetched files lie in its folder official/, where they may also be placed by hand.
        workers: processes that convert.

    Raises:
        UserError: if a file cannot be had or is damaged, naming it.
    """
    if config.preprocessed is not None:
        source = Path(config.preprocessed).expanduser()
        counts = _link(source, root)
        manifest = {"source": "pre-processed folder", "images": counts}
    else:
        folder = root / "official"
        files = OfficialFiles(
            folder / "nyu_depth_v2_labeled.mat",
            folder / "splits.mat",
            folder / "classMapping40.mat",
            folder / "class13Mapping.mat",
        )
        urls = (config.splits_url, config.mapping40_url, config.mapping13_url, config.labelled_url)
        # The small files first: a missing one shows before gigabytes are fetched.
        paths = (files.splits, files.mapping40, files.mapping13, files.labelled)
        _fetch_all(list(zip(urls, paths, strict=True)))
        counts = convert_official(files, root, reader.image_height, reader.image_width, workers)
        hashes = {path.name: sha256_file(path) for path in paths}
        manifest = {
            "source": "official files; normals computed from depth, not those of Eigen and Fergus",
            "images": counts,
            "sha256": hashes,
        }
    write_json(root / "manifest.json", manifest)
