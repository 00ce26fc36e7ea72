"""The frame format: round trip, stable bytes, errors that name the file and the array."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.qualitative_data import load_qualitative, save_qualitative
from tests.paper.fabricate import make_frame


def test_round_trip_and_stable_bytes(tmp_path: Path) -> None:
    frame = make_frame()
    save_qualitative(frame, tmp_path / "a.npz")
    save_qualitative(frame, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    read = load_qualitative(tmp_path / "a.npz")
    assert np.array_equal(read.images_NHW3, frame.images_NHW3)
    assert (read.bev_half_m, dict(read.info)) == (frame.bev_half_m, dict(frame.info))
    for name in ("baseline", "ours", "truth"):
        for item in fields(frame.truth):
            assert np.array_equal(
                getattr(getattr(read, name), item.name), getattr(getattr(frame, name), item.name)
            )


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    frame = make_frame()
    broken = replace(frame, ours=replace(frame.ours, labels_K=frame.ours.labels_K[:-1]))
    with pytest.raises(UserError, match=r"a\.npz: array 'ours/labels_K' must be of shape \(8,\)"):
        save_qualitative(broken, tmp_path / "a.npz")
    broken = replace(frame, truth=replace(frame.truth, labels_K=frame.truth.labels_K + 7))
    with pytest.raises(UserError, match="'truth/labels_K' must be between 0 and 6"):
        save_qualitative(broken, tmp_path / "a.npz")
    with pytest.raises(UserError, match="'images' must be of type uint8"):
        save_qualitative(replace(frame, images_NHW3=frame.images_NHW3.astype(float)), tmp_path / "a.npz")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    save_qualitative(make_frame(0), tmp_path / "a.npz")
    save_qualitative(make_frame(1), tmp_path / "b.npz")
    (tmp_path / "a.npz").write_bytes((tmp_path / "b.npz").read_bytes())
    with pytest.raises(UserError, match=r"a\.json: key 'npz_sha256' does not fit"):
        load_qualitative(tmp_path / "a.npz")


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(UserError, match=r"a\.json is missing"):
        load_qualitative(path)
    save_qualitative(make_frame(), path)
    meta = read_json(tmp_path / "a.json")
    write_json(tmp_path / "a.json", {key: value for key, value in meta.items() if key != "layers"})
    with pytest.raises(UserError, match="has no key 'layers'"):
        load_qualitative(path)
    write_json(tmp_path / "a.json", meta)
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match=r"a\.npz is not a readable"):
        load_qualitative(path)
    path.unlink()
    with pytest.raises(UserError, match=r"a\.npz is missing"):
        load_qualitative(path)
