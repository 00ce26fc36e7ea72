"""The recorded data set comes to its root: linked, extracted, or fetched with a token."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexusflow.core import download
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes import extract, source
from nexusflow.data.nuscenes.source import TOKEN_VARIABLE, fetch_nuscenes
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig
from nexusflow.data.nuscenes.tables import TABLES
from nexusflow.data.nuscenes.vocabulary import LOCATIONS
from tests.core.archive_server import ArchiveServer, serve

VERSION = "v1.0-mini"


def packed(files: dict[str, bytes], ending: str) -> bytes:
    buffer = io.BytesIO()
    if ending == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def archives() -> dict[str, bytes]:
    tables = {f"{VERSION}/{table}.json": b"[]" for table in TABLES}
    pictures = {
        "samples/CAM_FRONT/a.jpg": b"a",
        "samples/LIDAR_TOP/b.bin": b"b",
        "sweeps/CAM_BACK/c.jpg": b"c",
    }
    maps = {f"expansion/{location}.json": b"{}" for location in LOCATIONS}
    return {
        "v1.0-mini.tgz": packed({**tables, **pictures}, "tgz"),
        "nuScenes-map-expansion-v1.3.zip": packed(maps, "zip"),
        "can_bus.zip": packed({"can_bus/scene-0061_pose.json": b"[]"}, "zip"),
    }


@pytest.fixture
def folder(tmp_path: Path, archives: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    (tmp_path / "archives").mkdir()
    for name, content in archives.items():
        (tmp_path / "archives" / name).write_bytes(content)
    return tmp_path / "archives"


def configured(folder: Path, **more: str) -> NuScenesSourceConfig:
    return NuScenesSourceConfig(source="nuscenes", archives=str(folder), **more)


def test_archives_become_a_root_with_a_manifest(folder: Path, tmp_path: Path) -> None:
    fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    root = tmp_path / "root"
    manifest = json.loads((root / "manifest.json").read_text())
    assert (root / "samples/CAM_FRONT/a.jpg").read_bytes() == b"a"
    assert (root / "can_bus/scene-0061_pose.json").is_file()
    assert not (root / "samples/LIDAR_TOP").exists() and not (root / "sweeps").exists()
    mini = manifest["archives"]["v1.0-mini.tgz"]
    assert mini["bytes"] == (folder / "v1.0-mini.tgz").stat().st_size and len(mini["sha256"]) == 64
    assert (mini["published_hash"], mini["files"]) == ("unknown", len(TABLES) + 1)
    assert manifest["files"][f"{VERSION}/log.json"]["bytes"] == 2


def test_the_can_bus_is_not_needed_and_all_sensors_may_be_had(folder: Path, tmp_path: Path) -> None:
    (folder / "can_bus.zip").unlink()
    fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    fetch_nuscenes(configured(folder, sensors="all"), VERSION, tmp_path / "root")
    assert (tmp_path / "root/samples/LIDAR_TOP/b.bin").is_file()


def test_what_is_extracted_is_not_extracted_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    manifest = (tmp_path / "root/manifest.json").read_bytes()
    (tmp_path / "root/manifest.json").unlink()
    monkeypatch.setattr(source, "inspect_archive", lambda *arguments: pytest.fail("read again"))
    shutil.rmtree(folder)  # whoever needs the space may delete the archives
    fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    assert (tmp_path / "root/manifest.json").read_bytes() == manifest


def test_an_extraction_that_was_cut_is_done_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: object, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(extract, "_copy", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    assert not (tmp_path / "root/manifest.json").exists()
    fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    assert not any(path.read_bytes() == b"half" for path in (tmp_path / "root").rglob("*.json"))


def test_without_data_one_screen_says_what_to_get_and_where(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder)
    with pytest.raises(UserError) as caught:
        fetch_nuscenes(configured(folder), "v1.0-trainval", tmp_path / "root")
    text = str(caught.value)
    assert len(text.splitlines()) <= 24 and str(folder) in text and TOKEN_VARIABLE in text
    assert "v1.0-trainval10_keyframes.tgz" in text and "nuScenes-map-expansion-v1.3.zip" in text
    assert "can_bus.zip" not in text and not (tmp_path / "root").exists()


def test_a_hash_of_the_download_page_decides(folder: Path, tmp_path: Path) -> None:
    (folder / "MD5SUMS").write_text(f"{'0' * 32}  v1.0-mini.tgz\n")
    with pytest.raises(UserError, match=r"v1\.0-mini\.tgz has md5 [0-9a-f]{32}, but the list beside it says"):
        fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    assert not (tmp_path / "root/v1.0-mini").exists()


def test_a_community_hash_only_warns(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(source.COMMUNITY_MD5, "v1.0-mini.tgz", "0" * 32)
    fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    assert "which a community of users reports" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "root/manifest.json").read_text())
    assert manifest["archives"]["v1.0-mini.tgz"]["community_md5"] == "differs"


def test_a_release_without_a_table_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "v1.0-mini.tgz").write_bytes(packed({f"{VERSION}/log.json": b"[]"}, "tgz"))
    with pytest.raises(UserError, match=r"category\.json is missing"):
        fetch_nuscenes(configured(folder), VERSION, tmp_path / "root")
    assert not (tmp_path / "root/manifest.json").exists()


def test_an_extracted_folder_is_linked(folder: Path, tmp_path: Path) -> None:
    fetch_nuscenes(configured(folder), VERSION, tmp_path / "mine")
    config = configured(tmp_path / "none", root=str(tmp_path / "mine"))
    fetch_nuscenes(config, VERSION, tmp_path / "root")
    assert (tmp_path / "root/samples").is_symlink()
    assert "archives" not in json.loads((tmp_path / "root/manifest.json").read_text())
    with pytest.raises(UserError, match=r"v1\.0-trainval is missing"):
        fetch_nuscenes(config, "v1.0-trainval", tmp_path / "root")


@pytest.fixture
def server(archives: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(download, "_PAUSE_S", 0.0)
    monkeypatch.setenv(TOKEN_VARIABLE, "abc")
    with serve() as running:
        running.files = {f"/{name}": content for name, content in archives.items()}
        running.token = "abc"
        yield running


def test_a_token_fetches_what_is_missing(server: ArchiveServer, tmp_path: Path) -> None:
    server.cut_after["/v1.0-mini.tgz"] = 200
    config = configured(tmp_path / "archives", api=server.url + "/api")
    fetch_nuscenes(config, VERSION, tmp_path / "root")
    assert (tmp_path / "root/samples/CAM_FRONT/a.jpg").read_bytes() == b"a"
    assert ("/v1.0-mini.tgz", "bytes=200-") in server.asked
    sent = zip(server.asked, server.headers, strict=True)
    assert {("Authorization" in headers) for (path, _), headers in sent if path.startswith("/api/")} == {True}
    sent = zip(server.asked, server.headers, strict=True)
    assert not any("Authorization" in headers for (path, _), headers in sent if not path.startswith("/api/"))
    assert (tmp_path / "archives/v1.0-mini.tgz.sha256").is_file()


def test_a_token_leaves_out_what_is_not_needed(
    server: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del server.files["/can_bus.zip"]
    fetch_nuscenes(configured(tmp_path / "archives", api=server.url + "/api"), VERSION, tmp_path / "root")
    assert "can_bus.zip cannot be fetched" in capsys.readouterr().err
    assert set(json.loads((tmp_path / "root/manifest.json").read_text())["archives"]) == {
        "nuScenes-map-expansion-v1.3.zip",
        "v1.0-mini.tgz",
    }


@pytest.mark.parametrize("trouble", ["token", "page", "absent"])
def test_what_a_token_cannot_fetch_is_one_sentence(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    config = configured(tmp_path / "archives", api=server.url + "/api")
    if trouble == "token":
        monkeypatch.setenv(TOKEN_VARIABLE, "old")
    elif trouble == "page":
        server.files["/v1.0-mini.tgz"] = b"<!DOCTYPE html><html>log in</html>"
    else:
        del server.files["/v1.0-mini.tgz"]
    messages = {"token": "refused, perhaps expired", "page": "web page", "absent": "the server says 404"}
    with pytest.raises(UserError, match=messages[trouble]) as caught:
        fetch_nuscenes(config, VERSION, tmp_path / "root")
    text = str(caught.value)
    assert "\n" not in text and "secret" not in text and "abc" not in text
    assert not (tmp_path / "root/manifest.json").exists()
