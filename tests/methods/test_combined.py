"""Several methods in one run are what each of them is alone."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.combined import CombinedMethod
from nexusflow.methods.config import MethodConfig
from tests.methods.canvas_toy import bev_spec
from tests.methods.test_matching import CHANNELS, CITIES, make_taps, make_views

OURS = {"name": "nexusflow", "dim": 8, "hidden": 8, "depth": 2, "lambda_align": 3.0}
MATCHING = {"name": "matching", "mmd_weight": 1.0, "moments_weight": 1.0}
CONTEXT = BuildContext(CHANNELS, 5, bev_spec())


def parse(*parts: dict) -> MethodConfig:
    return TypeAdapter(MethodConfig).validate_python({"name": "combined", "parts": list(parts)})


def test_losses_weights_and_monitors_are_those_of_the_parts():
    combined = build_method(parse(OURS, MATCHING), CONTEXT)
    assert isinstance(combined, CombinedMethod)
    alone = [
        build_method(TypeAdapter(MethodConfig).validate_python(part), CONTEXT) for part in (OURS, MATCHING)
    ]
    expected, unweighted, monitors = {}, {}, {}
    for method in alone:
        expected |= method.extra_losses(make_taps(), {}, CITIES, 0, make_views(CITIES))
        unweighted |= method.unweighted
        monitors |= method.monitors()
    losses = combined.extra_losses(make_taps(), {}, CITIES, 0, make_views(CITIES))
    assert set(losses) == set(expected) and len(losses) == 4
    assert all(torch.equal(losses[name], expected[name]) for name in losses)
    assert combined.unweighted == unweighted
    assert combined.monitors() == monitors
    assert combined.view_plan == alone[1].view_plan


def test_all_parameters_are_trained_once():
    combined = build_method(parse(OURS, MATCHING), CONTEXT)
    trained = [p for group in combined.parameter_groups() for p in group.parameters]
    assert len({id(p) for p in trained}) == len(trained) > 0
    # Packed, so the tensors are others; how many numbers they hold is not.
    assert sum(p.numel() for p in trained) == sum(p.numel() for p in combined.extra_parameters())


def test_views_are_wanted_if_a_part_wants_them():
    assert parse(OURS, MATCHING).needs_canvases
    plain = parse(OURS, {"name": "matching", "mmd_weight": 1.0})
    assert not plain.needs_canvases
    assert build_method(plain, BuildContext(CHANNELS)).view_plan is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([OURS], "at least 2"),
        ([OURS, OURS], "names the method nexusflow twice"),
        ([OURS, {"name": "jtr"}], "jtr"),
        ([OURS, {"name": "combined", "parts": [OURS, MATCHING]}], "combined"),
    ],
)
def test_mistakes_are_refused(parts, message):
    with pytest.raises(ValidationError, match=message):
        parse(*parts)


def test_sections_survive_json():
    config = parse(OURS, MATCHING)
    assert TypeAdapter(MethodConfig).validate_json(config.model_dump_json()) == config
