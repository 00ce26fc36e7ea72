"""The NYUv2 suite: hidden labels do nothing, centre and pair agree, a few rooms are learned by heart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.batch import DenseBatch
from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig
from nexusflow.data.nyuv2.partition import build_image_partition, read_image_partition, write_image_partition
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.data.worlds.rooms.generate import generate_rooms_world
from nexusflow.dense.config import DenseModelConfig
from nexusflow.evaluation.dense import DenseMetrics, compare_images
from nexusflow.evaluation.dense_predictions import DensePredictions
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.nexusflow_config import MLPAggregatorConfig, NexusFlowConfig
from nexusflow.methods.supervised import Supervised
from nexusflow.suites.nyuv2.predict import predict_images, score_model
from nexusflow.suites.nyuv2.suite import TASKS, ImagePlan, NYUv2Suite
from nexusflow.training.config import TrainingConfig
from nexusflow.training.loop import fit
from nexusflow.training.resume import ResumeFiles

MODEL = DenseModelConfig(widths=(6, 6, 8, 8, 8))
PLAN = ImagePlan(batch_size=4, seed=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> NYUv2Cache:
    folder = tmp_path_factory.mktemp("rooms")
    config = RoomsWorldConfig(train_images=6, val_images=3, image_height=32, image_width=64, supersample=1)
    generate_rooms_world(config, folder / "rooms", workers=1)
    build_cache(NYUv2ReaderConfig(image_height=32, image_width=64), folder / "rooms", folder / "cache")
    return NYUv2Cache.open(folder / "cache")


def partition(cache: NYUv2Cache, kind: str, folder: Path) -> dict[str, np.ndarray]:
    path = folder / f"{kind}.csv"
    write_image_partition(build_image_partition(cache, kind, seed=0), path)
    return read_image_partition(path)


def gradients(suite: NYUv2Suite, batch: DenseBatch) -> list[Tensor]:
    suite.model.zero_grad()
    sum(suite.forward(batch, 0, False).losses.values()).backward()
    return [p.grad.clone() for p in suite.model.parameters() if p.grad is not None]


def test_a_hidden_label_changes_no_gradient(cache: NYUv2Cache, tmp_path: Path) -> None:
    suite = NYUv2Suite(cache, partition(cache, "clusters_sdn", tmp_path), MODEL, PLAN)
    batch = suite.batch(0)
    shown = torch.stack([batch.visible[task] for task in TASKS])
    assert (shown.sum(0) == 1).all()
    before = gradients(suite, batch)
    hidden = ~batch.visible["depth"]
    depth = torch.where(hidden.view(-1, 1, 1, 1), torch.full_like(batch.depth_B1HW, 3.0), batch.depth_B1HW)
    after = gradients(suite, replace(batch, depth_B1HW=depth))
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    shown_depth = torch.where(hidden.view(-1, 1, 1, 1), batch.depth_B1HW, batch.depth_B1HW + 1.0)
    other = gradients(suite, replace(batch, depth_B1HW=shown_depth))
    changed = not all(torch.equal(a, b) for a, b in zip(before, other, strict=True))
    assert changed == bool(batch.visible["depth"].any())


def test_labels_that_are_hidden_are_not_even_loaded(cache: NYUv2Cache, tmp_path: Path) -> None:
    suite = NYUv2Suite(cache, partition(cache, "onelabel", tmp_path), MODEL, PLAN)
    for step in range(3):
        batch = suite.batch(step)
        assert (batch.labels_BHW[~batch.visible["segmentation"]] == -1).all()
        assert not batch.depth_B1HW[~batch.visible["depth"]].any()
        assert not batch.normals_B3HW[~batch.visible["normal"]].any()


def test_centre_times_tasks_is_pair_to_rounding(cache: NYUv2Cache, tmp_path: Path) -> None:
    """The sum of squared distances to the centre is that of all pairs over n."""
    suite = NYUv2Suite(cache, partition(cache, "full", tmp_path), MODEL, PLAN)
    suite.model.double()
    images = suite.batch(0).images_B3HW.double()
    found = []
    for loss, weight in (("pair", 1.0), ("center", 3.0)):
        config = NexusFlowConfig(
            dim=16, hidden=16, depth=2, loss=loss, lambda_align=weight, aggregator=MLPAggregatorConfig()
        )
        method = build_method(config, BuildContext(suite.tap_channels, 0)).double()
        suite.model.zero_grad()
        taps = {task: {"features": tap} for task, tap in suite.network(images).taps.items()}
        value = sum(method.extra_losses(taps, {}, {}, 0).values())
        value.backward()
        grads = [p.grad.clone() for p in suite.model.parameters() if p.grad is not None]
        found.append((float(value.detach()), grads))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12) and found[0][0] > 0
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_augmentation_depends_on_seed_and_step_alone(cache: NYUv2Cache, tmp_path: Path) -> None:
    shown = partition(cache, "full", tmp_path)
    plan = replace(PLAN, augmentation="scale_crop")
    first, second = (NYUv2Suite(cache, shown, MODEL, plan) for _ in range(2))
    second.batch(3)
    assert torch.equal(first.batch(1).images_B3HW, second.batch(1).images_B3HW)
    plain = NYUv2Suite(cache, shown, MODEL, PLAN).batch(1)
    assert not torch.equal(first.batch(1).images_B3HW, plain.images_B3HW)


def test_a_partition_of_other_data_is_refused(cache: NYUv2Cache) -> None:
    shown = {task: np.ones(9, bool) for task in TASKS}
    with pytest.raises(UserError, match="9 images"):
        NYUv2Suite(cache, shown, MODEL, PLAN)


def test_scores_of_files_and_of_memory_agree(cache: NYUv2Cache, tmp_path: Path) -> None:
    suite = NYUv2Suite(cache, partition(cache, "full", tmp_path), MODEL, PLAN)
    model = suite.model.eval()
    predict_images(model, cache, tmp_path / "predictions", "test")
    images = compare_images(DensePredictions.open(tmp_path / "predictions"), cache)
    assert DenseMetrics.joined(images).compute() == score_model(model, cache)
    assert set(suite.validate(model)) == {"Seg IoU", "Depth aErr", "Norm mErr"}


@pytest.mark.slow
def test_a_few_rooms_are_learned_by_heart(cache: NYUv2Cache, tmp_path: Path) -> None:
    suite = NYUv2Suite(
        cache,
        partition(cache, "full", tmp_path),
        MODEL.model_copy(update={"widths": (16, 16, 16, 16, 16)}),
        replace(PLAN, batch_size=6),
    )
    config = TrainingConfig(
        steps=400, batch_size=6, learning_rate=0.01, warmup_steps=10, weight_decay=0.0, ema_decay=0.0,
        precision="32-true", log_every=50, checkpoint_every=400,
    )  # fmt: skip
    result = fit(suite, Supervised(), config, 0, ResumeFiles(tmp_path / "work", "x"), "rooms")
    rows = result.log.rows
    assert rows[-1]["loss/segmentation/nll"] < 0.3 * rows[0]["loss/segmentation/nll"]
    assert rows[-1]["loss/depth/l1"] < 0.35
    assert rows[-1]["loss/normal/cosine"] < 0.5 * rows[0]["loss/normal/cosine"]
