"""The nuScenes suite: hidden labels do nothing, and one clip can be learned by heart."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nexusflow.bev.config import BEVModelConfig
from nexusflow.core.errors import UserError
from nexusflow.core.parts import BatchPart
from nexusflow.data.nuscenes.batch import ClipBatch, collate_clips
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.partition import build_partition, read_partition, write_partition
from nexusflow.evaluation.config import EvaluationConfig
from nexusflow.evaluation.evaluate import evaluate_predictions
from nexusflow.methods.supervised import Supervised
from nexusflow.suites.nuscenes.config import TrackerSearchConfig
from nexusflow.suites.nuscenes.predict import PredictionJob, predict_run
from nexusflow.suites.nuscenes.suite import BatchPlan, NuScenesSuite, architecture_of
from nexusflow.training.config import TrainingConfig
from nexusflow.training.loop import fit
from nexusflow.training.resume import ResumeFiles

MODEL = BEVModelConfig()


def partition(cache: NuScenesCache, kind: str, folder: Path) -> dict[str, dict[str, bool]]:
    path = folder / f"{kind}.csv"
    write_partition(build_partition(cache.scenes, kind, seed=0), path)  # type: ignore[arg-type]
    return read_partition(path)


def gradients(suite: NuScenesSuite, batch: ClipBatch) -> list[Tensor]:
    suite.model.zero_grad()
    result = suite.forward(batch, step=0, single_frame=False)
    torch.stack(list(result.losses.values())).sum().backward()
    return [p.grad.clone() for p in suite.model.parameters() if p.grad is not None]


def test_changing_a_hidden_label_changes_no_gradient(tiny_cache: NuScenesCache, tmp_path: Path) -> None:
    suite = NuScenesSuite(tiny_cache, partition(tiny_cache, "s_geo", tmp_path), MODEL, BatchPlan(2, 2, 0))
    train = [scene for scene in tiny_cache.scenes if scene.split == "train"]
    clips = [[scene.first_frame, scene.first_frame + 1] for scene in train]
    boston = np.array([scene.city == "boston" for scene in train])
    visible = {"track": (~boston).tolist(), "map": boston.tolist()}
    batch = collate_clips(tiny_cache, clips, visible)
    other = replace(
        batch,
        boxes_BTG9=batch.boxes_BTG9.clone(),
        labels_BTG=batch.labels_BTG.clone(),
        map_BTKHW=batch.map_BTKHW.clone(),
    )
    hidden_tracks, hidden_maps = int(np.flatnonzero(boston)[0]), int(np.flatnonzero(~boston)[0])
    other.boxes_BTG9[hidden_tracks] += 1.5
    other.labels_BTG[hidden_tracks] = other.labels_BTG[hidden_tracks].clamp(max=0)
    other.map_BTKHW[hidden_maps] = 1 - other.map_BTKHW[hidden_maps]
    first, second = gradients(suite, batch.hide_labels()), gradients(suite, other.hide_labels())
    assert len(first) == len(second) > 50
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    shown = replace(other, visible={task: torch.ones(2, dtype=torch.bool) for task in visible})
    assert not all(
        torch.equal(a, b) for a, b in zip(first, gradients(suite, shown.hide_labels()), strict=False)
    ), "visible labels must matter, or this test could not fail"


def test_a_scene_without_partition_is_refused(tiny_cache: NuScenesCache) -> None:
    with pytest.raises(UserError, match="partition table lacks scene"):
        NuScenesSuite(tiny_cache, {}, MODEL, BatchPlan(2, 2, 0))


def test_initial_weights_depend_on_the_seed_alone(tiny_cache: NuScenesCache, tmp_path: Path) -> None:
    table = partition(tiny_cache, "full", tmp_path)
    torch.manual_seed(1)
    first = NuScenesSuite(tiny_cache, table, MODEL, BatchPlan(2, 2, 0)).model.state_dict()
    torch.manual_seed(2)
    second = NuScenesSuite(tiny_cache, table, MODEL, BatchPlan(2, 2, 0)).model.state_dict()
    third = NuScenesSuite(tiny_cache, table, MODEL, BatchPlan(2, 2, 1)).model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


class OneScene(NuScenesSuite):
    """Shows the same clip at every step."""

    def batch(self, step: int) -> ClipBatch:
        scene = next(scene for scene in self.cache.scenes if scene.split == "val")
        start = scene.first_frame + step % 2
        return collate_clips(self.cache, [[start, start + 1]], {"track": [True], "map": [True]})


@pytest.mark.slow
def test_one_clip_is_learned_by_heart(tiny_root: Path, tiny_cache: NuScenesCache, tmp_path: Path) -> None:
    scene = next(scene for scene in tiny_cache.scenes if scene.split == "val")
    only = replace_scenes(tiny_cache, [scene])
    table = partition(tiny_cache, "full", tmp_path)
    model = MODEL.model_copy(update={"map": MODEL.map.model_copy(update={"frames": "all"})})
    suite = OneScene(tiny_cache, table, model, BatchPlan(2, 1, 0))
    config = TrainingConfig(
        steps=400, batch_size=1, learning_rate=2e-3, log_every=20, single_frame_fraction=0.2, ema_decay=0.9
    )
    fitted = fit(suite, Supervised(), config, 0, ResumeFiles(tmp_path / "work", "by heart"), "by heart")
    job = PredictionJob(
        model=fitted.model,  # type: ignore[arg-type]
        cache=only,
        partition=table,
        tracker=TrackerSearchConfig(births=(0.3,), keeps=(0.2,), scenes=1),
        evaluation=EvaluationConfig(class_range_m=25.0),
        precision=fitted.precision,
    )
    predict_run(job, tmp_path / "predictions", "by heart")
    metrics = evaluate_predictions(
        tmp_path / "predictions", only, tiny_root, "v1.0-trainval", "val", 25.0, official=False
    )["overall"]
    assert metrics["AMOTA"] > 0.9
    assert metrics["Lanes"] > 90
    assert metrics["Drivable"] > 90


def replace_scenes(cache: NuScenesCache, scenes: list) -> NuScenesCache:
    """The same cache with some validation scenes only; training scenes stay for the thresholds."""
    train = [scene for scene in cache.scenes if scene.split == "train"]
    return replace(cache, scenes=train + scenes)


def instance_model() -> BEVModelConfig:
    section = {"queries": "instance", "layers": 1}
    sizes = {"queries": 10, "encoder_layers": 1, "thing_blocks": 1, "stuff_blocks": 1}
    return BEVModelConfig.model_validate({"map": {**section, "instance": sizes}})


def with_instances(cache: NuScenesCache) -> NuScenesCache:
    """The same cache in which every class of a frame is one instance."""
    return replace(cache, map_instances_FKHW=cache.map_FKHW.astype(np.int16))


def test_a_cache_without_instances_is_refused(tiny_cache: NuScenesCache, tmp_path: Path) -> None:
    table = partition(tiny_cache, "full", tmp_path)
    with pytest.raises(UserError, match=r"no instances\.npy"):
        NuScenesSuite(tiny_cache, table, instance_model(), BatchPlan(1, 2, 0))
    NuScenesSuite(with_instances(tiny_cache), table, instance_model(), BatchPlan(1, 2, 0))


def test_changing_a_hidden_instance_changes_no_gradient(tiny_cache: NuScenesCache, tmp_path: Path) -> None:
    table = partition(tiny_cache, "s_geo", tmp_path)
    cache = with_instances(tiny_cache)
    assert cache.map_instances_FKHW is not None
    found = []
    for flipped in ("none", "hidden", "shown"):
        numbers = cache.map_instances_FKHW.copy()
        for scene in cache.scenes:
            if scene.split == "train" and flipped == ("shown" if table[scene.name]["map"] else "hidden"):
                numbers[scene.frames.start : scene.frames.stop] = (
                    1 - numbers[scene.frames.start : scene.frames.stop]
                )
        suite = NuScenesSuite(
            replace(cache, map_instances_FKHW=numbers), table, instance_model(), BatchPlan(1, 6, 0)
        )
        found.append(gradients(suite, suite.batch(0)))
    first, hidden, shown = found
    assert all(torch.equal(a, b) for a, b in zip(first, hidden, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, shown, strict=True))


def test_what_queries_do_not_read_decides_no_architecture() -> None:
    def changed(config: BEVModelConfig, **changes: object) -> BEVModelConfig:
        instance = config.map.instance.model_copy(update=changes)
        return config.model_copy(update={"map": config.map.model_copy(update={"instance": instance})})

    painting = MODEL.map.instance.painting.model_copy(update={"min_score": 0.3})
    assert architecture_of(changed(MODEL, queries=7)) == architecture_of(MODEL)
    own = instance_model()
    assert architecture_of(changed(own, queries=7)) != architecture_of(own)
    assert architecture_of(changed(own, painting=painting)) == architecture_of(own)


def test_parts_of_a_batch_give_the_gradients_of_the_whole(tiny_cache: NuScenesCache, tmp_path: Path) -> None:
    """Every part is one clip, so some parts have no map labels at all."""
    table = partition(tiny_cache, "s_geo", tmp_path)
    suite = NuScenesSuite(with_instances(tiny_cache), table, instance_model(), BatchPlan(1, 4, 0))
    whole = gradients(suite, suite.batch(0))
    parts = [suite.batch(0, BatchPart(n, n + 1, 4)) for n in range(4)]
    shown = [bool(part.visible["map"][0]) for part in parts]
    assert any(shown) and not all(shown)
    counts: dict[str, Tensor] = {}

    def note(of_part: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        for name, count in of_part.items():
            counts[name] = counts.get(name, torch.tensor(0.0)) + count.detach()
        return of_part

    for part in parts:
        suite.forward(part, step=0, single_frame=False, pool_counts=note)
    suite.model.zero_grad()
    for part in parts:
        result = suite.forward(part, 0, False, lambda names: {name: counts[name] for name in names})
        torch.stack(list(result.losses.values())).sum().backward()
    summed = [p.grad for p in suite.model.parameters() if p.grad is not None]
    assert len(summed) == len(whole)
    for one, other in zip(whole, summed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
