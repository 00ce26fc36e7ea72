"""Prediction in lock step: kept BEV grids give what encoding again gives, as far as they fit."""

from collections.abc import Iterator

import pytest
import torch

from nexusflow.bev.config import BEVModelConfig
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.evaluation.config import EvaluationConfig
from nexusflow.suites.nuscenes import predict
from nexusflow.suites.nuscenes.config import TrackerSearchConfig
from nexusflow.suites.nuscenes.predict import GridMemory, PredictionJob, stream_scenes
from nexusflow.suites.nuscenes.suite import build_model


@pytest.fixture(scope="module")
def job(tiny_cache: NuScenesCache) -> Iterator[PredictionJob]:
    model = build_model(BEVModelConfig(), 0).eval()
    yield PredictionJob(model, tiny_cache, {}, TrackerSearchConfig(), EvaluationConfig(), "32-true")


def outcome(
    job: PredictionJob, birth: float, memory: GridMemory | None, with_map: bool = True
) -> list[torch.Tensor]:
    thresholds = job.model.config.thresholds.model_copy(update={"birth": birth, "keep": birth})
    tensors = []
    for frame, prediction in stream_scenes(job, job.cache.scenes[:2], thresholds, memory, with_map):
        tensors += [torch.tensor(frame), prediction.boxes_P9, prediction.scores_P, prediction.track_ids_P]
        if with_map:
            tensors.append(prediction.map_KHW)
        else:
            assert prediction.map_KHW.numel() == 0
    return tensors


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return len(first) == len(second) and all(map(torch.equal, first, second))


def test_tracks_do_not_need_the_map(job: PredictionJob) -> None:
    with_maps, without = outcome(job, 0.001, None), outcome(job, 0.001, None, with_map=False)
    assert equal(without, [x for place, x in enumerate(with_maps) if place % 5 != 4])


def count_encoded(job: PredictionJob, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    encoded: list[int] = []
    encode = job.model._features

    def counting(images: torch.Tensor) -> torch.Tensor:
        encoded.append(len(images))
        return encode(images)

    monkeypatch.setattr(job.model, "_features", counting)
    return encoded


def test_kept_grids_change_no_prediction(job: PredictionJob, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [outcome(job, birth, None) for birth in (0.001, 0.02)]
    assert not equal(alone[0], alone[1]), "the thresholds must matter here"
    encoded = count_encoded(job, monkeypatch)
    memory = GridMemory()
    first = outcome(job, 0.001, memory)
    calls = len(encoded)
    second = outcome(job, 0.02, memory)
    assert equal(first, alone[0]) and equal(second, alone[1])
    assert len(encoded) == calls > 0


def test_what_does_not_fit_is_encoded_again(job: PredictionJob, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = outcome(job, 0.02, None)
    encoded = count_encoded(job, monkeypatch)
    monkeypatch.setattr(predict, "_GRID_MEMORY", 0)
    memory = GridMemory()
    assert equal(outcome(job, 0.02, memory), alone)
    calls = len(encoded)
    assert equal(outcome(job, 0.02, memory), alone)
    assert len(encoded) == 2 * calls > 0
