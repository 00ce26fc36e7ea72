"""Canvases of clips: the right frame and queries, labels that stay hidden, views that are moved as a whole.

Letters: B clips, T frames, Q queries, H × W cells.
"""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
import torch
from torch import Tensor

from nexusflow.bev.boxes import boxes_to_code
from nexusflow.bev.canvas import GridMotion, average_masks, render_boxes, render_map
from nexusflow.bev.model import BEVModel
from nexusflow.bev.types import MapOutput, ModelOutput, TrackFrameOutput, TrackOutput
from nexusflow.config.bindings.nuscenes import NuScenesBinding
from nexusflow.config.fingerprint import _import_graph
from nexusflow.config.layout import Layout
from nexusflow.core.errors import UserError
from nexusflow.core.views import DenseView, ViewPlan
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.raster import MapRasteriser
from nexusflow.data.nuscenes.vector_map import LocationMap
from nexusflow.data.partition import build_partition, write_partition
from nexusflow.suites.nuscenes.canvases import BEVCanvases
from nexusflow.suites.nuscenes.suite import TASKS, BatchPlan, NuScenesSuite
from tests.bev.conftest import Batch, make_batch, run, tiny_config

CONFIG = tiny_config()
HALF_M, CELLS = CONFIG.bev_half_m, CONFIG.bev_cells
ONE, TWO = ViewPlan(extra=1), ViewPlan(extra=2, photometric=True)
MOTIONS = [GridMotion(mirrored, turns) for mirrored, turns in itertools.product((False, True), range(4))]
# The generated world's images and targets, in a model that costs little.
SUITE_MODEL = tiny_config(
    image_height=64, image_width=112, cameras=6, bev_half_m=25.0, bev_cells=20, map_cells=100
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def model() -> BEVModel:
    """A tiny model in training mode with fixed initial weights."""
    torch.manual_seed(0)
    return BEVModel(CONFIG)


@pytest.fixture
def batch() -> Batch:
    """Two clips of two frames."""
    return make_batch(CONFIG)


def shown(track: list[bool], mapping: list[bool]) -> dict[str, Tensor]:
    return {"track": torch.tensor(track), "map": torch.tensor(mapping)}


ALL = shown([True, True], [True, True])


def views_of(
    output: ModelOutput, batch: Batch, visible: dict[str, Tensor] = ALL, plan: ViewPlan = ONE, step: int = 0
) -> list[DenseView]:
    truth = replace(batch.truth, visible_B=visible["track"])
    return BEVCanvases(CONFIG).make_views(output, truth, batch.maps[:, -1], visible, plan, 0, step)


def render(code: Tensor, probs: Tensor, valid: Tensor) -> Tensor:
    return render_boxes(code, probs, valid, HALF_M, CELLS)


def hand_made(codes: Tensor, logits: Tensor, map_logits: Tensor, valid: Tensor | None = None) -> ModelOutput:
    """An output of detections only."""
    batch, queries = codes.shape[:2]
    shown = torch.ones(batch, queries, dtype=torch.bool) if valid is None else valid
    frame = TrackFrameOutput(
        None, logits[None], codes[None], torch.zeros(batch, queries, 4), shown, queries, 0
    )
    empty = torch.zeros(batch, 0)
    outputs = {"track": TrackOutput([frame], None, False), "map": MapOutput(map_logits, empty, empty, 1)}
    grid = torch.randn(
        batch, CONFIG.encoder.channels, CELLS, CELLS, generator=torch.Generator().manual_seed(0)
    )
    return ModelOutput(outputs, {}, grid)


def test_the_specification_is_that_of_the_model() -> None:
    spec = BEVCanvases(CONFIG).spec
    assert list(spec.groups) == list(TASKS) and spec.feature_channels == CONFIG.encoder.channels
    assert spec.channels("track") == CONFIG.num_classes + 4 and spec.channels("map") == CONFIG.map_classes
    kinds = [(group.kind, group.channels) for group in spec.groups["track"]]
    assert kinds == [("probability", CONFIG.num_classes), ("measure", 2), ("signed", 2)]
    measure = spec.groups["track"][1]
    assert len(measure.mean) == len(measure.std) == 2 and spec.groups["map"][0].kind == "probability"


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("frames", ["last", "all"])
def test_predictions_are_those_of_the_last_frame_of_every_clip(frames: str, single: bool) -> None:
    config = tiny_config(map={"frames": frames})
    torch.manual_seed(0)
    batch = make_batch(config, clips=3)
    output, _ = run(BEVModel(config), batch, single=single)
    everything = dict.fromkeys(TASKS, torch.ones(3, dtype=torch.bool))
    (view,) = views_of(output, batch, everything)
    # Three clips of two frames: every second row, or every row where rows are clips.
    every_second = slice(1, None, 2)
    rows = every_second if single else slice(None)
    map_rows = every_second if single or frames == "all" else slice(None)
    frame = output.outputs["track"].frames[-1]
    live = frame.detections + frame.slots
    assert len(frame.valid_BQ[rows]) == len(output.outputs["map"].logits_FKHW[map_rows]) == 3
    assert (frame.slots > 0) != single and frame.valid_BQ.shape[1] > live
    expected = render(
        frame.codes_LBQ10[-1, rows, :live],
        frame.logits_LBQK[-1, rows, :live].sigmoid(),
        frame.valid_BQ[rows, :live],
    )
    assert torch.equal(view.predictions["track"], expected)
    assert torch.equal(
        view.predictions["map"], render_map(output.outputs["map"].logits_FKHW[map_rows], CELLS)
    )
    assert torch.equal(view.features_BFhw, output.bev_BCHW[rows])


def test_instances_are_shown_as_classes() -> None:
    """Masks of instances reach the canvas with gradient, though the losses never draw them all."""
    sizes = {"queries": 8, "encoder_layers": 1, "thing_blocks": 1, "stuff_blocks": 1}
    config = tiny_config(map={"queries": "instance", "instance": sizes})
    torch.manual_seed(0)
    model, batch = BEVModel(config), make_batch(config)
    output = model(*batch.inputs, batch.truth)
    (view,) = views_of(output, batch)
    canvas = view.predictions["map"]
    assert canvas.shape == (2, config.map_classes, CELLS, CELLS) and 0 <= canvas.min() < canvas.max() <= 1
    canvas.sum().backward()
    assert model.map.thing_masks.last.query.weight.grad.any()
    assert model.map.locations.to_class[-1].weight.grad.any()


def test_labels_are_those_of_the_last_frame(model: BEVModel, batch: Batch) -> None:
    output, _ = run(model, batch)
    (view,) = views_of(output, batch)
    boxes, labels = batch.truth.boxes_BTG9[:, -1], batch.truth.labels_BTG[:, -1]
    one_hot = torch.nn.functional.one_hot(labels.clamp(min=0), CONFIG.num_classes).float()
    torch.testing.assert_close(
        view.labels["track"], render(boxes_to_code(boxes), one_hot, labels >= 0), atol=1e-6, rtol=0
    )
    assert torch.equal(view.labels["map"], average_masks(batch.maps[:, -1], CELLS))
    for task in TASKS:
        assert view.labels[task].shape == view.predictions[task].shape and view.labels[task].any()
        assert view.valid[task].shape == (2, 1, CELLS, CELLS) and view.valid[task].all()
        assert not view.labels[task].requires_grad
    earlier = batch.truth.boxes_BTG9.clone()
    earlier[:, 0] += 1
    other = replace(batch, truth=replace(batch.truth, boxes_BTG9=earlier))
    assert torch.equal(views_of(output, other)[0].labels["track"], view.labels["track"])


def test_a_perfect_prediction_equals_the_label(batch: Batch) -> None:
    """Boxes in another order, with queries of probability zero between them."""
    boxes, labels = batch.truth.boxes_BTG9[:, -1].flip(1), batch.truth.labels_BTG[:, -1].flip(1)
    # Probabilities of exactly zero and one.
    logits = torch.full((*labels.shape, CONFIG.num_classes), -200.0)
    logits.scatter_(-1, labels.clamp(min=0)[..., None], torch.where(labels >= 0, 200.0, -200.0)[..., None])
    logits = logits.repeat_interleave(2, 1)
    logits[:, 1::2] = -200.0
    codes = boxes_to_code(boxes).repeat_interleave(2, 1)
    maps = torch.where(batch.maps[:, -1] > 0, 200.0, -200.0)
    (view,) = views_of(hand_made(codes, logits, maps), batch)
    assert (labels < 0).any() and view.labels["track"].amax() > 0.5
    for task in TASKS:
        torch.testing.assert_close(view.predictions[task], view.labels[task], atol=1e-5, rtol=0)


def test_boxes_outside_the_grid_are_no_labels(model: BEVModel, batch: Batch) -> None:
    output, _ = run(model, batch)
    boxes = batch.truth.boxes_BTG9.clone()
    boxes[1, :, :, 0] = HALF_M + 0.1
    (view,) = views_of(output, replace(batch, truth=replace(batch.truth, boxes_BTG9=boxes)))
    assert view.labels["track"][0].any() and not view.labels["track"][1].any()
    assert view.valid["track"].all()


def test_only_live_queries_that_exist_are_drawn(model: BEVModel, batch: Batch) -> None:
    output, _ = run(model, batch)
    frame = output.outputs["track"].frames[-1]
    live = frame.detections + frame.slots
    expected = views_of(output, batch)[0].predictions["track"]
    carried = frame.valid_BQ[:, frame.detections : live]
    assert carried.any() and not carried.all() and frame.valid_BQ[:, live:].any()

    def drawn(change: Tensor) -> Tensor:
        """Make some queries sure of a class, and move them."""
        logits = torch.where(change[None, ..., None], 3.0, frame.logits_LBQK)
        codes = torch.where(change[None, ..., None], 0.3, frame.codes_LBQ10)
        changed = replace(frame, logits_LBQK=logits, codes_LBQ10=codes)
        track = TrackOutput([*output.outputs["track"].frames[:-1], changed], None, False)
        return views_of(replace(output, outputs=output.outputs | {"track": track}), batch)[0].predictions[
            "track"
        ]

    place = torch.arange(frame.valid_BQ.shape[1])
    assert torch.equal(drawn((place >= live) | ~frame.valid_BQ), expected)
    for group in (place < frame.detections, (place >= frame.detections) & (place < live)):
        assert (drawn(group & frame.valid_BQ) - expected).abs().amax() > 0.5


def test_hidden_labels_are_zero_and_do_not_matter(model: BEVModel, batch: Batch) -> None:
    visible = shown([True, False], [False, True])
    output, _ = run(model, batch.hide([True, False], [False, True]))
    boxes, labels, maps = (x.clone() for x in (batch.truth.boxes_BTG9, batch.truth.labels_BTG, batch.maps))
    boxes[1] += 1
    labels[1] = 2
    maps[0] = 1 - maps[0]
    other = replace(batch, truth=replace(batch.truth, boxes_BTG9=boxes, labels_BTG=labels), maps=maps)
    for first, second in zip(
        views_of(output, batch, visible, TWO), views_of(output, other, visible, TWO), strict=True
    ):
        for task in TASKS:
            hidden = ~visible[task]
            assert torch.equal(first.visible[task], visible[task])
            assert not first.labels[task][hidden].any() and not first.valid[task][hidden].any()
            assert first.labels[task][~hidden].any() and first.valid[task][~hidden].all()
            assert torch.equal(first.labels[task], second.labels[task])
            assert torch.equal(first.predictions[task], second.predictions[task])
    # Both change visible labels, or this test could not fail.
    a, b = views_of(output, batch)[0], views_of(output, other)[0]
    assert all(not torch.equal(a.labels[task], b.labels[task]) for task in TASKS)


def canvases(view: DenseView) -> list[Tensor]:
    return [view.features_BFhw, *view.predictions.values(), *view.labels.values()]


def moved(view: DenseView, motion: GridMotion) -> list[Tensor]:
    move = {"track": motion.move_boxes, "map": motion.move_grid}
    shown = [motion.move_grid(view.features_BFhw)]
    for images in (view.predictions, view.labels):
        shown += [move[task](image) for task, image in images.items()]
    return shown


def test_further_views_are_the_first_one_moved_as_a_whole(model: BEVModel, batch: Batch) -> None:
    output, _ = run(model, batch)
    drawn = set()
    for step in range(60):
        first, second = views_of(output, batch, plan=TWO, step=step)
        assert all(map(torch.equal, canvases(first), canvases(views_of(output, batch)[0])))
        (found,) = (
            number
            for number, motion in enumerate(MOTIONS)
            if all(map(torch.equal, canvases(second), moved(first, motion)))
        )
        drawn.add(found)
        assert all(torch.equal(second.valid[task], first.valid[task]) for task in TASKS)
        again = views_of(output, batch, plan=TWO, step=step)[1]
        assert all(map(torch.equal, canvases(second), canvases(again)))
    assert len(drawn) == len(MOTIONS)
    several = views_of(output, batch, plan=ViewPlan(extra=5))
    assert len(several) == 5 and len({view.features_BFhw.detach().numpy().tobytes() for view in several}) > 2
    assert views_of(output, batch, plan=ViewPlan(extra=0)) == []


def test_views_teach_both_heads_and_the_encoder(model: BEVModel, batch: Batch) -> None:
    """The second view as well as the first, through boxes, classes, masks and features."""
    output, _ = run(model, batch)
    frame = output.outputs["track"].frames[-1]
    leaves = [frame.codes_LBQ10, frame.logits_LBQK, output.outputs["map"].logits_FKHW, output.bev_BCHW]
    weight = next(model.backbone.parameters())
    rng = torch.Generator().manual_seed(0)
    for view in views_of(output, batch, plan=TWO):
        images = [*view.predictions.values(), view.features_BFhw]
        loss = sum((image * torch.rand(image.shape, generator=rng)).sum() for image in images)
        *grads, deep = torch.autograd.grad(loss, [*leaves, weight], retain_graph=True)
        codes, logits, masks, features = grads
        assert codes[-1][..., [0, 1, 2, 3, 6, 7]].flatten(0, 1).any(0).all()
        assert logits[-1].any() and masks.any() and features.any() and deep.any()
        assert all(torch.isfinite(grad).all() for grad in grads)


def test_boxes_lie_on_the_map_that_holds_them() -> None:
    """The outline of a box, drawn by the rasteriser of the map targets, lies under the box's Gaussian."""
    x, y, length, width, yaw, heading = 3.5, -2.5, 6.0, 2.0, 0.6, 0.9
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]

    def turn(angle: float) -> np.ndarray:
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    pose = np.eye(4)
    pose[:2, :2], pose[:2, 3] = turn(heading), [500.0, 300.0]
    outline = (corners @ turn(yaw).T + [x, y]) @ turn(heading).T + pose[:2, 3]
    nothing = np.array([], dtype=object)
    area = np.array([shapely.Polygon(outline)], dtype=object)
    layers = LocationMap("boston-seaport", nothing, nothing, nothing, nothing, area)
    reader = NuScenesReaderConfig(bev_half_m=HALF_M, map_cells=64, crossing="polygon")
    mask = average_masks(torch.from_numpy(MapRasteriser(layers, reader).draw(pose))[None, 3:], CELLS)[0, 0]
    box = torch.tensor([[[x, y, 0, length, width, 1, yaw, 0, 0]]])
    heat = render(boxes_to_code(box), torch.ones(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))[0, 0]

    def moments(image_HW: Tensor) -> Tensor:
        axis = torch.arange(CELLS, dtype=torch.float32)
        share = image_HW / image_HW.sum()
        row, column = (share.sum(1) * axis).sum(), (share.sum(0) * axis).sum()
        lean = (share * (axis[:, None] - row) * (axis - column)).sum()
        return torch.stack([row, column, lean.sign()])

    torch.testing.assert_close(moments(heat), moments(mask), atol=0.15, rtol=0)


def make_suite(cache: NuScenesCache, kind: str, with_canvases: bool = True) -> NuScenesSuite:
    frame = build_partition(cache.scenes, kind, seed=0).set_index("scene")  # type: ignore[arg-type]
    table = {str(name): {task: bool(row[task]) for task in TASKS} for name, row in frame.iterrows()}
    adapter = BEVCanvases(SUITE_MODEL) if with_canvases else None
    return NuScenesSuite(cache, table, SUITE_MODEL, BatchPlan(2, 2, 0), adapter)


@pytest.mark.parametrize("single", [False, True])
def test_views_change_nothing_else(tiny_cache: NuScenesCache, single: bool) -> None:
    """Losses, outputs and taps with and without views, and without an adapter, are the same to the bit."""
    results = []
    for with_canvases, plan in ((False, None), (True, None), (True, TWO)):
        suite = make_suite(tiny_cache, "s_geo", with_canvases)
        suite.provide_views(plan)
        results.append(suite.forward(suite.batch(0), 3, single))
        if plan is not None:
            assert suite.canvas_spec is not None and len(results[-1].views) == 2
            for view, task in itertools.product(results[-1].views, TASKS):
                shape = (2, suite.canvas_spec.channels(task), SUITE_MODEL.bev_cells, SUITE_MODEL.bev_cells)
                assert view.predictions[task].shape == view.labels[task].shape == shape
                assert torch.equal(view.visible[task], results[-1].visible[task])
    assert results[0].views == results[1].views == []
    for result in results[1:]:
        assert all(torch.equal(result.losses[name], loss) for name, loss in results[0].losses.items())
        assert result.losses.keys() == results[0].losses.keys()
        for task in TASKS:
            taps = zip(result.taps[task].values(), results[0].taps[task].values(), strict=True)
            assert all(torch.equal(a, b) for a, b in taps)


def test_the_suite_shows_the_labels_of_its_batch(tiny_cache: NuScenesCache) -> None:
    suite = make_suite(tiny_cache, "full")
    suite.provide_views(ONE)
    batch = suite.batch(0)
    (view,) = suite.forward(batch, 0, False).views
    assert torch.equal(view.labels["map"], average_masks(batch.map_BTKHW[:, -1], SUITE_MODEL.bev_cells))
    classes = view.labels["track"][:, : SUITE_MODEL.num_classes].amax((2, 3)) > 0.5
    there = torch.zeros_like(classes)
    for sample, labels in enumerate(batch.labels_BTG[:, -1]):
        there[sample, labels[labels >= 0]] = True
    assert torch.equal(classes, there) and there.any()


def test_a_suite_without_an_adapter_refuses_views(tiny_cache: NuScenesCache) -> None:
    suite = make_suite(tiny_cache, "full", with_canvases=False)
    with pytest.raises(UserError, match="nuscenes cannot show its tasks"):
        suite.provide_views(ONE)
    assert suite.canvas_spec is None and suite.view_plan is None


@pytest.mark.parametrize("needed", [False, True])
def test_only_methods_that_want_canvases_get_them(
    tiny_cache: NuScenesCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: bool
) -> None:
    settings = SimpleNamespace(
        method=SimpleNamespace(needs_canvases=needed),
        training=SimpleNamespace(batch_size=2, clip_length=2),
        model=SUITE_MODEL,
        world="street",
        partition="full",
        init=None,
    )
    binding, layout = NuScenesBinding(), Layout("test", tmp_path)
    monkeypatch.setattr(binding, "_run", lambda config, name: settings)
    monkeypatch.setattr(binding, "_open_cache", lambda layout, world: tiny_cache)
    write_partition(
        build_partition(tiny_cache.scenes, "full", seed=0), layout.partition("nuscenes", "street", "full")
    )
    suite = binding.make_suite(None, layout, "run", 0)  # type: ignore[arg-type]
    assert (suite.canvas_spec is not None) == needed


def test_runs_without_canvases_do_not_depend_on_their_code() -> None:
    (module,) = NuScenesBinding.modules["canvases"]
    graph = _import_graph()
    own = {module, "nexusflow.bev.canvas"}
    assert own <= graph.find_upstream_modules(module) | {module}
    for entry in NuScenesBinding.modules["train"]:
        assert not own & graph.find_upstream_modules(entry)
