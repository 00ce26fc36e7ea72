"""Figure 6's frame: chosen without predictions, boxes back in the ego frame."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nexusflow.analysis.qualitative import _boxes_in_ego, choose_frame
from nexusflow.core.errors import UserError
from nexusflow.evaluation.predictions import TrackedFrame, submission_boxes
from nexusflow.paper.config import Figure6Config

FIGURE = Figure6Config(
    baseline={"run": "baseline", "label": "Baseline"}, ours={"run": "nexusflow_two_stage", "label": "Ours"}
)


def cache() -> SimpleNamespace:
    def scene(name: str, split: str, city: str, first: int) -> SimpleNamespace:
        return SimpleNamespace(name=name, split=split, city=city, first_frame=first, num_frames=3)

    scenes = [
        scene("a", "train", "boston", 0),
        scene("b", "val", "boston", 3),
        scene("c", "val", "singapore", 6),
    ]
    return SimpleNamespace(scenes=scenes, offsets_F1=np.array([0, 9, 9, 9, 10, 14, 15, 40, 40, 40]))


def test_the_fullest_frame_of_the_city_without_tracks() -> None:
    assert choose_frame(cache(), FIGURE) == (1, 4)  # type: ignore[arg-type]


def test_scene_and_frame_can_be_fixed() -> None:
    fixed = FIGURE.model_copy(update={"scene": "c", "key_frame": 2})
    assert choose_frame(cache(), fixed) == (2, 8)  # type: ignore[arg-type]


def test_an_unknown_scene_is_named() -> None:
    with pytest.raises(UserError, match=r"figure6\.scene"):
        choose_frame(cache(), FIGURE.model_copy(update={"scene": "z"}))  # type: ignore[arg-type]


def test_boxes_come_back_from_the_global_frame(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    boxes_K9 = rng.uniform(1, 5, (6, 9))
    boxes_K9[:, 6] = rng.uniform(-3, 3, 6)
    angle = 0.7
    ego2global_44 = np.eye(4)
    ego2global_44[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    ego2global_44[:3, 3] = [100.0, -40.0, 2.0]
    frame = TrackedFrame("token", boxes_K9, np.arange(6), np.full(6, 0.5), np.arange(6), ego2global_44)
    back_K9, labels_K, scores_K, names = _boxes_in_ego(submission_boxes(frame), ego2global_44)
    np.testing.assert_allclose(back_K9, boxes_K9, atol=1e-3)
    assert labels_K.tolist() == list(range(6))
    assert names == [str(k) for k in range(6)]
    np.testing.assert_allclose(scores_K, 0.5)
