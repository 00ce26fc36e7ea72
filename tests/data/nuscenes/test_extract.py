"""Archives are read whole before anything is written, and nothing is written outside the root."""

import errno
import gzip
import hashlib
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexusflow.core import download
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.extract import extract_archive, inspect_archive

NOISE = np.random.default_rng(0).bytes(50_000)
FILES = {"samples/CAM_FRONT/a.jpg": NOISE, "sweeps/CAM_FRONT/b.jpg": b"sweep", "v1.0-mini/log.json": b"[]"}


def everything(place: str) -> bool:
    return True


def key_frames(place: str) -> bool:
    return not place.startswith("sweeps/")


def make_tar(path: Path, edit: Callable[[tarfile.TarFile], None] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if edit:
            edit(tar)
    return path


def make_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, NOISE)
    return path


def unpack(path: Path, root: Path, folder: str = "", wanted: Callable[[str], bool] = everything) -> None:
    root.mkdir(exist_ok=True)
    extract_archive(path, folder, wanted, root, inspect_archive(path, folder, wanted))


def test_what_is_wanted_arrives(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tgz")
    listing = inspect_archive(path, "", key_frames)
    content = path.read_bytes()
    assert (listing.size, listing.files, listing.extracted_bytes) == (len(content), 2, 50_002)
    assert listing.sha256 == hashlib.sha256(content).hexdigest()
    assert listing.md5 == hashlib.md5(content).hexdigest()
    unpack(path, tmp_path / "root", wanted=key_frames)
    assert (tmp_path / "root/samples/CAM_FRONT/a.jpg").read_bytes() == NOISE
    assert not (tmp_path / "root/sweeps").exists()


def test_a_tar_that_is_not_packed_serves(tmp_path: Path) -> None:
    plain = tmp_path / "b.tgz"
    plain.write_bytes(gzip.decompress(make_tar(tmp_path / "a.tgz").read_bytes()))
    assert inspect_archive(plain, "", everything).sha256 == hashlib.sha256(plain.read_bytes()).hexdigest()
    unpack(plain, tmp_path / "root")
    assert (tmp_path / "root/v1.0-mini/log.json").read_bytes() == b"[]"


def test_members_of_a_zip_go_to_their_folder(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", "expansion/x.json", "maps/basemap/y.png", "__MACOSX/z")
    assert inspect_archive(path, "maps", everything).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    unpack(path, tmp_path / "root", "maps")
    found = sorted(str(p.relative_to(tmp_path / "root")) for p in (tmp_path / "root").rglob("*.*"))
    assert found == ["maps/basemap/y.png", "maps/expansion/x.json"]


def escape(name: str) -> Callable[[tarfile.TarFile], None]:
    return lambda tar: tar.addfile(tarfile.TarInfo(name))


def link(tar: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("samples/link")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc"
    tar.addfile(info)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (escape("../outside"), "leads out of the data root"),
        (escape("/outside"), "leads out of the data root"),
        (escape("samples/../../outside"), "leads out of the data root"),
        (link, "no plain file"),
    ],
)
def test_dangerous_members_are_refused_before_anything_is_written(
    tmp_path: Path, edit: Callable[[tarfile.TarFile], None], message: str
) -> None:
    path = make_tar(tmp_path / "a.tgz", edit)
    with pytest.raises(UserError, match=message):
        unpack(path, tmp_path / "root")
    assert not list((tmp_path / "root").iterdir()) and not (tmp_path / "outside").exists()


def test_a_zip_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leads out of the data root"):
        inspect_archive(make_zip(tmp_path / "a.zip", "../outside"), "maps", everything)


def test_a_link_below_the_root_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "root/samples").symlink_to(tmp_path / "mine", target_is_directory=True)
    with pytest.raises(UserError, match="by a link"):
        unpack(make_tar(tmp_path / "a.tgz"), tmp_path / "root")
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "page", "empty"])
@pytest.mark.parametrize("ending", ["tgz", "zip"])
def test_damaged_archives_are_one_sentence(tmp_path: Path, damage: str, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    whole = (make_tar(path) if ending == "tgz" else make_zip(path, "x.json")).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    content = {
        "cut": whole[:-30_000],
        "flipped": bytes(flipped),
        "page": b"<html>log in</html>",
        "empty": b"",
    }
    path.write_bytes(content[damage])
    with pytest.raises(UserError, match=r"cut off or no archive|web page") as caught:
        unpack(path, tmp_path / "root")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_space_is_asked_for_before_extraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 40_000 + download.SPARE_BYTES

    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(UserError, match=r"Extracting .*a\.tgz needs .* free some space"):
        unpack(make_tar(tmp_path / "a.tgz"), tmp_path / "root")
    assert not list((tmp_path / "root").iterdir())


def test_a_disk_that_fills_up_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(UserError, match="No space left on device; free some space"):
        unpack(make_tar(tmp_path / "a.tgz"), tmp_path / "root")
