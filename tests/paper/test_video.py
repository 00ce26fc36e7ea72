"""The video: two strips per key frame, pace and key frame drawn, equal bytes."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nexusflow.core.errors import UserError
from nexusflow.paper.video import draw_video_frame, write_video
from nexusflow.paper.video_data import save_video
from tests.paper.fabricate_pictures import make_video


def test_two_strips_of_three_cameras_and_a_map() -> None:
    fig = draw_video_frame(make_video(), 1)
    assert len(fig.axes) == 8
    texts = [text.get_text() for text in fig.texts]
    heads = [text for text in texts if text in ("Baseline (UniAD)", "Ours (two stage)")]
    assert heads == ["Baseline (UniAD)", "Ours (two stage)"]
    cameras = [{text.get_text() for text in axes.texts} for axes in fig.axes]
    for shown, name in zip(
        cameras[:3] + cameras[4:7], 2 * ["front left", "front", "front right"], strict=True
    ):
        assert name in shown


def test_key_frame_pace_and_source_are_drawn() -> None:
    text = "\n".join(text.get_text() for text in draw_video_frame(make_video(5), 2, 4.0).texts)
    assert "key frame 2 of 4, 1.0 s" in text
    # Key frames are half a second apart: four per second are twice as fast as they were recorded.
    assert "4 key frames per second, 2 × real time" in text
    assert "scene scene-0000, city boston, seed 0, scale smoke" in text


def test_threshold_removes_boxes() -> None:
    def numbers(threshold: float) -> set[str]:
        fig = draw_video_frame(make_video(1), 0, score_threshold=threshold)
        return {text.get_text() for text in fig.axes[3].texts}

    assert len(numbers(0.0)) == 5
    assert numbers(0.8) < numbers(0.0)


def test_single_key_frame_has_no_pace_to_compare() -> None:
    text = "\n".join(text.get_text() for text in draw_video_frame(make_video(1), 0).texts)
    assert "2 key frames per second; boxes" in text


def test_written_video_is_deterministic_and_as_long_as_the_scene(tmp_path: Path) -> None:
    video = make_video(2)
    save_video(video, tmp_path / "scene.npz")
    paths = [tmp_path / "a.gif", tmp_path / "b.gif"]
    for path in paths:
        write_video(tmp_path / "scene.npz", path, width_px=400, colours=64)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(paths[0]) as gif:
        assert (gif.n_frames, gif.width, gif.info["duration"]) == (2, 400, 500)


def test_one_key_frame_more_is_one_frame_more(tmp_path: Path) -> None:
    video = make_video(2)
    # Nothing moves between them but the key frame's number.
    still = replace(video, frames=(video.frames[0], replace(video.frames[0], time_s=0.5)))
    save_video(still, tmp_path / "scene.npz")
    write_video(tmp_path / "scene.npz", tmp_path / "a.gif", width_px=400, colours=64)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 2


def test_missing_scene_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        write_video(tmp_path / "none.npz", tmp_path / "a.gif")
