"""The whole model: shapes, gradients, hidden labels, determinism, streaming, freezing, size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nexusflow.bev.config import BEVModelConfig, TrackerThresholds
from nexusflow.bev.model import BEVModel
from nexusflow.bev.types import FramePrediction
from tests.bev.conftest import Batch, make_batch, run, tiny_config

NAMES = {
    *("track/cls", "track/box", "track/heat", "track/dn_cls", "track/dn_box"),
    *("map/focal", "map/dice"),
}
EAGER = TrackerThresholds(birth=0.0, keep=0.0, slots=12)


def _gradients(model: BEVModel, batch: Batch) -> dict[str, torch.Tensor]:
    model.zero_grad(set_to_none=True)
    sum(run(model, batch)[1].values()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("single", [False, True])
def test_outputs_and_losses(model: BEVModel, batch: Batch, single: bool) -> None:
    output, losses = run(model, batch, single=single)
    frames = output.outputs["track"].frames
    assert set(losses) == NAMES and all(v.dim() == 0 and v.isfinite() for v in losses.values())
    assert len(frames) == (1 if single else 2)
    rows = 4 if single else 2
    assert frames[-1].logits_LBQK.shape == (2, rows, 8 + (0 if single else 6) + 10, 7)
    assert output.outputs["map"].logits_FKHW.shape == (rows, 4, 32, 32)
    assert output.bev_BCHW.shape == (rows, 16, 16, 16)


def test_all_frames_of_a_clip_can_be_mapped(batch: Batch) -> None:
    model = BEVModel(tiny_config(map={"frames": "all"}))
    output = model(*batch.inputs, batch.truth)
    assert output.outputs["map"].logits_FKHW.shape == (4, 4, 32, 32)
    last = model.losses(output, batch.truth, batch.maps[:, -1], batch.map_visible)
    everything = model.losses(output, batch.truth, batch.maps, batch.map_visible)
    assert not torch.equal(last["map/dice"], everything["map/dice"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder": {"kind": "bevformer", "heads": 2}},
        {"track": {"query_init": "learned", "cross_attention": "deformable", "refinement": "sigmoid"}},
        {"track": {"detection_targets": "newborn", "denoising_queries": 0}},
        {"map": {"queries_per_class": 2}, "norm_groups": 2},
    ],
)
def test_every_parameter_gets_a_gradient(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    config = tiny_config(**changes)
    model = BEVModel(config)
    if config.encoder.kind == "lift_unet":
        torch.nn.init.normal_(model.encoder.previous.weight, std=0.1)
    gradients = _gradients(model, make_batch(config))
    missing = [name for name, p in model.named_parameters() if name not in gradients]
    unused = [] if config.track.denoising_queries else ["track.kind"]
    silent = [name for name, g in gradients.items() if not g.any() and name not in unused]
    # A key's bias shifts all scores of a query alike, which the softmax cancels up to rounding.
    assert not missing and not [name for name in silent if not name.endswith("key.bias")]
    assert all(g.isfinite().all() for g in gradients.values())


def test_gradient_of_the_loss_flows_through_the_clip(model: BEVModel, batch: Batch) -> None:
    output = model(*batch.inputs, batch.truth)
    last = output.outputs["track"].frames[-1]
    gradient = torch.autograd.grad(last.logits_LBQK[..., 8:14, :].sum(), model.track.interaction.norm.weight)[
        0
    ]
    assert gradient.any()


def test_changing_hidden_labels_changes_no_gradient(model: BEVModel, batch: Batch) -> None:
    hidden = batch.hide([True, False], [False, True])
    first = _gradients(model, hidden)
    boxes, labels = hidden.truth.boxes_BTG9.clone(), hidden.truth.labels_BTG.clone()
    boxes[1], labels[1] = torch.randn_like(boxes[1]), torch.randint(-1, 7, labels[1].shape)
    more = (
        torch.cat([boxes, boxes], 2),
        torch.cat([labels, labels.clone().index_fill_(0, torch.tensor(0), -1)], 2),
    )
    instances = torch.cat([hidden.truth.instances_BTG] * 2, 2)
    maps = hidden.maps.clone()
    maps[0] = 1 - maps[0]
    changed = replace(
        hidden,
        truth=replace(hidden.truth, boxes_BTG9=more[0], labels_BTG=more[1], instances_BTG=instances),
        maps=maps,
    )
    second = _gradients(model, changed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_hidden_tasks_give_exactly_zero_gradient(model: BEVModel, batch: Batch) -> None:
    no_tracks = _gradients(model, batch.hide([False, False], [True, True]))
    assert not any(g.any() for name, g in no_tracks.items() if name.startswith("track."))
    assert any(g.any() for name, g in no_tracks.items() if name.startswith("backbone."))
    no_maps = _gradients(model, batch.hide([True, True], [False, False]))
    assert not any(g.any() for name, g in no_maps.items() if name.startswith("map."))
    nothing = _gradients(model, batch.hide([False, False], [False, False]))
    assert not any(g.any() for g in nothing.values())


def test_same_seed_and_step_same_gradients(model: BEVModel, batch: Batch) -> None:
    first, _ = _gradients(model, batch), run(model, batch, step=5)
    again = _gradients(model, batch)
    assert all(torch.equal(first[name], again[name]) for name in first)
    noise = [run(model, batch, step=step)[1]["track/dn_box"].detach() for step in (0, 1, 0)]
    assert torch.equal(noise[0], noise[2]) and not torch.equal(noise[0], noise[1])


def test_evaluation_mode_adds_no_noise(model: BEVModel, batch: Batch) -> None:
    model.eval()
    output, losses = run(model, batch)
    frame = output.outputs["track"].frames[0]
    assert frame.logits_LBQK.shape[2] == frame.detections + frame.slots
    assert float(losses["track/dn_cls"].detach()) == 0.0


def _stream(model: BEVModel, batch: Batch, rows: list[int]) -> list[list[FramePrediction]]:
    state, frames = None, []
    pick = torch.tensor(rows)
    for t in range(batch.images.shape[1]):
        inputs = [x[pick, t] for x in batch.inputs]
        predictions, state = model.predict_batch(*inputs, state, EAGER)
        frames.append(predictions)
    return frames


def test_lock_step_equals_single_streams(model: BEVModel, config: BEVModelConfig) -> None:
    model.eval()
    batch = make_batch(config, clips=3, frames=3)
    together = _stream(model, batch, [0, 1, 2])
    for scene in range(3):
        alone, state = [], None
        for t in range(3):
            inputs = [x[scene, t] for x in batch.inputs]
            prediction, state = model.predict_step(*inputs, state, EAGER)
            alone.append(prediction)
        for t in range(3):
            assert len(alone[t].track_ids_P) > 0
            for name in ("boxes_P9", "labels_P", "scores_P", "track_ids_P", "map_KHW"):
                mine, theirs = getattr(alone[t], name), getattr(together[t][scene], name)
                torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_predictions_are_well_formed(model: BEVModel, batch: Batch) -> None:
    model.eval()
    for predictions in _stream(model, batch, [0, 1]):
        for p in predictions:
            count = len(p.track_ids_P)
            assert p.boxes_P9.shape == (count, 9) and p.map_KHW.shape == (4, 32, 32)
            assert p.track_ids_P.unique().numel() == count and (p.track_ids_P >= 0).all()
            assert (p.boxes_P9[:, 3:6] > 0).all() and (p.map_KHW >= 0).all() and (p.map_KHW <= 1).all()
            assert p.labels_P.min() >= 0 and p.labels_P.max() < 7


def test_scenes_can_leave_the_batch(model: BEVModel, batch: Batch) -> None:
    model.eval()
    _, state = model.predict_batch(*[x[:, 0] for x in batch.inputs], None, EAGER)
    rest = torch.tensor([1])
    predictions, smaller = model.predict_batch(*[x[rest, 1] for x in batch.inputs], state.select(rest), EAGER)
    assert len(predictions) == 1 and smaller.slots.ids_BS.shape[0] == 1


def test_frozen_encoder(model: BEVModel, batch: Batch) -> None:
    model.freeze_encoder()
    gradients = _gradients(model, batch)
    assert gradients and all(name.startswith(("track.", "map.")) for name in gradients)
    frozen = {id(p) for p in model.encoder_parameters()}
    assert all(p.requires_grad == (id(p) not in frozen) for p in model.parameters())
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert all(name.startswith(("track.", "map.")) for name in trained)


def test_autocast_runs_and_stays_finite(model: BEVModel, batch: Batch) -> None:
    model.set_step(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(*batch.inputs, batch.truth)
    losses = model.losses(output, batch.truth, batch.maps[:, -1], batch.map_visible)
    assert all(v.dtype == torch.float32 and v.isfinite() for v in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_learns_one_clip() -> None:
    torch.manual_seed(0)
    config = tiny_config(track={"denoising_noise_m": 0.3})
    model, batch = BEVModel(config), make_batch(config, clips=1, boxes=3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    totals = []
    for step in range(40):
        optimiser.zero_grad()
        losses = run(model, batch, step=step)[1]
        total = losses["track/cls"] + losses["track/box"] + losses["track/heat"]
        sum(losses.values()).backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert sum(totals[-5:]) < 0.5 * sum(totals[:5])


def test_no_batch_statistics(model: BEVModel) -> None:
    assert not [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]


def test_parameter_count_of_the_small_size() -> None:
    model = BEVModel(BEVModelConfig())
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert counts == {"backbone": 912688, "encoder": 1184736, "track": 260045, "map": 315649}


def test_history_may_be_kept_without_gradient() -> None:
    torch.manual_seed(0)
    batch = make_batch(tiny_config())
    both = [BEVModel(tiny_config(encoder={"history": history})) for history in ("gradient", "cached")]
    for parameter in both[0].parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # a new model does not look back
    both[1].load_state_dict(both[0].state_dict())
    grids = [model.train()(*batch.inputs, batch.truth).bev_BCHW for model in both]
    assert torch.equal(*grids)
    for grid in grids:
        grid.square().mean().backward()
    first, second = (model.backbone.stem[0].weight.grad for model in both)
    assert second.abs().sum() > 0 and not torch.equal(first, second)
