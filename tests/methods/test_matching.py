"""Matching of domains: what is compared, where the gradient goes, batches of one domain, mistakes."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from nexusflow.core.errors import UserError
from nexusflow.core.views import DenseView
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.config import MethodConfig
from nexusflow.methods.matching import MatchingMethod, domains_of, pooled_features
from nexusflow.methods.matching_losses import moment_distance, multi_kernel_mmd
from tests.methods.canvas_toy import bev_spec

CITIES = {"track": torch.tensor([True, False, True, False]), "map": torch.tensor([False, True, False, True])}
ONE_CITY = {"track": torch.ones(4, dtype=torch.bool), "map": torch.zeros(4, dtype=torch.bool)}
CHANNELS = {"track": 6, "map": 4}


def make(**options: float) -> MatchingMethod:
    section = TypeAdapter(MethodConfig).validate_python({"name": "matching", **options})
    method = build_method(section, BuildContext(CHANNELS, 0, bev_spec()))
    assert isinstance(method, MatchingMethod)
    return method


def make_taps(rows: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        task: torch.randn(rows, 5, width, generator=generator).requires_grad_()
        for task, width in CHANNELS.items()
    }


def make_views(visible: dict[str, Tensor]) -> list[DenseView]:
    features = torch.randn(4, 8, 3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    return [DenseView({}, {}, {}, visible, features)]


def test_a_domain_is_what_shows_the_same_labels():
    domain_B = domains_of(CITIES)
    assert domain_B[0] == domain_B[2] != domain_B[1] == domain_B[3]
    assert len(domains_of(ONE_CITY).unique()) == 1
    clusters = {task: torch.arange(3) == place for place, task in enumerate("abc")}
    assert len(domains_of(clusters).unique()) == 3


def test_each_part_is_the_distance_of_the_domains_times_its_weight():
    method, taps, views = make(mmd_weight=2.0, moments_weight=0.5), make_taps(), make_views(CITIES)
    losses = method.extra_losses(taps, {}, CITIES, 0, views)
    assert set(losses) == {"matching/mmd_track", "matching/mmd_map", "matching/moments"}
    for task, tap in taps.items():
        pooled = tap.mean(1)
        expected = multi_kernel_mmd(pooled[0::2], pooled[1::2])
        torch.testing.assert_close(losses[f"matching/mmd_{task}"], 2 * expected)
        torch.testing.assert_close(method.unweighted[f"matching/mmd_{task}"], expected.detach())
    cells = views[0].features_BFhw.flatten(2).mT
    expected = moment_distance(cells[0::2].flatten(0, 1), cells[1::2].flatten(0, 1))
    torch.testing.assert_close(losses["matching/moments"], 0.5 * expected)


def test_each_part_alone():
    mmd, moments = make(mmd_weight=1.0), make(moments_weight=1.0)
    assert mmd.view_plan is None and moments.view_plan is not None and moments.view_plan.extra == 1
    assert set(mmd.extra_losses(make_taps(), {}, CITIES, 0)) == {"matching/mmd_track", "matching/mmd_map"}
    assert set(moments.extra_losses(make_taps(), {}, CITIES, 0, make_views(CITIES))) == {"matching/moments"}
    assert mmd.extra_parameters() == [] and mmd.parameter_groups() == []


def test_the_gradient_reaches_every_sample_of_what_is_matched_and_nothing_else():
    taps, views = make_taps(), make_views(CITIES)
    sum(make(mmd_weight=1.0).extra_losses(taps, {}, CITIES, 0, views).values()).backward()
    assert all((tap.grad.abs().amax((1, 2)) > 0).all() for tap in taps.values())
    assert views[0].features_BFhw.grad is None
    taps = make_taps()
    sum(make(moments_weight=1.0).extra_losses(taps, {}, CITIES, 0, views).values()).backward()
    assert (views[0].features_BFhw.grad.abs().amax((1, 2, 3)) > 0).all()
    assert all(tap.grad is None for tap in taps.values())


def test_a_batch_of_one_domain_adds_zero_and_is_counted():
    method = make(mmd_weight=1.0, moments_weight=1.0)
    assert method.monitors() == {}
    losses = method.extra_losses(make_taps(), {}, ONE_CITY, 0, make_views(ONE_CITY))
    assert all(loss.item() == 0 and not loss.requires_grad for loss in losses.values()) and len(losses) == 3
    for step in range(1, 4):
        method.extra_losses(make_taps(), {}, CITIES, step, make_views(CITIES))
    assert method.monitors() == {"matching/one_domain": 0.25}
    resumed = make(mmd_weight=1.0, moments_weight=1.0)
    resumed.load_state_dict(method.state_dict())
    assert resumed.monitors() == method.monitors()


def test_equal_distributions_cost_nothing():
    taps = {task: tap.detach()[[0, 0, 1, 1]] for task, tap in make_taps().items()}
    losses = make(mmd_weight=1.0).extra_losses(taps, {}, CITIES, 0)
    assert all(loss.item() == pytest.approx(0, abs=1e-6) for loss in losses.values())


def test_tokens_that_only_one_domain_has_are_left_out():
    tap = make_taps()["track"].detach()
    weights = torch.rand(4, 5, generator=torch.Generator().manual_seed(2)) + 0.1
    weights[1::2, 3:] = 0
    expected = (weights[:, :3, None] * tap[:, :3]).sum(1) / weights[:, :3].sum(1, keepdim=True)
    torch.testing.assert_close(pooled_features({"features": tap, "weights": weights}), expected)
    nothing = pooled_features({"features": tap, "weights": torch.zeros(4, 5)})
    assert torch.equal(nothing, torch.zeros(4, 6))


def test_single_frames_are_rows_of_their_clips():
    taps = make_taps(rows=8)
    losses = make(mmd_weight=1.0).extra_losses(taps, {}, CITIES, 0)
    pooled = taps["map"].mean(1)
    expected = multi_kernel_mmd(pooled[[0, 1, 4, 5]], pooled[[2, 3, 6, 7]])
    torch.testing.assert_close(losses["matching/mmd_map"], expected)


def test_pairs_of_several_domains_are_averaged():
    visible = {task: torch.arange(6) % 3 == place for place, task in enumerate(("a", "b", "c"))}
    tap = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    method = MatchingMethod(("a",), 1.0, 0.0)
    parts = [tap[place::3] for place in range(3)]
    pairs = [multi_kernel_mmd(parts[i], parts[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(
        method.extra_losses({"a": tap}, {}, visible, 0)["matching/mmd_a"], torch.stack(pairs).mean()
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "mmd_weight or a moments_weight"),
        ({"mmd_weight": -1}, "greater than or equal"),
        ({"mmd_weihgt": 1}, "not permitted"),
    ],
)
def test_mistakes_are_refused(section, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(MethodConfig).validate_python({"name": "matching", **section})


def test_shared_features_need_a_suite_that_shows_them():
    section = TypeAdapter(MethodConfig).validate_python({"name": "matching", "moments_weight": 1.0})
    assert section.needs_canvases
    with pytest.raises(UserError, match=r"method\.moments_weight: .* this suite does not show"):
        build_method(section, BuildContext(CHANNELS))
