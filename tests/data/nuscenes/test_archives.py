"""Which archives a release needs, and the hashes that a user puts beside them."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.archives import COMMUNITY_MD5, archives_of, published_sums


def test_trainval_has_tables_ten_parts_maps_and_the_can_bus() -> None:
    names = [archive.names[0] for archive in archives_of("v1.0-trainval", "blobs")]
    assert names == [
        "nuScenes-map-expansion-v1.3.zip",
        "can_bus.zip",
        "v1.0-trainval_meta.tgz",
        *(f"v1.0-trainval{part:02d}_blobs.tgz" for part in range(1, 11)),
    ]
    assert set(COMMUNITY_MD5) == set(names[2:])
    required = [archive.required for archive in archives_of("v1.0-trainval")]
    assert required == [True, False, *[True] * 11]


def test_either_kind_of_part_serves(tmp_path: Path) -> None:
    part = archives_of("v1.0-trainval")[3]
    assert part.names[0] == "v1.0-trainval01_keyframes.tgz" and part.found_in(tmp_path) is None
    (tmp_path / "v1.0-trainval01_blobs.tgz").touch()
    assert part.found_in(tmp_path) == tmp_path / "v1.0-trainval01_blobs.tgz"


def test_other_releases_are_refused() -> None:
    with pytest.raises(UserError, match=r"v1\.0-mini, v1\.0-trainval"):
        archives_of("v1.0-test")


def test_hashes_beside_the_archives(tmp_path: Path) -> None:
    (tmp_path / "MD5SUMS").write_text(f"{'A' * 32}  a.tgz\n\n{'b' * 32} *b.zip\n")
    (tmp_path / "SHA256SUMS").write_text(f"{'c' * 64}  ./c.tgz\n")
    assert published_sums(tmp_path) == {
        "a.tgz": ("md5", "a" * 32),
        "b.zip": ("md5", "b" * 32),
        "c.tgz": ("sha256", "c" * 64),
    }
    (tmp_path / "MD5SUMS").write_text("a.tgz is fine\n")
    with pytest.raises(UserError, match=r"MD5SUMS: line 'a\.tgz is fine'"):
        published_sums(tmp_path)
