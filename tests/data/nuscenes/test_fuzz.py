"""Damaged nuScenes roots: a sentence that names the file, and no output; never another exception.

`NEXUSFLOW_FUZZ=10 pytest tests/data` tries ten times as many.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.build import FRAMES_FILE, IMAGES_FILE, INDEX_FILE, MAP_FILE, build_cache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.tables import TABLES
from tests.data.nuscenes.tiny_root import VERSION

EXAMPLES = 40 * int(os.environ.get("NEXUSFLOW_FUZZ", "1"))
CACHE = (FRAMES_FILE, IMAGES_FILE, INDEX_FILE, MAP_FILE)
WRONG: list[Any] = [
    *(None, True, "", "text", "dangling", -1, 0, 2.5, 10**12, float("nan"), float("inf"), float("-inf")),
    *([], {}, [None, None, None], [0.0] * 3, [0.0] * 4, [float("nan")] * 3, ["a"] * 4, [[1.0]], "../../x"),
]
FILES = [*(f"{VERSION}/{table}.json" for table in TABLES), "maps/expansion/boston-seaport.json"]


def copy_linked(root: Path, target: Path) -> None:
    """Copy by hard links; what is damaged is replaced, so that the original stays."""
    shutil.copytree(root, target, copy_function=os.link, dirs_exist_ok=True)


def put(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def damage_bytes(draw: st.DrawFn, path: Path) -> None:
    content = path.read_bytes()
    how = draw(st.sampled_from(["missing", "cut", "empty", "text", "other json"]))
    if how == "missing":
        path.unlink()
    elif how == "cut":
        put(path, content[: draw(st.integers(1, max(1, len(content) - 1)))])
    else:
        others = [b"[]", b"{}", b"[1]", b"null", b'[{"token": 1}]', b"[[]]", b'"x"']
        contents = {"empty": [b""], "text": [b"<html>"], "other json": others}
        put(path, draw(st.sampled_from(contents[how])))


def holders(value: Any) -> list[Any]:
    """Everything in a nested value that has something inside it."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if value and inside else []), *(x for child in inside for x in holders(child))]


def damage_record(draw: st.DrawFn, path: Path) -> None:
    content = json.loads(path.read_text())
    found = holders(content)
    if not found:
        return damage_bytes(draw, path)
    inside = draw(st.sampled_from(found))
    key = draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else list(range(len(inside)))))
    if draw(st.booleans()):
        inside[key] = draw(st.sampled_from(WRONG))
    else:
        del inside[key]
    return put(path, json.dumps(content).encode())


def build(config: NuScenesReaderConfig, root: Path, cache: Path) -> str | None:
    """Build the cache; the sentence of a mistake. Nothing may be left behind then."""
    try:
        build_cache(config, root, cache)
    except UserError as error:
        assert not any((cache / name).exists() for name in CACHE), "partial output"
        return str(error)
    with np.load(cache / "frames.npz", allow_pickle=False) as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files)
    return None


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_root_is_a_sentence(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, cache = Path(name) / "root", Path(name) / "cache"
        copy_linked(tiny_root, root)
        pictures = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
        file = data.draw(st.sampled_from([*FILES, *FILES, pictures[0], pictures[-1]]))
        act: Callable[[st.DrawFn, Path], None] = damage_bytes
        if file.endswith(".json") and data.draw(st.integers(0, 3)):
            act = damage_record
        act(data.draw, root / file)
        said = build(tiny_config, root, cache)
        assert said is None or (str(root) in said and "\n" not in said), said


def edited(table: str, function: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        path = root / VERSION / f"{table}.json"
        records = json.loads(path.read_text())
        function(records)
        put(path, json.dumps(records).encode())

    return act


def replaced(pattern: str, change: Callable[[bytes], bytes | None]) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        path = sorted(root.glob(pattern))[0]
        content = change(path.read_bytes())
        path.unlink()
        if content is not None:
            path.write_bytes(content)

    return act


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated JPEG": (replaced("samples/CAM_FRONT/*.jpg", lambda x: x[:-20]), "truncated or no image"),
    "empty JSON": (replaced(f"{VERSION}/sample.json", lambda x: b""), "sample.json"),
    "missing table": (replaced(f"{VERSION}/log.json", lambda x: None), "log.json is missing"),
    "dangling token": (
        edited("sample_data", lambda x: x[0].update(ego_pose_token="nobody")),
        "refers to no record|is missing",
    ),
    "NaN pose": (edited("ego_pose", lambda x: x[0].update(translation=[float("nan")] * 3)), "ego_pose.json"),
    "unknown city": (edited("log", lambda x: x[0].update(location="atlantis")), "atlantis"),
    "no key frames": (
        edited(
            "sample",
            lambda x: x.__setitem__(slice(None), [s for s in x if s["scene_token"] != x[0]["scene_token"]]),
        ),
        "json",
    ),
}


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_what_goes_wrong_in_practice_is_named(
    tiny_root: Path, tiny_config: NuScenesReaderConfig, tmp_path: Path, name: str
) -> None:
    act, said = DAMAGE[name]
    copy_linked(tiny_root, tmp_path / "root")
    act(tmp_path / "root")
    with pytest.raises(UserError, match=said):
        build_cache(tiny_config, tmp_path / "root", tmp_path / "cache")
    assert not any((tmp_path / "cache" / name).exists() for name in CACHE)
