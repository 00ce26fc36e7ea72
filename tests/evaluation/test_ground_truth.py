"""True tracks from the tables, with the official filters."""

import json
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.ground_truth import load_ground_truth, official_split, split_scenes
from nexusflow.evaluation.tracking import official_class_range
from tests.evaluation.world import VERSION, Thing, prediction, write_world

RACK = Thing("static_object.bicycle_rack", [(510.0, 905.0)] * 2)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    things = [
        Thing("car", [(510.0, 900.0), (512.0, 900.0)]),
        Thing("car", [(510.0, 910.0), None], points=0),
        Thing("pedestrian", [(500.0, 941.0), (500.0, 939.0)]),
        Thing("animal", [(501.0, 900.0)] * 2),
        RACK,
        Thing("bicycle", [(510.5, 905.5), (520.0, 905.0)]),
    ]
    write_world(tmp_path, {"scene-0003": things, "scene-0001": things}, frames=2)
    return tmp_path


def test_filters_and_order(world: Path) -> None:
    truth = load_ground_truth(world, VERSION, "val")
    assert truth.timeline.scenes == ["scene-0003"] and truth.timeline.cities == ["boston"]
    assert truth.timeline.sample_tokens == ["scene-0003-0", "scene-0003-1"]
    names = [TRACKING_CLASSES[label] for label in truth.tracks.label_N]
    # The car without points and the bicycle in the rack are gone; the pedestrian goes by its range of 40 m.
    assert names == ["car", "pedestrian", "car", "pedestrian", "bicycle"]
    near = truth.within_range(truth.tracks, official_class_range())
    assert [TRACKING_CLASSES[label] for label in near.label_N] == ["car", "car", "pedestrian", "bicycle"]
    np.testing.assert_array_equal(near.xy_N2[:2], [[510, 900], [512, 900]])


def test_predictions_pass_the_same_filters(world: Path) -> None:
    truth = load_ground_truth(world, VERSION, "val")
    token = "scene-0003-0"
    results = {
        token: [
            prediction(token, [510, 905, 1], "a", "bicycle", 0.5),
            prediction(token, [510, 905, 1], "b", "car", 0.5),
            prediction(token, [500, 945, 1], "c", "pedestrian", 0.5),
            prediction(token, [500, 945, 1], "d", "car", 0.25),
        ],
        "scene-0003-1": [prediction("scene-0003-1", [500, 945, 1], "b", "car", 0.75)],
    }
    tracks = truth.submission_tracks(results, official_class_range())
    assert tracks.score_N.tolist() == [0.5, 0.25, 0.75]
    assert tracks.track_N[0] == tracks.track_N[2] != tracks.track_N[1]


def test_other_scenes_can_be_left_out(world: Path) -> None:
    assert load_ground_truth(world, VERSION, "train").timeline.scenes == ["scene-0001"]
    with pytest.raises(UserError, match="none of the wanted scenes"):
        load_ground_truth(world, VERSION, "val", ["scene-0001"])


def test_mini_has_its_own_splits() -> None:
    assert official_split("val", "v1.0-mini") == "mini_val" and len(split_scenes("mini_val")) == 2
    assert official_split("mini_val", "v1.0-mini") == "mini_val"
    assert official_split("val", VERSION) == "val"


def test_unusable_data_is_named(world: Path) -> None:
    with pytest.raises(UserError, match="no split 'everything'"):
        split_scenes("everything")
    (world / VERSION / "ego_pose.json").write_text(json.dumps([]))
    with pytest.raises(UserError, match="ego pose"):
        load_ground_truth(world, VERSION, "val")
    (world / VERSION / "scene.json").unlink()
    with pytest.raises(UserError, match=r"scene\.json is missing"):
        load_ground_truth(world, VERSION, "val")
