"""A whole prediction folder, scored."""

import json
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.evaluation.evaluate import evaluate_predictions
from nexusflow.evaluation.fast_tracking import TrackingScores, evaluate_tracks
from nexusflow.evaluation.predictions import write_map
from nexusflow.evaluation.reference import write_reference
from tests.evaluation.test_reference import Cache, small_cache
from tests.evaluation.world import VERSION, noisy_results, random_world, split_of, write_submission

VAL = ("scene-0003", "scene-0012")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    random_world(root, 11, VAL, frames=3, per_class=2)
    return root


@pytest.fixture
def cache() -> Cache:
    return small_cache(cells=6)


def _folder(path: Path, world: Path, cache: Cache) -> Path:
    """Noisy tracks, and the true map of the validation split but for one wrong frame in Singapore."""
    write_submission(path / "tracking.json", split_of(noisy_results(world, 11), VAL))
    rows = [3, 4, 5, 9, 10, 11]
    masks = cache.map_FKHW[rows].copy()
    masks[5] = 1 - masks[5]
    write_map(path / "map.npz", masks[::-1], [cache.sample_tokens[k] for k in rows][::-1], 25.0)
    return path


def test_metrics_of_a_prediction_folder(tmp_path: Path, world: Path, cache: Cache) -> None:
    folder = _folder(tmp_path, world, cache)
    metrics = evaluate_predictions(folder, cache, world, VERSION, "val", 50.0)
    assert set(metrics) == {"overall", "boston", "singapore", "check", "resampled"}
    assert metrics["resampled"]["groups"] == 2
    names = {"AMOTA", "AMOTP", "Recall", "IDS", "MOTA", "Lanes", "Drivable", "Divider", "Crossing", "Contour"}
    for region in ("overall", "boston", "singapore"):
        assert names | {"AMOTA/car"} <= set(metrics[region])
        assert isinstance(metrics[region]["IDS"], int)
    assert metrics["boston"]["Lanes"] == 100 and metrics["singapore"]["Lanes"] < 100
    assert metrics["boston"]["Crossing"] is None  # neither there nor predicted in Boston
    assert 0 < metrics["overall"]["AMOTA"] < 1
    assert max(metrics["check"].values()) < 1e-12
    write_json(tmp_path / "metrics.json", metrics)  # plain numbers without nan
    fast = evaluate_predictions(folder, cache, world, VERSION, "val", 50.0, official=False)
    assert fast["check"] == {} and fast["boston"] == metrics["boston"]
    assert fast["overall"] == pytest.approx(metrics["overall"], abs=1e-9)


def test_disagreement_with_the_devkit_is_noticed(
    tmp_path: Path, world: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: object) -> TrackingScores:
        scores = evaluate_tracks(*arguments)  # type: ignore[arg-type]
        scores.classes["car"]["amota"] += 1e-6
        return scores

    monkeypatch.setattr("nexusflow.evaluation.evaluate.evaluate_tracks", wrong)
    with pytest.raises(AssertionError, match="amota"):
        evaluate_predictions(_folder(tmp_path, world, cache), cache, world, VERSION, "val")


def test_the_reference_can_be_scored(tmp_path: Path, world: Path, cache: Cache) -> None:
    write_reference(tmp_path, cache, 25.0)
    overall = evaluate_predictions(tmp_path, cache, world, VERSION, "val", official=False)["overall"]
    assert (overall["AMOTA"], overall["AMOTP"], overall["IDS"]) == (0, 2, 0)
    assert 0 < overall["Drivable"] < 100


def test_missing_maps_are_named(tmp_path: Path, world: Path, cache: Cache) -> None:
    folder = _folder(tmp_path, world, cache)
    write_map(folder / "map.npz", cache.map_FKHW[3:5], cache.sample_tokens[3:5], 25.0)
    with pytest.raises(UserError, match="lacks 4 samples, first scene-0003-2"):
        evaluate_predictions(folder, cache, world, VERSION, "val")
    write_map(folder / "map.npz", np.zeros((12, 4, 5, 5), np.uint8), cache.sample_tokens, 25.0)
    with pytest.raises(UserError, match="map_cells"):
        evaluate_predictions(folder, cache, world, VERSION, "val")


def test_missing_tracks_are_named(tmp_path: Path, world: Path, cache: Cache) -> None:
    folder = _folder(tmp_path, world, cache)
    content = json.loads((folder / "tracking.json").read_text())
    del content["results"]["scene-0012-1"]
    (folder / "tracking.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="lacks 1 of 6 samples, first scene-0012-1"):
        evaluate_predictions(folder, cache, world, VERSION, "val")
