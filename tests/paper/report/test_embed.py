"""Pictures become part of the page, at a size that a phone can open."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from nexusflow.core.errors import UserError
from nexusflow.paper.report.embed import embed_picture


def test_a_small_picture_stays_as_it_is(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    picture = embed_picture(tmp_path / "a.png")
    assert base64.b64decode(picture.uri.split(",")[1]) == (tmp_path / "a.png").read_bytes()
    assert (picture.width, picture.height) == (60, 40)


def test_a_wide_picture_keeps_its_proportions(tmp_path: Path) -> None:
    Image.new("RGB", (3200, 800), "blue").save(tmp_path / "a.png")
    picture = embed_picture(tmp_path / "a.png")
    with Image.open(io.BytesIO(base64.b64decode(picture.uri.split(",")[1]))) as small:
        assert small.size == (picture.width, picture.height) == (1600, 400)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(UserError, match=r"a\.png is no picture"):
        embed_picture(tmp_path / "a.png")
