"""Brings the recorded data set to the data root: from a pre-processed folder, or from the official files."""

from __future__ import annotations

from pathlib import Path

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_json
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig, NYUv2SourceConfig
from nexusflow.data.nyuv2.convert import OfficialFiles, convert_official
from nexusflow.data.nyuv2.download import download
from nexusflow.data.nyuv2.files import count_images

__all__ = ["fetch_nyuv2"]

_SPLITS = ("train", "val")


def _link(source: Path, root: Path) -> dict[str, int]:
    """Make the folders of a pre-processed set appear under the data root."""
    counts = {}
    for split in _SPLITS:
        counts[split] = count_images(source / split)
        target = root / split
        if target.is_symlink():
            target.unlink()
        if target.exists():
            raise UserError(f"{target} exists and is no link; move it away, so that {source} can be used.")
        root.mkdir(parents=True, exist_ok=True)
        target.symlink_to((source / split).resolve(), target_is_directory=True)
    return counts


def fetch_nyuv2(config: NYUv2SourceConfig, reader: NYUv2ReaderConfig, root: Path, workers: int = 1) -> None:
    """Put train/, val/ and manifest.json under the data root.

    Args:
        config: where the data come from.
        reader: size of the arrays.
        root: data root; fetched files lie in its folder official/, where they may also be placed by hand.
        workers: unused; the conversion is bound by the disk.

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
        urls = (config.labelled_url, config.splits_url, config.mapping40_url, config.mapping13_url)
        paths = (files.labelled, files.splits, files.mapping40, files.mapping13)
        # The small files first: a missing one shows before gigabytes are fetched.
        for url, path in sorted(zip(urls, paths, strict=True), key=lambda item: item[1] == files.labelled):
            download(url, path)
        counts = convert_official(files, root, reader.image_height, reader.image_width)
        hashes = {path.name: sha256_file(path) for path in paths}
        manifest = {
            "source": "official files; normals computed from depth, not those of Eigen and Fergus",
            "images": counts,
            "sha256": hashes,
        }
    write_json(root / "manifest.json", manifest)
