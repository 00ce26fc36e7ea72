"""The outline of the BEV model is the model: its parts add up, its shapes are those of training."""

import pytest

from nexusflow.bev.config import BEVModelConfig
from nexusflow.suites.nuscenes.outline import outline_model
from nexusflow.suites.nuscenes.suite import build_model

CONFIG = BEVModelConfig.model_validate(
    {
        "image_height": 32,
        "image_width": 48,
        "cameras": 2,
        "bev_cells": 12,
        "map_cells": 24,
        "backbone": {"stem_channels": 4, "widths": [4, 8], "depths": [1, 1], "neck_channels": 6},
        "encoder": {"channels": 8, "unet_widths": [8], "unet_depths": [1]},
        "track": {"dim": 8, "heads": 2, "ffn_channels": 8, "detection_queries": 5, "train_slots": 4},
        "map": {"dim": 12, "heads": 2, "ffn_channels": 8, "mask_channels": 4},
    }
)


def test_parts_add_up_to_the_model() -> None:
    outline, _ = outline_model(CONFIG, clip_length=2, freeze_encoder=False)
    total = sum(parameter.numel() for parameter in build_model(CONFIG, 0).parameters())
    assert outline.parameters == total
    assert [part.frozen for part in outline.trunk] == [0, 0]


def test_phase_two_freezes_the_trunk_and_nothing_else() -> None:
    outline, _ = outline_model(CONFIG, clip_length=2, freeze_encoder=True)
    assert all(part.frozen == part.parameters > 0 for part in outline.trunk)
    assert all(branch.head.frozen == 0 < branch.head.parameters for branch in outline.branches)
    model = build_model(CONFIG, 0)
    assert sum(part.frozen for part in outline.trunk) == sum(p.numel() for p in model.encoder_parameters())


@pytest.mark.parametrize(("clip_length", "queries"), [(1, 5), (2, 9)])
def test_shapes_are_those_of_a_training_clip(clip_length: int, queries: int) -> None:
    outline, taps = outline_model(CONFIG, clip_length, freeze_encoder=False)
    assert outline.input_shape == (2, 3, 32, 48)
    assert [part.shape for part in outline.trunk] == [(2, 6, 8, 12), (8, 12, 12)]
    # From the second key frame on, carried tracks are queries as well.
    track, mapping = outline.branches
    assert (track.head.shape, mapping.head.shape) == ((queries, 8), (4, 12))
    assert track.predictions == {"boxes": (queries, 10), "classes": (queries, 7)}
    assert mapping.predictions == {"masks": (4, 24, 24)}
    assert tuple(taps["map"]["features"].shape) == (1, 4, 12)


def test_names_are_those_of_the_classes() -> None:
    outline, _ = outline_model(CONFIG, 1, freeze_encoder=False)
    assert [part.name for part in outline.trunk] == ["ImageBackbone", "LiftUNetEncoder"]
    assert [branch.head.name for branch in outline.branches] == ["TrackFormer", "MapFormer"]
