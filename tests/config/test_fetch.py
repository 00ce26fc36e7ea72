"""The verb `fetch` brings a release to the scale that reads it."""

from pathlib import Path

import pytest

from nexusflow.config.fetch import fetch_from_configuration
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes import source
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig


def test_each_release_has_its_scale(config_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[NuScenesSourceConfig, str, Path]] = []
    monkeypatch.setattr(source, "fetch_nuscenes", lambda *arguments: calls.append(arguments))
    for version, scale in (("v1.0-mini", "mini"), ("v1.0-trainval", "full")):
        root = fetch_from_configuration(config_folder, "nuscenes", version, Path("mine"))
        assert root == Path("results") / scale / "data/nuscenes/street"
        assert (calls[-1][0].archives, calls[-1][1:]) == ("mine", (version, root))
    fetch_from_configuration(config_folder, "nuscenes", "v1.0-mini", None)
    assert calls[-1][0].archives == "data/nuscenes"


def test_other_names_are_refused(config_folder: Path) -> None:
    with pytest.raises(UserError, match=r"v1\.0-mini, v1\.0-trainval"):
        fetch_from_configuration(config_folder, "nuscenes", "v1.0-test", None)
    with pytest.raises(UserError, match="no data set 'kitti'"):
        fetch_from_configuration(config_folder, "kitti", "v1.0-mini", None)
