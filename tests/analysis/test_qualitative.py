"""Figure 6's frame: chosen without predictions."""

from types import SimpleNamespace

import numpy as np
import pytest

from nexusflow.analysis.qualitative import choose_frame
from nexusflow.core.errors import UserError
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
