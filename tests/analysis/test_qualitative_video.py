"""The video's scene: chosen without predictions, track numbers stable over the scene."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nexusflow.analysis.qualitative import choose_frame
from nexusflow.analysis.qualitative_video import choose_scene, collect_video
from nexusflow.core.errors import UserError
from nexusflow.data.nuscenes.scenes import SceneEntry
from nexusflow.evaluation.predictions import TrackedFrame, write_map, write_tracking
from nexusflow.paper.config import Figure6Config
from nexusflow.paper.pictures_config import VideoConfig
from nexusflow.paper.video_data import load_video

RUNS = {
    "baseline": {"run": "baseline", "label": "Baseline"},
    "ours": {"run": "nexusflow_two_stage", "label": "Ours"},
}
VIDEO = VideoConfig.model_validate({**RUNS, "tail_frames": 1})
# Boxes of the frames of four scenes of two key frames each.
COUNTS = [9, 9, 1, 2, 0, 3, 8, 8]


def cache() -> Any:
    """Four scenes; the tracks of Boston were never labelled."""
    offsets = np.concatenate([[0], np.cumsum(COUNTS)])
    places = [
        ("a", "train", "boston"),
        ("b", "val", "boston"),
        ("c", "val", "boston"),
        ("d", "val", "singapore"),
    ]
    scenes = [
        SceneEntry(name, name, city, city, split, 2 * index, 2)
        for index, (name, split, city) in enumerate(places)
    ]
    total, frames = int(offsets[-1]), len(COUNTS)
    boxes_M9 = np.zeros((total, 9), np.float32)
    boxes_M9[:, 0], boxes_M9[:, 3:6] = np.arange(total), 1.0
    images = np.zeros((frames, 6, 3, 4, 8), np.uint8)
    images[:] = np.arange(6)[None, :, None, None, None]
    return SimpleNamespace(
        scenes=scenes,
        scenes_of=lambda split: [scene for scene in scenes if scene.split == split],
        offsets_F1=offsets,
        boxes_of=lambda frame: slice(int(offsets[frame]), int(offsets[frame + 1])),
        boxes_M9=boxes_M9,
        labels_M=np.full(total, 2),
        instances_M=np.arange(total) % 3 + 40,
        sample_tokens=[f"t{frame}" for frame in range(frames)],
        ego2global_F44=np.tile(np.eye(4), (frames, 1, 1)),
        ego2img_FN44=np.tile(np.eye(4, dtype=np.float32), (frames, 6, 1, 1)),
        images_FNCHW=images,
        map_FKHW=np.zeros((frames, 4, 10, 10), np.uint8),
        timestamps_F=100.0 + 0.5 * np.arange(frames),
    )


def write_run(
    folder: Path, ids: tuple[list[int], list[int]], scores: tuple[list[float], list[float]]
) -> Path:
    """Write predictions of the two key frames of scene c."""
    frames = [
        TrackedFrame(
            f"t{4 + index}",
            np.ones((len(ids[index]), 9)),
            np.full(len(ids[index]), 2),
            np.array(scores[index]),
            ids[index],
            np.eye(4),
        )
        for index in range(2)
    ]
    write_tracking(folder / "tracking.json", frames)
    write_map(folder / "map.npz", np.zeros((2, 4, 10, 10), bool), ["t4", "t5"], 25.0)
    return folder


def test_the_scene_is_that_of_figure_6() -> None:
    assert choose_scene(cache(), VIDEO).name == "c"
    scene, _ = choose_frame(cache(), Figure6Config.model_validate(RUNS))
    assert cache().scenes[scene].name == "c"


def test_a_scene_can_be_fixed_and_an_unknown_one_is_named() -> None:
    assert choose_scene(cache(), VIDEO.model_copy(update={"scene": "d"})).name == "d"
    for name in ("a", "z"):
        with pytest.raises(UserError, match=r"video\.scene"):
            choose_scene(cache(), VIDEO.model_copy(update={"scene": name}))


def test_numbers_are_stable_and_drawn_tracks_come_first(tmp_path: Path) -> None:
    baseline = write_run(tmp_path / "baseline", ([31], [31, 7]), ([0.9], [0.9, 0.9]))
    ours = write_run(tmp_path / "ours", ([5, 6], [6, 5]), ([0.1, 0.8], [0.8, 0.2]))
    path = tmp_path / "video.npz"
    collect_video(VIDEO, cache(), baseline, ours, 25.0, {"seed": 0}, path)
    video = load_video(path)
    assert dict(video.info) == {"seed": 0, "scene": "c", "city": "boston"}
    assert [frame.time_s for frame in video.frames] == [0.0, 0.5]
    assert [frame.baseline.ids_K.tolist() for frame in video.frames] == [[1], [1, 2]]
    # Track 5 is never drawn, so it comes after track 6, although it is seen first.
    assert [frame.ours.ids_K.tolist() for frame in video.frames] == [[2, 1], [1, 2]]
    assert video.frames[1].ours.tail_ids_P.tolist() == [2, 1]
    assert [len(frame.truth.ids_K) for frame in video.frames] == [0, 3]
    # Cameras: front left, front, front right are 2, 0 and 1 of the rig.
    assert video.frames[0].images_NHW3[:, 0, 0, 0].tolist() == [2, 0, 1]
    assert video.frames[0].baseline.label == "Baseline"
