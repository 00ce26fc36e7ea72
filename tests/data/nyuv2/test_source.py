"""The pre-processed folder takes the place of the official files."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.config import NYUv2SourceConfig
from nexusflow.data.nyuv2.source import fetch_nyuv2
from tests.data.nyuv2.conftest import READER


def test_a_preprocessed_folder_is_linked(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    fetch_nyuv2(NYUv2SourceConfig(preprocessed=str(root)), READER, target)
    assert (target / "train/image/0.npy").read_bytes() == (root / "train/image/0.npy").read_bytes()
    assert '"train": 7' in (target / "manifest.json").read_text()


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train/image is missing"):
        fetch_nyuv2(NYUv2SourceConfig(preprocessed=str(tmp_path / "none")), READER, tmp_path / "data")
