"""Views of a batch and canvases of a view: labels stay with their pixels, hidden ones stay hidden."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from nexusflow.config.bindings.nyuv2 import NYUv2Binding
from nexusflow.config.fingerprint import _import_graph
from nexusflow.config.layout import Layout
from nexusflow.core.errors import UserError
from nexusflow.core.views import ViewPlan
from nexusflow.data.nyuv2.augment import SCALES, random_scale_crop
from nexusflow.data.nyuv2.batch import DenseBatch
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.partition import write_image_partition
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.losses import dense_losses
from nexusflow.suites.nyuv2.canvases import PUBLISHED_DEPTH, ImageCanvases
from nexusflow.suites.nyuv2.suite import TASKS, ImagePlan, NYUv2Suite, ViewedBatch

MODEL = DenseModelConfig(widths=(4, 4, 6, 6, 10))
PLAN = ImagePlan(batch_size=2, seed=3)
MTPSL, JTR = ViewPlan(extra=1), ViewPlan(extra=2, photometric=True)
SIZE = (32, 64)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cache() -> NYUv2Cache:
    """Four training images and one more, of noise."""
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(5, 3, *SIZE))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    normals[:, :, :, :3] = 0
    depth = rng.uniform(1, 5, (5, 1, *SIZE)) * (rng.random((5, 1, *SIZE)) > 0.2)
    return NYUv2Cache(
        (rng.integers(0, 256, (5, 3, *SIZE)) / 255).astype(np.float32),
        rng.integers(-1, 13, (5, *SIZE)).astype(np.int8),
        depth.astype(np.float32),
        normals.astype(np.float32),
        num_train=4,
        num_val=1,
    )


ALL = dict.fromkeys(TASKS, np.ones(4, bool))
# Every image shows one task, and image 3 segmentation as well.
ONE_LABEL = {
    "segmentation": np.array([True, False, False, True]),
    "depth": np.array([False, True, False, True]),
    "normal": np.array([False, False, True, False]),
}


def make_suite(cache: NYUv2Cache, shown: dict[str, np.ndarray], plan: ImagePlan = PLAN) -> NYUv2Suite:
    return NYUv2Suite(cache, shown, MODEL, plan, ImageCanvases(MODEL, cache, shown))


def views_of(suite: NYUv2Suite, plan: ViewPlan, step: int) -> tuple[DenseBatch, ...]:
    suite.provide_views(plan)
    batch = suite.batch(step)
    assert isinstance(batch, ViewedBatch)
    return (batch.first, *batch.extra)


def tensors(batch: DenseBatch) -> list[Tensor]:
    return [batch.images_B3HW, batch.labels_BHW, batch.depth_B1HW, batch.normals_B3HW]


def equal(a: DenseBatch, b: DenseBatch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


@pytest.mark.parametrize("augmentation", ["none", "scale_crop"])
def test_views_are_functions_of_seed_and_step_and_differ(cache: NYUv2Cache, augmentation: str) -> None:
    plan = replace(PLAN, augmentation=augmentation)
    first, second, other = (make_suite(cache, ALL, p) for p in (plan, plan, replace(plan, seed=4)))
    views_of(second, JTR, 7)
    mine, same = views_of(first, JTR, 1), views_of(second, JTR, 1)
    assert len(mine) == 3 and all(equal(a, b) for a, b in zip(mine, same, strict=True))
    assert len({x.numpy().tobytes() for view in mine for x in view.images_B3HW}) == 6
    assert not torch.equal(mine[1].depth_B1HW, mine[2].depth_B1HW)
    for elsewhere in (views_of(first, JTR, 2), views_of(other, JTR, 1)):
        assert not any(equal(a, b) for a, b in zip(mine, elsewhere, strict=True))


@pytest.mark.parametrize("augmentation", ["none", "scale_crop"])
def test_the_first_view_is_the_batch_without_views(cache: NYUv2Cache, augmentation: str) -> None:
    plan = replace(PLAN, augmentation=augmentation)
    plain = NYUv2Suite(cache, ALL, MODEL, plan).batch(1)
    assert isinstance(plain, DenseBatch)
    suite = make_suite(cache, ALL, plan)
    assert equal(views_of(suite, MTPSL, 1)[0], plain)
    # Photometric changes leave the labels alone.
    coloured = views_of(suite, JTR, 1)[0]
    assert equal(replace(coloured, images_B3HW=plain.images_B3HW), plain)
    suite.provide_views(None)
    again = suite.batch(1)
    assert isinstance(again, DenseBatch) and equal(again, plain)


def test_further_views_are_crops_of_the_first(cache: NYUv2Cache) -> None:
    first, second = views_of(make_suite(cache, ALL, replace(PLAN, augmentation="scale_crop")), MTPSL, 1)
    expected = random_scale_crop(first, np.random.Generator(np.random.PCG64([3, 1, 3])))
    assert equal(second, expected) and not equal(first, expected)


def test_every_view_has_colours_of_its_own(cache: NYUv2Cache) -> None:
    """In an image of one colour crops change nothing, so that only the changes of colours are seen."""
    batch = make_suite(cache, ALL).batch(0)
    flat = replace(batch, images_B3HW=torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(2, 3, *SIZE))
    changed, different = 0, 0
    for step in range(20):
        views = ImageCanvases(MODEL).make_views(flat, JTR, 0, step)
        colours = torch.stack([v.images_B3HW[:, :, 16, 32] for v in (views.first, *views.extra)])
        changed += int(((colours[0] - flat.images_B3HW[:, :, 0, 0]).abs() > 0.005).any(1).sum())
        different += len(colours.view(6, 3).unique(dim=0))
    assert changed > 10 and different > 60


def test_images_and_labels_stay_together(cache: NYUv2Cache) -> None:
    """A white block two metres away, of class 5 and facing +x; the wall behind it is twice as far away."""
    block = torch.zeros(2, 1, *SIZE)
    block[:, :, 10:24, 20:50] = 1
    batch = replace(
        make_suite(cache, ALL).batch(0),
        images_B3HW=block.expand(-1, 3, -1, -1),
        labels_BHW=(1 + 4 * block[:, 0]).long(),
        depth_B1HW=4 - 2 * block,
        normals_B3HW=torch.cat([block, 1 - block, torch.zeros_like(block)], 1),
    )
    scales = set()
    for step in range(8):
        for view in ImageCanvases(MODEL).make_views(batch, ViewPlan(extra=2), 0, step).extra:
            for image, label, depth, normal in zip(*tensors(view), strict=True):
                inside, outside = image[0] > 1 - 1e-4, image[0] < 1e-4
                assert inside.any() and outside.any()
                assert (label[inside] == 5).all() and (label[outside] == 1).all()
                near, far = depth[0][inside], depth[0][outside]
                assert (near == near[0]).all() and torch.allclose(far, 2 * near[0])
                assert (normal[0][inside] > 0.999).all() and (normal[1][outside] > 0.999).all()
                scales.add(round(2 / float(near[0]), 3))
    assert scales == set(SCALES)


def test_hidden_labels_are_in_no_view(cache: NYUv2Cache) -> None:
    suite = make_suite(cache, ONE_LABEL, replace(PLAN, augmentation="scale_crop"))
    for step in range(4):
        suite.provide_views(JTR)
        batch = suite.batch(step)
        for view in (batch.first, *batch.extra):
            assert (view.labels_BHW[~view.visible["segmentation"]] == -1).all()
            assert not view.depth_B1HW[~view.visible["depth"]].any()
            assert not view.normals_B3HW[~view.visible["normal"]].any()
        for dense in suite.forward(batch, step, False).views:
            for task in TASKS:
                shown = dense.visible[task]
                assert not dense.labels[task][~shown].any() and not dense.valid[task][~shown].any()
                assert dense.valid[task][shown].flatten(1).any(1).all()


def test_canvases_hide_what_the_batch_still_holds(cache: NYUv2Cache) -> None:
    suite = make_suite(cache, ALL)
    batch = suite.batch(0)
    hidden = replace(batch, visible=dict.fromkeys(TASKS, torch.tensor([False, True])))
    view = ImageCanvases(MODEL).show(suite.network(batch.images_B3HW), hidden)
    for task in TASKS:
        assert not view.labels[task][0].any() and not view.valid[task][0].any()
        assert view.labels[task][1].any() and view.valid[task][1].any()


def test_canvases_show_predictions_and_labels(cache: NYUv2Cache) -> None:
    suite = make_suite(cache, ALL)
    (_, batch), result = views_of(suite, MTPSL, 0), suite.forward(suite.batch(0), 0, False)
    (view,) = result.views
    assert suite.canvas_spec is not None
    for task in TASKS:
        shape = (2, suite.canvas_spec.channels(task), *SIZE)
        assert view.predictions[task].shape == view.labels[task].shape == shape
        assert view.valid[task].shape == (2, 1, *SIZE) and view.valid[task].dtype == torch.bool
    void = batch.labels_BHW == -1
    one_hot = view.labels["segmentation"]
    assert torch.equal(one_hot.argmax(1)[~void], batch.labels_BHW[~void])
    assert torch.equal(one_hot.sum(1), (~void).float()) and void.any()
    assert torch.equal(view.labels["depth"], batch.depth_B1HW)
    assert torch.equal(view.labels["normal"], batch.normals_B3HW)
    assert torch.equal(view.valid["segmentation"][:, 0], ~void)
    assert torch.equal(view.valid["depth"], batch.depth_B1HW != 0)
    assert torch.equal(view.valid["normal"][:, 0], (batch.normals_B3HW != 0).any(1))
    assert torch.allclose(view.predictions["segmentation"].exp().sum(1), torch.ones(2, *SIZE), atol=1e-5)
    assert torch.allclose(view.predictions["normal"].norm(dim=1), torch.ones(2, *SIZE), atol=1e-5)
    assert view.features_BFhw.shape == (2, suite.canvas_spec.feature_channels, 1, 2)
    assert suite.canvas_spec.feature_channels == MODEL.widths[-1]


def test_all_views_go_through_the_network_together(cache: NYUv2Cache) -> None:
    """Losses, outputs and taps are those of the first images of one pass, the views the others."""
    suite = make_suite(cache, ONE_LABEL)
    first, *extra = views_of(suite, JTR, 0)
    result = suite.forward(suite.batch(0), 0, False)
    images = torch.cat([view.images_B3HW for view in (first, *extra)])
    whole = suite.network(images.to(memory_format=torch.channels_last))
    outputs = {task: x[:2] for task, x in whole.outputs.items()}
    losses = dense_losses(outputs, first.labels_BHW, first.depth_B1HW, first.normals_B3HW, first.visible)
    assert losses.keys() == result.losses.keys()
    assert all(torch.equal(losses[name], result.losses[name]) for name in losses)
    assert len(result.views) == 2
    for task in TASKS:
        assert torch.equal(result.outputs[task], outputs[task])
        assert torch.equal(result.taps[task]["features"], whole.taps[task][:2])
        assert torch.equal(result.visible[task], first.visible[task])
        for number, view in enumerate(result.views, 1):
            assert torch.equal(view.predictions[task], whole.outputs[task][2 * number : 2 * number + 2])
    for number, view in enumerate(result.views, 1):
        assert torch.equal(view.features_BFhw, whole.bottleneck_BCHW[2 * number : 2 * number + 2])


def test_views_teach_the_network(cache: NYUv2Cache) -> None:
    suite = make_suite(cache, ALL)
    suite.provide_views(MTPSL)
    for task in TASKS:
        (view,) = suite.forward(suite.batch(0), 0, False).views
        suite.network.zero_grad()
        (view.predictions[task] * torch.rand_like(view.predictions[task])).sum().backward()
        weight, head = suite.network.trunk.encoder_first[0][0].weight, suite.network.head_last[task].weight
        assert weight.grad.any() and head.grad.any()
    (view,) = suite.forward(suite.batch(0), 0, False).views
    suite.network.zero_grad()
    view.features_BFhw.square().sum().backward()
    assert suite.network.trunk.encoder_first[0][0].weight.grad.any()


def test_depth_statistics_are_those_of_visible_labels(cache: NYUv2Cache) -> None:
    poisoned = cache.depth_N1HW.copy()
    poisoned[[0, 2, 4]] = np.nan
    group = ImageCanvases(MODEL, replace(cache, depth_N1HW=poisoned), ONE_LABEL).spec.groups["depth"][0]
    shown = cache.depth_N1HW[[1, 3]].astype(np.float64)
    assert group.mean == pytest.approx((shown[shown != 0].mean(),), rel=1e-9)
    assert group.std == pytest.approx((shown[shown != 0].std(),), rel=1e-9)
    published = ((PUBLISHED_DEPTH[0],), (PUBLISHED_DEPTH[1],))
    nothing = ONE_LABEL | {"depth": np.zeros(4, bool)}
    for canvases in (ImageCanvases(MODEL), ImageCanvases(MODEL, cache, nothing)):
        group = canvases.spec.groups["depth"][0]
        assert (group.mean, group.std) == published


def test_a_suite_without_an_adapter_refuses_views(cache: NYUv2Cache) -> None:
    suite = NYUv2Suite(cache, ALL, MODEL, PLAN)
    with pytest.raises(UserError, match="nyuv2 cannot show its tasks"):
        suite.provide_views(MTPSL)
    suite.provide_views(None)
    assert suite.forward(suite.batch(0), 0, False).views == [] and suite.canvas_spec is None


@pytest.mark.parametrize("needed", [False, True])
def test_only_methods_that_want_canvases_get_them(
    cache: NYUv2Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: bool
) -> None:
    run = SimpleNamespace(
        method=SimpleNamespace(needs_canvases=needed),
        training=SimpleNamespace(batch_size=2, augmentation="none"),
        model=MODEL,
        world="rooms",
        partition="full",
    )
    binding, layout = NYUv2Binding(), Layout("test", tmp_path)
    monkeypatch.setattr(binding, "_run", lambda config, name: run)
    monkeypatch.setattr(binding, "_open_cache", lambda layout, world: cache)
    table = pd.DataFrame({"image": range(4), "cluster": -1} | dict.fromkeys(TASKS, 1))
    write_image_partition(table, layout.partition("nyuv2", "rooms", "full"))
    suite = binding.make_suite(None, layout, "run", 0)  # type: ignore[arg-type]
    assert (suite.canvas_spec is not None) == needed
    if suite.canvas_spec is not None:
        assert suite.canvas_spec.groups["depth"][0].mean != (PUBLISHED_DEPTH[0],)


def test_runs_without_canvases_do_not_depend_on_their_code() -> None:
    (module,) = NYUv2Binding.modules["canvases"]
    graph = _import_graph()
    own = {module, "nexusflow.data.nyuv2.photometric"}
    assert own <= graph.find_upstream_modules(module) | {module}
    for entry in NYUv2Binding.modules["train"]:
        assert not own & graph.find_upstream_modules(entry)
