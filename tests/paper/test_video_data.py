"""The archive of a scene: round trip, stable bytes, errors that name the file and the array."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.archive import write_archive
from nexusflow.paper.video_data import SceneVideo, load_video, save_video
from tests.paper.fabricate_pictures import make_video


def test_round_trip_and_stable_bytes(tmp_path: Path) -> None:
    video = make_video()
    # Key frames differ in their numbers of boxes and tail points.
    first = video.frames[0]
    none = replace(
        first.ours,
        **{item.name: getattr(first.ours, item.name)[:0] for item in fields(first.ours) if "_K" in item.name},
    )
    video = replace(video, frames=(replace(first, ours=none), *video.frames[1:]))
    for name in ("a", "b"):
        save_video(video, tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    read = load_video(tmp_path / "a.npz")
    assert (read.bev_half_m, dict(read.info)) == (video.bev_half_m, dict(video.info))
    assert [frame.time_s for frame in read.frames] == [0.0, 0.5, 1.0]
    for found, wanted in zip(read.frames, video.frames, strict=True):
        assert np.array_equal(found.images_NHW3, wanted.images_NHW3)
        assert np.array_equal(found.ego2img_N44, wanted.ego2img_N44)
        for name in ("baseline", "ours", "truth"):
            for item in fields(found.truth):
                assert np.array_equal(
                    getattr(getattr(found, name), item.name), getattr(getattr(wanted, name), item.name)
                )


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    video = make_video(2)
    second = video.frames[1]
    path = tmp_path / "a.npz"

    def spoiled(**change: object) -> SceneVideo:
        return replace(video, frames=(video.frames[0], replace(second, **change)))

    with pytest.raises(UserError, match=r"'images' must be of one size in all key frames"):
        save_video(spoiled(images_NHW3=second.images_NHW3[:, 2:]), path)
    with pytest.raises(UserError, match=r"'images' must be of shape \(F, 3, H, W, 3\)"):
        save_video(spoiled(images_NHW3=second.images_NHW3[1:]), path)
    with pytest.raises(UserError, match=r"'ours/labels_K' must be of shape"):
        save_video(spoiled(ours=replace(second.ours, labels_K=second.ours.labels_K[1:])), path)
    with pytest.raises(UserError, match=r"'times' must be of one key frame at least"):
        save_video(replace(video, frames=()), path)
    assert list(tmp_path.iterdir()) == []


def test_counts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_video(make_video(2), path)
    meta = read_json(path.with_suffix(".json"))
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    write_archive(path, arrays | {"ours/boxes": arrays["ours/boxes"] + 1}, meta)
    with pytest.raises(UserError, match=r"a\.npz: array 'ours/boxes' must be of 2 key frames and fit"):
        load_video(path)
    write_archive(path, arrays, {**meta, "layers": {}})
    with pytest.raises(UserError, match=r"a\.json: key 'layers\.baseline' needs"):
        load_video(path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_video(make_video(1), path)
    meta = read_json(path.with_suffix(".json"))
    write_json(path.with_suffix(".json"), {**meta, "npz_sha256": "0"})
    with pytest.raises(UserError, match="'npz_sha256' does not fit"):
        load_video(path)
