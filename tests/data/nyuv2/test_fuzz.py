"""Damaged NYUv2 roots: a sentence that names the file, and no output; never another exception."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.files import FOLDERS, write_image
from tests.data.nyuv2.conftest import READER, make_image

EXAMPLES = 120 * int(os.environ.get("NEXUSFLOW_FUZZ", "1"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training images and one validation image."""
    root = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for index in range(count):
            write_image(root / split, index, make_image(rng, 0.5))
    return root


def npy(array: Any, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def archive(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, array=array)
    return buffer.getvalue()


def wrong_values(draw: st.DrawFn, array: np.ndarray) -> bytes:
    changed = array.astype(
        draw(st.sampled_from(["float32", "float64", "int64", "int8", "complex64", "bool"]))
    )
    place = draw(st.integers(0, changed.size - 1))
    values = [-5.0, 100.0, 0.5, 0.0, 1e30, float("nan"), float("inf")]
    with np.errstate(all="ignore"):
        changed.reshape(-1)[place] = np.array(draw(st.sampled_from(values))).astype(changed.dtype)
    return npy(changed)


def wrong_shape(draw: st.DrawFn, array: np.ndarray) -> bytes:
    shapes = [array[:-1], array[None], array.reshape(-1), array[:0], array.T, np.float32(1.0), array[..., :1]]
    return npy(draw(st.sampled_from(shapes)))


def wrong_bytes(draw: st.DrawFn, array: np.ndarray) -> bytes:
    content = bytearray(npy(array))
    how = draw(st.sampled_from(["cut", "flip", "flip", "flip", "other"]))
    if how == "cut":
        return bytes(content[: draw(st.integers(0, len(content) - 1))])
    if how == "flip":
        # The header is what a reader trusts.
        content[draw(st.integers(0, 127))] = draw(st.integers(0, 255))
        return bytes(content)
    objects = npy(np.array([{"a": 1}], dtype=object), pickled=True)
    return draw(
        st.sampled_from([b"", b"PK\x03\x04", b"\x80\x04.", b"<html>", objects, archive(array), npy(["text"])])
    )


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_root_is_a_sentence(whole: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, cache = Path(name) / "root", Path(name) / "cache"
        shutil.copytree(whole, root, copy_function=os.link)
        split, folder = data.draw(st.sampled_from(["train", "val"])), data.draw(st.sampled_from(FOLDERS))
        path = root / split / folder / "0.npy"
        act = data.draw(st.sampled_from([wrong_values, wrong_shape, wrong_bytes, wrong_bytes, None]))
        content = act(data.draw, np.load(path, allow_pickle=False)) if act else None
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        try:
            build_cache(READER, root, cache)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            assert not list(cache.glob("*")), "partial output"
        else:
            arrays = [np.load(file, allow_pickle=False) for file in cache.glob("*.npy")]
            assert len(arrays) == 4 and all(np.isfinite(array).all() for array in arrays)
