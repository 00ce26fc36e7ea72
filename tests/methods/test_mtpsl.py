"""MTPSL as a training method: what is compared, what learns from it, weights and rates."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter, ValidationError

from nexusflow.core.errors import UserError
from nexusflow.core.views import CanvasSpec, ChannelGroup, DenseView
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.config import MethodConfig
from nexusflow.methods.dense_ops import cosine_distance
from nexusflow.methods.mtpsl import Comparison, MTPSLMethod, comparisons, network_input
from nexusflow.methods.mtpsl_config import MTPSLConfig
from nexusflow.methods.pair_network import pair_code
from tests.methods.canvas_toy import bev_spec, spec, view

SMALL = {"name": "mtpsl", "widths": (8,), "extra_blocks": (1, 0)}
ONE_LABEL = {
    "semantics": [True, False, False],
    "depth": [False, True, False],
    "normals": [False, False, True],
}
ALL_LABELS = {task: [True] * 2 for task in ONE_LABEL}
ONE_BEV = {"boxes": [True, False, True], "layers": [False, True, False]}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def make(canvases: CanvasSpec | None = None, seed: int = 0, **options) -> MTPSLMethod:
    config = TypeAdapter(MethodConfig).validate_python(SMALL | options)
    canvases = spec() if canvases is None else canvases
    context = BuildContext(dict.fromkeys(canvases.groups, 4), seed, canvases, "toys")
    method = build_method(config, context)
    assert isinstance(method, MTPSLMethod)
    return method


def loss_of(method: MTPSLMethod, shown: DenseView, step: int = 0) -> torch.Tensor:
    losses = method.extra_losses({}, {}, {}, step, [shown])
    assert set(losses) == {"mtpsl/consistency"}
    return losses["mtpsl/consistency"]


CASES = [(spec(), ONE_LABEL), (bev_spec(), ONE_BEV)]


def test_unlabelled_tasks_are_compared_with_labelled_ones():
    visible = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]]).bool()
    found = comparisons(visible)
    assert found[:2] == [Comparison(0, 1, 0), Comparison(0, 2, 0)]
    assert found[2:4] == [Comparison(1, 0, 1), Comparison(1, 0, 2)]
    everything = [Comparison(3, s, t) for s in range(3) for t in range(3) if s != t]
    assert found[4:] == everything and len(everything) == 6


@pytest.mark.parametrize(("visible", "pairs"), [(ONE_LABEL, 6), (ALL_LABELS, 12)])
def test_pairs_are_counted(visible, pairs):
    method = make()
    loss_of(method, view(spec(), visible))
    assert method.monitors()["mtpsl/pairs"] == pairs


def test_loss_is_that_of_one_pair_at_a_time():
    """The batched pass against the definition: pairs differ, one sample has no label, features are larger."""
    groups = {task: spec().groups[task] for task in ("depth", "normals")} | {
        "boxes": bev_spec().groups["boxes"]
    }
    canvases = CanvasSpec(groups, 8)
    visible = {"depth": [True, False, False], "normals": [False, False, True], "boxes": [False] * 3}
    method = make(canvases, norm="image", regularisation=0.7, widths=(8, 6), extra_blocks=(0, 1, 0))
    shown = view(canvases, visible)
    with torch.no_grad():
        for table in method.network.film_parameters():
            table.add_(0.3 * torch.randn(table.shape, generator=torch.Generator().manual_seed(5)))
    total = torch.zeros(())
    pairs = [(0, "normals", "depth"), (0, "boxes", "depth"), (2, "depth", "normals"), (2, "boxes", "normals")]
    for sample, source, target in pairs:
        code = torch.tensor([pair_code(method.tasks.index(source), method.tasks.index(target), 3)])
        first, second = (
            method.network({task: network_input(canvas[[sample]], groups[task])}, code)
            for task, canvas in ((source, shown.predictions[source]), (target, shown.labels[target]))
        )
        features = F.avg_pool2d(shown.features_BFhw[[sample]], 2)
        pulled = cosine_distance(first, features) + cosine_distance(second, features)
        total = total + (cosine_distance(first, second) + 0.7 * pulled).sum()
    torch.testing.assert_close(loss_of(method, shown), 2.0 * total / 3)


@pytest.mark.parametrize(("canvases", "visible"), CASES)
@pytest.mark.parametrize("norm", ["batch", "group", "image"])
def test_gradients_reach_hidden_tasks_only(canvases, visible, norm):
    method, shown = make(canvases, norm=norm), view(canvases, visible)
    loss_of(method, shown).backward()
    assert shown.features_BFhw.grad is None
    for task, prediction in shown.predictions.items():
        size_B = prediction.grad.abs().amax((1, 2, 3))
        assert torch.equal(size_B > 0, ~shown.visible[task]), task
        channels = prediction.grad[~shown.visible[task]].abs().amax((0, 2, 3))
        assert (channels > 0).all(), task
    assert all(weight.grad.abs().max() > 0 for weight in method.extra_parameters() if weight.ndim > 1)


def test_samples_with_all_labels_teach_all_tasks():
    method, shown = make(), view(spec(), ALL_LABELS)
    loss_of(method, shown).backward()
    assert all(p.grad.abs().amax((1, 2, 3)).min() > 0 for p in shown.predictions.values())


def test_both_images_of_a_pair_have_its_code():
    method = make()
    calls = []
    method.network.register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    # Normals predict, semantics are the label: the pair (2, 0); depth predicts: (1, 0).
    visible = {"semantics": [True], "depth": [False], "normals": [False]}
    loss = loss_of(method, view(spec(), visible))
    [(images, codes)] = calls
    assert {task: len(image) for task, image in images.items()} == {"semantics": 2, "depth": 1, "normals": 1}
    assert codes.tolist() == [2, 4, 2, 4]
    loss.backward()
    for table in method.network.film_parameters():
        assert (table.grad.abs().amax(0) > 0).tolist() == [False, False, True, False, True, False]


def test_loss_is_bounded():
    for seed in range(10):
        method, shown = make(bev_spec(), seed), view(bev_spec(), {"boxes": [True], "layers": [False]}, seed)
        loss_of(method, shown)
        assert 0 <= float(method.unweighted["mtpsl/consistency"]) <= 2 * (1 + 2 * 0.5)


def test_weights_arrive():
    shown = view(bev_spec(), ONE_BEV)

    def plain(**options) -> float:
        return float(loss_of(make(bev_spec(), **options), shown).detach())

    assert plain(consistency_weight=6.0) == pytest.approx(3 * plain(), rel=1e-6)
    zero, half, one = (plain(regularisation=rho) for rho in (0.0, 0.5, 1.0))
    assert half - zero == pytest.approx(one - half, rel=1e-4) and half - zero > 0.1
    assert plain() == half


def test_loss_is_logged_without_weight():
    method, shown = make(consistency_weight=8.0, ramp_steps=4), view(spec(), ONE_LABEL)
    loss = loss_of(method, shown, step=1)
    plain = method.unweighted["mtpsl/consistency"]
    torch.testing.assert_close(loss.detach(), 2 * plain)
    assert set(method.unweighted) == {"mtpsl/consistency"} and not plain.requires_grad


def test_weight_grows_along_the_ramp():
    assert [make(ramp_steps=4).weight_at(step) for step in (0, 1, 2, 4, 9)] == [0.0, 0.5, 1.0, 2.0, 2.0]
    assert make().weight_at(0) == 2.0


def test_noise_is_a_function_of_seed_and_step():
    method, shown = make(), view(spec(), ONE_LABEL)
    state = torch.get_rng_state()
    first, again, other = (loss_of(method, shown, step) for step in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again) and not torch.equal(first, other)
    reseeded = MTPSLMethod(method.network, spec(), method.config, seed=1)
    assert not torch.equal(loss_of(reseeded, shown, 7), first)


@pytest.mark.parametrize("norm", ["batch", "group", "image"])
def test_half_precision_stays_finite(norm):
    method, shown = make(norm=norm), view(spec(), ONE_LABEL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(method, shown)
    assert loss.dtype == torch.float32 and bool(torch.isfinite(loss))
    loss.backward()
    gradients = [p.grad for p in [*method.extra_parameters(), *shown.predictions.values()]]
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    torch.testing.assert_close(loss, loss_of(method, shown), atol=0, rtol=0.1)


@pytest.mark.parametrize(("canvases", "visible"), CASES)
def test_a_batch_without_a_pair_adds_nothing(canvases, visible):
    method = make(canvases)
    loss = loss_of(method, view(canvases, {task: [False, False] for task in visible}))
    assert float(loss) == 0 and method.unweighted == {"mtpsl/consistency": torch.zeros(())}
    assert method.monitors() == {"mtpsl/pairs": 0.0}
    (loss + method.network.film_parameters()[0].sum()).backward()


def test_invalid_labels_and_flat_predictions_stay_finite():
    shown = view(spec(), ONE_LABEL)
    with torch.no_grad():
        for canvas in [*shown.labels.values(), *shown.predictions.values()]:
            canvas.zero_()
    loss = loss_of(make(), shown)
    loss.backward()
    assert bool(torch.isfinite(loss))


def test_inputs_of_dense_tasks():
    shown, groups = view(spec(), {task: [True, True] for task in ONE_LABEL}), spec().groups
    generator = torch.Generator().manual_seed(0)
    hot = network_input(shown.predictions["semantics"], groups["semantics"], generator)
    assert torch.equal(hot.detach().unique(), torch.tensor([0.0, 1.0])) and bool((hot.sum(1) == 1).all())
    assert not torch.equal(hot.argmax(1), shown.predictions["semantics"].argmax(1))
    label = network_input(shown.labels["semantics"], groups["semantics"])
    assert torch.equal(label, shown.labels["semantics"])
    for canvas in (shown.predictions["depth"], shown.labels["depth"]):
        depth = network_input(canvas, groups["depth"])
        torch.testing.assert_close(depth.amax((1, 2, 3)), torch.ones(2))
        torch.testing.assert_close(depth * canvas.amax((1, 2, 3), keepdim=True), canvas)
    normals = network_input(shown.labels["normals"], groups["normals"])
    torch.testing.assert_close(normals * 2 - 1, shown.labels["normals"])
    assert bool((normals.movedim(1, 3)[~shown.valid["normals"][:, 0]] == 0.5).all())


def test_boxes_fade_where_nothing_is_probable():
    groups = bev_spec().groups["boxes"]
    canvas = view(bev_spec(), {"boxes": [True], "layers": [True]}).predictions["boxes"].detach().clone()
    canvas[0, :7, 0, 0] = 0.0
    boxes = network_input(canvas, groups)
    assert torch.equal(boxes[:, :7], canvas[:, :7]) and bool((boxes[0, 7:, 0, 0] == 0).all())
    gate = canvas[:, :7].amax(1)
    torch.testing.assert_close(boxes[:, 8], gate * (canvas[:, 8] - 0.6) / 0.2)
    torch.testing.assert_close(boxes[:, 10], gate * (canvas[:, 10] + 1) / 2)


def test_scales_and_shifts_have_a_rate_of_their_own():
    method = make(film_rate_factor=7.0, film_halving_factor=0.5)
    slow, fast = method.parameter_groups()
    assert (slow.rate_factor, slow.halving_factor) == (1.0, 1.0)
    assert (fast.rate_factor, fast.halving_factor) == (7.0, 0.5)
    assert [id(p) for p in fast.parameters] == [id(p) for p in method.network.film_parameters()]
    everything = [id(p) for group in (slow, fast) for p in group.parameters]
    assert len(everything) == len(set(everything)) and set(everything) == {id(p) for p in method.parameters()}
    assert (MTPSLConfig().film_rate_factor, MTPSLConfig().film_halving_factor) == (10.0, 0.3)


def test_training_lowers_the_loss_without_collapse():
    method, shown = make(), view(spec(), ONE_LABEL, requires_grad=False)
    optimizer = torch.optim.Adam(
        [{"params": g.parameters, "lr": 3e-3 * g.rate_factor} for g in method.parameter_groups()]
    )
    values, spreads = [], []
    for _ in range(30):
        loss = loss_of(method, shown)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
        spreads.append(method.monitors())
    assert values[-1] < 0.8 * values[0]
    for name in ("mtpsl/latent_std", "mtpsl/label_latent_std"):
        assert spreads[-1][name] > 0.3 * spreads[0][name] > 0


def test_monitors_measure_the_spread_of_latents():
    method = make()
    assert method.monitors() == {}
    with torch.no_grad():
        for table in method.network.film_parameters():
            table.zero_()
    loss_of(method, view(spec(), ONE_LABEL))
    assert method.monitors() == {"mtpsl/pairs": 6.0, "mtpsl/latent_std": 0.0, "mtpsl/label_latent_std": 0.0}


def test_every_option_arrives():
    method = make(widths=(6, 4), extra_blocks=(0, 2, 1), norm="group", seed=3)
    levels = [[unit.convolution.out_channels for unit in level] for level in method.network.levels]
    assert levels == [[6], [4, 4, 4], [8, 8]] and method.seed == 3
    assert any(isinstance(part, torch.nn.GroupNorm) for part in method.modules())
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in method.modules())
    assert method.view_plan is not None and method.view_plan.extra == 1 and not method.view_plan.photometric


def test_the_default_is_the_published_method():
    config = MTPSLConfig()
    assert (config.consistency_weight, config.regularisation, config.ramp_steps) == (2.0, 0.5, 0)
    assert (config.widths, config.extra_blocks) == ((64, 128, 256, 512), (1, 1, 2, 2, 2))
    assert config.needs_canvases
    assert all(field.description for field in MTPSLConfig.model_fields.values())
    assert TypeAdapter(MethodConfig).validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "mistake",
    [
        {"mu": 1.0},
        {"consistency_weight": -1},
        {"regularisation": -0.5},
        {"norm": "layer"},
        {"widths": (0,)},
        {"widths": (8, 8)},
        {"film_rate_factor": 0},
        {"ramp_steps": -1},
    ],
    ids=str,
)
def test_mistakes_are_refused(mistake):
    with pytest.raises(ValidationError):
        TypeAdapter(MethodConfig).validate_python(SMALL | mistake)


def test_suites_without_canvases_are_refused():
    with pytest.raises(UserError, match=r"method\.name: mtpsl .* the suite toys does not offer; choose"):
        build_method(MTPSLConfig(), BuildContext({"a": 4, "b": 4}, suite="toys"))


def test_one_task_has_no_pair():
    one = CanvasSpec({"depth": (ChannelGroup("positive", 1),)}, 8)
    with pytest.raises(UserError, match=r"method\.name: mtpsl compares two or more tasks, .* has depth;"):
        build_method(MTPSLConfig(), BuildContext({"depth": 4}, canvases=one))
