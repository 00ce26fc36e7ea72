"""Which archives make up a release of nuScenes, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nexusflow.core.errors import UserError

__all__ = ["COMMUNITY_MD5", "VERSIONS", "Archive", "archives_of", "published_sums"]

VERSIONS = ("v1.0-mini", "v1.0-trainval")

# Community hashes: the same in many public download scripts, published by nobody who could vouch for them.
# They serve to warn. For the other archives such scripts disagree, so there is none.
COMMUNITY_MD5 = {
    "v1.0-trainval_meta.tgz": "537d3954ec34e5bcb89a35d4f6fb0d4a",
    "v1.0-trainval01_blobs.tgz": "cbf32d2ea6996fc599b32f724e7ce8f2",
    "v1.0-trainval02_blobs.tgz": "aeecea4878ec3831d316b382bb2f72da",
    "v1.0-trainval03_blobs.tgz": "595c29528351060f94c935e3aaf7b995",
    "v1.0-trainval04_blobs.tgz": "b55eae9b4aa786b478858a3fc92fb72d",
    "v1.0-trainval05_blobs.tgz": "1c815ed607a11be7446dcd4ba0e71ed0",
    "v1.0-trainval06_blobs.tgz": "7273eeea36e712be290472859063a678",
    "v1.0-trainval07_blobs.tgz": "46674d2b2b852b7a857d2c9a87fc755f",
    "v1.0-trainval08_blobs.tgz": "37524bd4edee2ab99678909334313adf",
    "v1.0-trainval09_blobs.tgz": "a7fcd6d9c0934e4052005aa0b84615c0",
    "v1.0-trainval10_blobs.tgz": "31e795f2c13f62533c727119b822d739",
}
# Files with hashes that the user copied from the download page; length of a hash → algorithm.
_SUMS = ("MD5SUMS", "SHA256SUMS", "md5.checksum")
_ALGORITHMS = {32: "md5", 64: "sha256"}


@dataclass(frozen=True)
class Archive:
    """One archive of a release.

    Attributes:
        content: what it holds, for people.
        names: file names that serve, the one that a token fetches first.
        folder: folder below the data root that its members belong in; "" if they name it themselves.
        required: whether nothing goes without it.
    """

    content: str
    names: tuple[str, ...]
    folder: str = ""
    required: bool = True

    def found_in(self, folder: Path) -> Path | None:
        """The first of its names that lies in a folder."""
        return next((folder / name for name in self.names if (folder / name).is_file()), None)


_MAPS = Archive("map expansion v1.3", ("nuScenes-map-expansion-v1.3.zip",), "maps")
_CAN_BUS = Archive("CAN bus (read by nothing here yet)", ("can_bus.zip",), "can_bus", required=False)


def archives_of(version: str, blobs: str = "keyframes") -> tuple[Archive, ...]:
    """List the archives of a release.

    Args:
        version: v1.0-mini or v1.0-trainval.
        blobs: kind of the trainval archives that comes first, "keyframes" or "blobs".

    Returns:
        The archives, small ones first, so that a missing one shows before hours of fetching.

    Raises:
        UserError: for another version.
    """
    if version == "v1.0-mini":
        mini = Archive("ten scenes: tables, base maps, sensors (3.9 GB)", ("v1.0-mini.tgz",))
        return (_MAPS, _CAN_BUS, mini)
    if version != "v1.0-trainval":
        raise UserError(f"There is no release {version!r} to fetch; choose one of {', '.join(VERSIONS)}.")
    kinds = (blobs, *({"keyframes", "blobs"} - {blobs}), "blobs_camera")
    parts = tuple(
        Archive(f"sensors, part {part} of 10", tuple(f"{version}{part:02d}_{kind}.tgz" for kind in kinds))
        for part in range(1, 11)
    )
    meta = Archive("tables and base maps", (f"{version}_meta.tgz",))
    return (_MAPS, _CAN_BUS, meta, *parts)


def published_sums(folder: Path) -> dict[str, tuple[str, str]]:
    """Read the hashes that the user put beside the archives, in the format of md5sum or sha256sum.

    Args:
        folder: folder of the archives.

    Returns:
        File name → algorithm ("md5" or "sha256") and hash.

    Raises:
        UserError: if a line is no hash and name.
    """
    found: dict[str, tuple[str, str]] = {}
    for path in (folder / name for name in _SUMS):
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            digest, _, name = line.strip().partition(" ")
            if not digest:
                continue
            if len(digest) not in _ALGORITHMS or not name.strip():
                raise UserError(f"{path}: line {line!r} is no hash and file name; correct it.")
            found[Path(name.strip().lstrip("*")).name] = (_ALGORITHMS[len(digest)], digest.lower())
    return found
