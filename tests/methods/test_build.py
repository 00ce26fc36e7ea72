"""Methods from their configuration: same random state, right networks."""

import pytest
import torch
from pydantic import TypeAdapter

from nexusflow.alignment import AttentionAggregator, DeformableAggregator, MLPAggregator
from nexusflow.core.errors import UserError
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.config import MethodConfig, SupervisedConfig
from nexusflow.methods.nexusflow import NexusFlowMethod
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.methods.supervised import Supervised

CHANNELS = {"track": 6, "map": 4}


def parse(section: dict) -> MethodConfig:
    return TypeAdapter(MethodConfig).validate_python(section)


def test_building_leaves_the_random_state():
    torch.manual_seed(7)
    expected = torch.rand(3)
    for config in (SupervisedConfig(), NexusFlowConfig(dim=8, hidden=8)):
        torch.manual_seed(7)
        build_method(config, BuildContext(CHANNELS, 1))
        assert torch.equal(torch.rand(3), expected)


def test_weights_follow_the_seed_alone():
    config = NexusFlowConfig(dim=8, hidden=8)
    torch.manual_seed(0)
    first = build_method(config, BuildContext(CHANNELS, 3)).state_dict()
    torch.manual_seed(1)
    again = build_method(config, BuildContext(CHANNELS, 3)).state_dict()
    other = build_method(config, BuildContext(CHANNELS, 4)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_supervised_adds_nothing():
    method = build_method(parse({"name": "supervised"}), BuildContext(CHANNELS))
    assert isinstance(method, Supervised)
    assert method.extra_parameters() == [] and method.state_dict() == {}


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ({"type": "mlp", "layers": 2}, MLPAggregator),
        ({"type": "attention", "heads": 2, "hidden": 8, "queries": 2}, AttentionAggregator),
        ({"type": "deformable", "heads": 2, "hidden": 8, "points": 2, "cells": 4}, DeformableAggregator),
    ],
)
def test_aggregators(section, kind):
    method = build_method(
        parse({"name": "nexusflow", "dim": 8, "aggregator": section}), BuildContext(CHANNELS)
    )
    assert isinstance(method, NexusFlowMethod)
    assert isinstance(method.surrogates.aggregators["map"], kind)


def test_every_option_arrives():
    config = parse(
        {
            "name": "nexusflow",
            "lambda_align": 3.0,
            "dim": 9,
            "depth": 3,
            "hidden": 5,
            "clamp": 0.5,
            "additive": True,
            "fused": False,
            "permutation_seed": 2,
            "aggregator": {"type": "mlp", "layers": 1, "final_norm": False},
            "loss": "pair",
            "reduction": "mean",
            "output": "second_half",
            "detach": True,
            "normalize": "unit",
            "variance_floor": 1.0,
            "variance_weight": 0.5,
            "covariance_weight": 0.25,
            "monitor_window": 32,
        }
    )
    assert isinstance(config, NexusFlowConfig)
    method = build_method(config, BuildContext(CHANNELS))
    surrogates = method.surrogates
    layer = surrogates.flows["map"].layers[0]
    assert method.lambda_align == 3.0 and method.monitor.window == 32
    assert (surrogates.dim, surrogates.latent_dim, len(surrogates.flows["map"].layers)) == (9, 5, 3)
    assert (layer.clamp, layer.additive, len(layer.networks)) == (0.5, True, 1)
    assert layer.networks[0][0].out_features == 5
    assert surrogates.flows["map"].orders_PD is not None
    assert not any(isinstance(part, torch.nn.LayerNorm) for part in surrogates.modules())
    assert surrogates.distance.__name__ == "pair_loss" and surrogates.reduction == "mean"
    assert surrogates.detach and surrogates.normalize == "unit" and surrogates.variance_floor == 1.0
    assert surrogates.weights == {"align": 1.0, "variance": 0.5, "covariance": 0.25}


def test_the_default_is_the_papers_method():
    config = NexusFlowConfig()
    assert (config.lambda_align, config.dim, config.depth, config.loss) == (1.0, 256, 6, "center")
    assert (config.reduction, config.output, config.normalize) == ("sum", "full", "none")
    assert not config.detach and config.variance_floor == 0 and config.covariance_weight == 0


def test_one_task_cannot_be_aligned():
    with pytest.raises(UserError, match=r"method\.name"):
        build_method(NexusFlowConfig(dim=8), BuildContext({"map": 4}))
