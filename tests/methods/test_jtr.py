"""JTR: who learns from which term, weights, noise, precision, mistakes."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from nexusflow.core.errors import UserError
from nexusflow.core.views import CanvasSpec, DenseView
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.config import MethodConfig
from nexusflow.methods.dense_ops import cosine_distance
from nexusflow.methods.jtr import JTRMethod
from nexusflow.methods.jtr_config import JTRConfig
from tests.methods.canvas_toy import bev_spec, spec, view

torch.set_num_threads(1)

ONE_LABEL = {
    "semantics": [True, False, False],
    "depth": [False, True, False],
    "normals": [False, False, True],
}
ALL = {task: [True] * 3 for task in ONE_LABEL}
TASKS = tuple(ONE_LABEL)


def make(canvases: CanvasSpec | None = None, seed: int = 0, **options) -> JTRMethod:
    config = JTRConfig(**{"widths": (4, 8), "extra_blocks": (1, 0)} | options)
    method = build_method(config, BuildContext({}, seed, canvases or spec()))
    assert isinstance(method, JTRMethod)
    return method


def pair(visible=ONE_LABEL, canvases: CanvasSpec | None = None, **options) -> list[DenseView]:
    return [view(canvases or spec(), visible, seed=seed, **options) for seed in (1, 2)]


def losses_of(method: JTRMethod, views: list[DenseView], step: int = 0) -> dict[str, Tensor]:
    return method.extra_losses({}, {}, views[0].visible, step, views)


def gradients(seen: DenseView) -> list[Tensor | None]:
    return [prediction.grad for prediction in seen.predictions.values()]


def reached(seen: DenseView) -> list[bool]:
    """Whether any gradient reached the predictions, by task."""
    return [grad is not None and bool(grad.any()) for grad in gradients(seen)]


def confident(seen: DenseView) -> DenseView:
    """The same view with every prediction right and everything valid."""
    likeliest = seen.predictions["semantics"].argmax(1, keepdim=True)
    one_hot = torch.zeros_like(seen.predictions["semantics"]).scatter(1, likeliest, 1.0).detach()
    labels = seen.labels | {"semantics": one_hot}
    predictions = labels | {"semantics": (200 * one_hot).log_softmax(1)}
    valid = {task: torch.ones_like(where) for task, where in seen.valid.items()}
    return replace(seen, labels=labels, valid=valid, predictions=predictions)


def test_it_wants_two_photometric_views():
    plan = make().view_plan
    assert plan is not None and plan.extra == 2 and plan.photometric


def test_the_first_view_teaches_the_model_alone():
    views = pair()
    method = make(reconstruction_weight=0.0)
    losses_of(method, views)["jtr/distance"].backward()
    # With w_r = 0 the second view's distance has weight 0 and leaves exact zeros.
    assert all(weight.grad is None or not weight.grad.any() for weight in method.parameters())
    assert all(reached(views[0]))


def test_the_joint_network_gets_no_gradient_at_all_from_the_first_view():
    method, views = make(), pair()
    method._distance_for_model(views[0], torch.Generator()).backward()
    assert all(weight.grad is None for weight in method.parameters())
    assert all(reached(views[0]))


def test_the_second_view_teaches_the_joint_network_alone():
    method, views = make(), pair()
    distance, reconstruction = method._losses_for_network(views[1], torch.Generator())
    for loss in (distance, reconstruction):
        method.zero_grad()
        loss.backward(retain_graph=True)
        assert gradients(views[1]) == [None] * 3
        assert any(weight.grad is not None and weight.grad.any() for weight in method.parameters())
    method.zero_grad()
    sum(losses_of(method, views).values()).backward()
    assert gradients(views[1]) == [None] * 3
    assert views[0].features_BFhw.grad is None and views[1].features_BFhw.grad is None


def test_predictions_of_labelled_tasks_are_left_alone():
    views = pair()
    sum(losses_of(make(), views).values()).backward()
    for own, task in enumerate(TASKS):
        for sample in range(3):
            grad = views[0].predictions[task].grad[sample]
            assert bool((grad != 0).any()) == (sample != own), (task, sample)


def test_full_supervision_switches_it_off():
    views = pair(ALL)
    method = make()
    sum(losses_of(method, views).values()).backward()
    assert reached(views[0]) == [False] * 3 and reached(views[1]) == [False] * 3
    assert method.unweighted["jtr/distance_view1"] > 0


def test_a_fully_labelled_sample_teaches_nothing_through_the_batch_statistics():
    seen, method = view(spec(), {task: [True, task == "depth"] for task in TASKS}), make()
    generator = torch.Generator().manual_seed(0)
    stacks = [method.stacks.predicted(seen, generator), method.stacks.completed(seen, generator)]
    distance_B = cosine_distance(*(method.network.encode_frozen(stack.channels_BCHW) for stack in stacks))
    normals = seen.predictions["normals"]
    of_complete, of_other = (torch.autograd.grad(d, normals, retain_graph=True)[0] for d in distance_B)
    assert of_complete[1].any()
    loss = method._distance_for_model(seen, torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss, distance_B.mean())
    torch.testing.assert_close(torch.autograd.grad(loss, normals)[0], of_other / 2)


def test_right_predictions_have_no_distance():
    views = [confident(seen) for seen in pair(ALL)]
    method = make()
    losses_of(method, views)
    assert method.unweighted["jtr/distance_view1"] < 1e-6
    assert method.unweighted["jtr/distance_view2"] < 1e-6
    losses_of(method, pair(ALL))
    assert method.unweighted["jtr/distance_view1"] > 1e-3


def test_the_two_stacks_of_the_first_view_have_noise_of_their_own():
    hidden = {task: [False] * 3 for task in TASKS}
    method = make()
    losses_of(method, pair(hidden))
    # Without labels both stacks are the same predictions, so the distance is noise alone.
    assert method.unweighted["jtr/distance_view1"] > 1e-3
    assert method.unweighted["jtr/distance_view2"] > 1e-3


def test_hard_and_soft_classes(monkeypatch):
    method, inputs = make(), []
    encode_frozen, forward = method.network.encode_frozen, method.network.forward
    monkeypatch.setattr(
        method.network, "encode_frozen", lambda stack: inputs.append(stack) or encode_frozen(stack)
    )
    monkeypatch.setattr(method.network, "forward", lambda stack: inputs.append(stack) or forward(stack))
    losses_of(method, pair({task: [False] * 3 for task in TASKS}))
    hard = [bool(((stack[:, :5] == 0) | (stack[:, :5] == 1)).all()) for stack in inputs]
    # Y_1, Y_hat_1, Y_2, Y_hat_2.
    assert hard == [True, True, True, False]
    assert [stack.requires_grad for stack in inputs] == [True, True, False, False]


@pytest.mark.parametrize(
    ("options", "w_d", "w_r"),
    [({}, 4.0, 2.0), ({"distance_weight": 3.0, "reconstruction_weight": 0.5}, 3.0, 0.5)],
)
def test_weights(options, w_d, w_r):
    method = make(**options)
    losses, parts = losses_of(method, pair()), method.unweighted
    distance = parts["jtr/distance_view1"] + w_r * parts["jtr/distance_view2"]
    torch.testing.assert_close(parts["jtr/distance"], distance)
    torch.testing.assert_close(losses["jtr/distance"].detach(), w_d * distance)
    torch.testing.assert_close(losses["jtr/reconstruction"].detach(), w_r * parts["jtr/reconstruction"])
    assert set(losses) == {"jtr/distance", "jtr/reconstruction"}
    assert not any(loss.requires_grad for loss in parts.values())


@pytest.mark.parametrize(("step", "ramp"), [(0, 0.0), (1, 0.25), (4, 1.0), (9, 1.0)])
def test_ramp(step, ramp):
    method = make(ramp_steps=4)
    losses = losses_of(method, pair(), step)
    torch.testing.assert_close(losses["jtr/distance"].detach(), 4 * ramp * method.unweighted["jtr/distance"])
    torch.testing.assert_close(
        losses["jtr/reconstruction"].detach(), 2 * ramp * method.unweighted["jtr/reconstruction"]
    )


def test_hidden_labels_do_not_matter():
    views = pair()
    expected = losses_of(make(), views)
    for seen in views:
        for task in TASKS:
            hidden = ~seen.visible[task]
            seen.labels[task][hidden] = 7.0
            seen.valid[task][hidden] = torch.rand(seen.valid[task][hidden].shape) > 0.5
    got = losses_of(make(), views)
    assert all(torch.equal(got[name], expected[name]) for name in expected)


def test_noise_is_a_function_of_seed_and_step():
    views, method = pair(), make()
    first, again = losses_of(method, views, step=3), losses_of(method, views, step=3)
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = losses_of(method, views, step=4)
    assert not torch.equal(first["jtr/distance"], other["jtr/distance"])
    twin = copy.deepcopy(method)
    twin.seed = 1
    assert not torch.equal(first["jtr/distance"], losses_of(twin, views, step=3)["jtr/distance"])


def test_the_global_random_state_is_left_alone():
    method, views = make(), pair()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    losses_of(method, views)
    assert torch.equal(torch.rand(3), expected)


def test_low_precision_is_finite_and_measured_in_full():
    views, method = pair(), make()
    exact = losses_of(method, views)
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(method, views)
    assert all(loss.dtype == torch.float32 and bool(loss.isfinite()) for loss in losses.values())
    sum(losses.values()).backward()
    assert all(grad.isfinite().all() for grad in gradients(views[0]))
    for name, loss in losses.items():
        torch.testing.assert_close(loss, exact[name], rtol=0.1, atol=0.1)


def test_quirks_change_the_target_of_the_predictions_alone(monkeypatch):
    def targets(quirks: bool) -> list[Tensor]:
        method, seen = make(faithful_quirks=quirks), []
        loss = method.stacks.reconstruction_loss
        monkeypatch.setattr(
            method.stacks, "reconstruction_loss", lambda *args: seen.append(args[1]) or loss(*args)
        )
        losses_of(method, pair())
        return seen

    clean, quirky = targets(False), targets(True)
    second = pair()[1]
    mask = make().stacks.mask(second)
    depth, normals = second.predictions["depth"] * mask, second.predictions["normals"] * mask
    assert torch.equal(clean[0], quirky[0])
    torch.testing.assert_close(clean[1][:, 5:6], depth)
    torch.testing.assert_close(clean[1][:, 6:], normals)
    # What reads the target applies Phi itself, so this is Phi of Phi.
    phi = 0.5 * (1 + torch.erf((depth - 2.5) / (1.5 * math.sqrt(2))))
    torch.testing.assert_close(quirky[1][:, 5:6], phi)
    torch.testing.assert_close(quirky[1][:, 6:], (normals + 1) / 2)
    assert torch.equal(clean[1][:, :5], quirky[1][:, :5])
    plain, changed = make(), make(faithful_quirks=True)
    first, other = losses_of(plain, pair()), losses_of(changed, pair())
    assert torch.equal(first["jtr/distance"], other["jtr/distance"])
    assert not torch.equal(first["jtr/reconstruction"], other["jtr/reconstruction"])


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_joint_network_learns_and_does_not_collapse(norm):
    views = pair(requires_grad=False)
    method = make(widths=(8, 16), norm=norm)
    optimizer = torch.optim.Adam(method.extra_parameters(), lr=3e-3)
    totals, spreads = [], []
    for _ in range(30):
        total = sum(losses_of(method, views).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
        spreads.append(method.monitors()["jtr/latent_std"])
    assert totals[-1] < 0.8 * totals[0]
    assert min(spreads) > 0.3 * spreads[0] > 0


def test_monitors():
    method = make()
    assert method.monitors() == {}
    views = pair()
    losses_of(method, views)
    report = method.monitors()
    parts = method.unweighted
    assert set(report) == {
        "jtr/latent_std",
        "jtr/label_latent_std",
        "jtr/distance_view1",
        "jtr/distance_view2",
    }
    assert report["jtr/distance_view1"] == float(parts["jtr/distance_view1"])
    # Batch statistics make the latent a function of the stack alone, so it can be computed again.
    latent = method.network.encode(method.stacks.predicted(views[1], None).channels_BCHW)
    expected = float(latent.detach().transpose(0, 1).flatten(1).std(1, correction=0).mean())
    assert report["jtr/latent_std"] == pytest.approx(expected, rel=1e-5)
    assert report["jtr/label_latent_std"] != report["jtr/latent_std"]


def test_a_collapsed_latent_is_seen():
    method = make()
    with torch.no_grad():
        for weight in method.network.encoder.parameters():
            weight.zero_()
    losses_of(method, pair())
    assert method.monitors()["jtr/latent_std"] == 0


def test_tasks_seen_from_above():
    visible = {"boxes": [True, False], "layers": [False, True]}
    views = pair(visible, bev_spec(), size=(25, 25))
    method = make(bev_spec(), norm="group")
    losses = losses_of(method, views)
    assert all(bool(loss.isfinite()) for loss in losses.values())
    sum(losses.values()).backward()
    for own, task in enumerate(visible):
        for sample in range(2):
            grad = views[0].predictions[task].grad[sample]
            assert bool((grad != 0).any()) == (sample != own)
    # Every channel of the unlabelled boxes learns, gated ones included.
    assert (views[0].predictions["boxes"].grad[1].abs().amax((1, 2)) > 0).all()
    assert gradients(views[1]) == [None, None]


def test_all_its_parameters_are_trained():
    method = make()
    assert {id(weight) for weight in method.parameter_groups()[0].parameters} == {
        id(weight) for weight in method.network.parameters()
    }
    assert method.parameter_groups()[0].rate_factor == 1.0
    sum(losses_of(method, pair()).values()).backward()
    assert all(weight.grad is not None for weight in method.parameters())


def test_options_reach_the_network():
    network = make(widths=(4, 6, 8), extra_blocks=(0, 1, 2), norm="group").network
    assert [level[0].out_channels for level in network.encoder.levels] == [4, 6, 8]
    assert [sum(isinstance(part, torch.nn.GroupNorm) for part in level) for level in network.decoder] == [
        1,
        2,
        3,
    ]
    assert network.head[1].out_channels == 9


def test_weights_follow_the_seed():
    first, again, other = (make(seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_suite_without_canvases():
    with pytest.raises(UserError, match=r"method\.name: jtr compares .* the suite moon does not offer"):
        build_method(JTRConfig(), BuildContext({"a": 1}, suite="moon"))


def test_one_task_has_no_partner():
    one = CanvasSpec({"depth": spec().groups["depth"]}, 4)
    with pytest.raises(UserError, match=r"method\.name: .*the suite moon has depth"):
        build_method(JTRConfig(), BuildContext({}, canvases=one, suite="moon"))


@pytest.mark.parametrize(
    "mistake",
    [
        {"distance": 4},
        {"distance_weight": -1},
        {"norm": "layer"},
        {"widths": []},
        {"widths": [8, 0], "extra_blocks": [1, 1]},
        {"extra_blocks": [1, 1]},
        {"extra_blocks": [1, 1, 2, 2, -1]},
        {"ramp_steps": -1},
    ],
    ids=str,
)
def test_mistakes_are_refused(mistake):
    with pytest.raises(ValidationError):
        TypeAdapter(MethodConfig).validate_python({"name": "jtr"} | mistake)


def test_the_section():
    config = TypeAdapter(MethodConfig).validate_python(
        {"name": "jtr", "widths": [8, 8], "extra_blocks": [0, 1]}
    )
    assert isinstance(config, JTRConfig) and config.widths == (8, 8) and config.needs_canvases
    assert TypeAdapter(MethodConfig).validate_json(config.model_dump_json()) == config
    assert JTRConfig().widths == (64, 128, 256, 512, 512) and JTRConfig().extra_blocks == (1, 1, 2, 2, 2)
    assert not JTRConfig().faithful_quirks and JTRConfig().norm == "batch"
    assert all(field.description for field in JTRConfig.model_fields.values())
