"""The official files: split, class mappings, and every way in which they may be damaged."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.convert import convert_official
from nexusflow.data.nyuv2.official import OfficialFiles, class_table, read_splits
from nexusflow.data.nyuv2.vocabulary import CLASSES
from tests.data.nyuv2.conftest import SIZE, record


def test_the_split_is_sorted_and_counts_from_zero(official: OfficialFiles) -> None:
    splits = read_splits(official.splits)
    assert splits["train"].tolist() == [1, 2, 4] and splits["val"].tolist() == [0, 3]


def test_the_mappings_are_chained(official: OfficialFiles) -> None:
    # raw 0 = no label; raw 1 → 2 (of 40) → 5 (of 13) → 4 from zero; raw 4 → 3 → 6 → 5
    assert class_table(official.mapping40, official.mapping13).tolist() == [-1, 4, 11, 6, 5]


def test_real_label_maps_and_their_mapping_agree(real_folder: Path) -> None:
    table = class_table(real_folder / "meta/classMapping40.mat", real_folder / "meta/class13Mapping.mat")
    assert len(table) == 895 and table[0] == -1 and set(table[1:].tolist()) == set(range(13))
    splits = read_splits(real_folder / "meta/splits.mat")
    assert (len(splits["train"]), len(splits["val"])) == (795, 654)
    assert set(splits["train"]) | set(splits["val"]) == set(range(1449))
    names = sorted(path.stem for path in (real_folder / "label13").glob("*.png"))
    assert len(names) == 8
    assert {int(name) - 1 for name in names} <= set(splits["val"].tolist())


# What the published tables say, by the names that they carry.
KNOWN = {
    "bed": "bed",
    "books": "books",
    "ceiling": "ceiling",
    "chair": "chair",
    "floor": "floor",
    "cabinet": "furniture",
    "lamp": "objects",
    "picture": "picture",
    "sofa": "sofa",
    "desk": "table",
    "television": "tv",
    "door": "wall",
    "wall": "wall",
    "blinds": "window",
    "window": "window",
}


def test_raw_names_become_the_right_classes(real_folder: Path) -> None:
    meta = real_folder / "meta"
    table = class_table(meta / "classMapping40.mat", meta / "class13Mapping.mat")
    names = [str(name[0]) for name in loadmat(meta / "classMapping40.mat")["allClassName"].ravel()]
    assert {raw: CLASSES[table[names.index(raw) + 1]] for raw in KNOWN} == KNOWN
    theirs = loadmat(meta / "class13Mapping.mat")["classMapping13"]["classNames"][0, 0].ravel()
    assert [str(name[0]) for name in theirs] == list(CLASSES)


def html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html>Not found</html>")


def replaced(key: str, value: np.ndarray | None) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[key]
            if value is None:
                file.create_group(key)
            else:
                file[key] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("labelled", html, "web page"),
        ("labelled", Path.unlink, "is missing"),
        ("labelled", lambda p: p.write_bytes(p.read_bytes()[:2000]), "truncated or no HDF5"),
        ("labelled", replaced("depths", np.ones((3, 64, 48), np.float32)), "do not fit"),
        ("labelled", replaced("labels", np.ones((5, 60, 48), np.uint16)), "do not fit"),
        ("labelled", replaced("images", np.ones((5, 64, 48), np.uint8)), "do not fit"),
        ("labelled", replaced("images", np.ones((5, 3, 64, 48), np.float32)), "`images` holds float32"),
        ("labelled", replaced("depths", None), "no variable `depths`"),
        ("labelled", replaced("depths", np.full((5, 64, 48), np.nan, np.float32)), "image 2 holds NaN"),
        ("labelled", replaced("depths", np.full((5, 64, 48), -1, np.float32)), "or negative values"),
        ("labelled", replaced("labels", np.full((5, 64, 48), 200, np.uint16)), "label 200"),
        ("splits", html, "web page"),
        ("splits", lambda p: p.write_bytes(b"MATLAB 5.0"), "no readable MATLAB"),
        ("splits", lambda p: savemat(p, {"other": [1]}), "no variable `trainNdxs`"),
        ("splits", lambda p: savemat(p, {"trainNdxs": [1, 2], "testNdxs": [2, 3]}), "different numbers"),
        ("splits", lambda p: savemat(p, {"trainNdxs": [1, 2], "testNdxs": [9]}), "beyond the 5"),
        ("splits", lambda p: savemat(p, {"trainNdxs": [1, 1], "testNdxs": [3]}), "different numbers"),
        ("splits", lambda p: savemat(p, {"trainNdxs": np.zeros((0, 1)), "testNdxs": [3]}), "is empty"),
        ("splits", lambda p: savemat(p, {"trainNdxs": ["a"], "testNdxs": [3]}), "does not hold numbers"),
        ("mapping40", html, "web page"),
        ("mapping40", lambda p: savemat(p, {"mapClass": [[41]]}), "numbers up to 40"),
        ("mapping40", lambda p: savemat(p, {"mapClass": [[1, 2]]}), "maps 2 classes only"),
        ("mapping13", Path.unlink, "is missing"),
        ("mapping13", lambda p: savemat(p, {"classMapping13": [1, 2]}), "no field `labels13`"),
        ("mapping13", lambda p: savemat(p, {"classMapping13": record([14] * 40)}), "numbers up to 13"),
    ],
)
def test_a_bad_official_file_is_one_sentence(
    official: OfficialFiles, tmp_path: Path, name: str, change: Callable[[Path], None], message: str
) -> None:
    path = getattr(official, name)
    change(path)
    with pytest.raises(UserError, match=message) as caught:
        convert_official(official, tmp_path / "root", *SIZE)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not list((tmp_path / "root").rglob("*")), "something half-written was left"
