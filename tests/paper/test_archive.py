"""Arrays with their JSON: written together, refused when they do not belong together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.archive import check_array, read_archive, read_entries, write_archive


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_archive(
        tmp_path / "x.npz", {"a": np.arange(3), "b": np.ones((2, 2))}, {"format": 4, "info": {"k": 1}}
    )
    return tmp_path / "x.npz"


def test_round_trip_and_equal_bytes(path: Path, tmp_path: Path) -> None:
    meta, arrays = read_archive(path, 4, ("info",))
    assert meta["info"] == {"k": 1}
    np.testing.assert_array_equal(read_entries(arrays, ["b", "a"], path)[1], [0, 1, 2])
    write_archive(tmp_path / "y.npz", arrays, {"format": 4, "info": {"k": 1}})
    assert path.read_bytes() == (tmp_path / "y.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 5}, "key 'format' is 5, not 4"),
        ({"npz_sha256": "0"}, r"key 'npz_sha256' does not fit x\.npz"),
        ({"info": None}, "has no key 'info'"),
    ],
)
def test_mistakes_in_the_json_are_named(path: Path, change: dict[str, Any], message: str) -> None:
    content = read_json(path.with_suffix(".json")) | change
    write_json(path.with_suffix(".json"), {key: value for key, value in content.items() if value is not None})
    with pytest.raises(UserError, match=message):
        read_archive(path, 4, ("info",))


def test_missing_and_damaged_files(path: Path) -> None:
    _, arrays = read_archive(path, 4, ())
    with pytest.raises(UserError, match=r"x\.npz has no array 'c'"):
        read_entries(arrays, ["c"], path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"is not a readable \.npz file"):
        read_archive(path, 4, ())
    path.unlink()
    with pytest.raises(UserError, match="is missing"):
        read_archive(path, 4, ())


def test_check_array() -> None:
    check_array(True, Path("f.npz"), "a", "square")
    with pytest.raises(UserError, match=r"f\.npz: array 'a' must be square"):
        check_array(False, Path("f.npz"), "a", "square")
