"""docs/full_scale.md says how many parameters each part has, and how many UniAD's has by its layers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from nexusflow.bev.model import BEVModel
from nexusflow.config.load import load_configuration

ROOT = Path(__file__).parents[2]
C, LEVELS = 256, 4  # channels everywhere; maps of its pyramid


def linear(inside: int, outside: int) -> int:
    return inside * outside + outside


def deformable(points: int, levels: int, queries: int = C, heads: int = 8) -> int:
    """Offsets, weights and values of a deformable attention, without the layer behind it."""
    samples = heads * levels * points
    return linear(queries, 2 * samples) + linear(queries, samples) + linear(C, C)


NORM, ATTENTION = 2 * C, 4 * linear(C, C)
FEED_FORWARD = linear(C, 2 * C) + linear(2 * C, C)
OUT = linear(C, C)
BOX = 2 * linear(C, C)


def decoder_layer(levels: int) -> int:
    return ATTENTION + deformable(4, levels) + OUT + FEED_FORWARD + 3 * NORM


def uniad(masks: int, backbone: int) -> dict[str, int]:
    """Count by the layers that UniAD's configuration of stage 1 names.

    Args:
        masks: both mask decoders without branches of classes and boxes.
        backbone: ResNet-101 with deformable convolutions.
    """
    # Two grids in time: twice the offsets and weights of one.
    temporal = linear(2 * C, 128) + linear(2 * C, 64) + 2 * OUT
    spatial = deformable(8, LEVELS) + OUT
    classes = 2 * (linear(C, C) + NORM) + linear(C, 10)
    boxes, past = BOX + linear(C, 10), BOX + linear(C, 16)
    map_layers = deformable(4, LEVELS) + OUT + FEED_FORWARD + 2 * NORM
    map_box = BOX + linear(C, 4)
    locations = 6 * (decoder_layer(LEVELS) + linear(C, 3) + map_box) + 300 * 2 * C + linear(C, 2)
    unused = 4 * (linear(C, 3) + map_box)  # of the things' mask decoder, with weight zero
    rest = 6 * linear(C, 1) + 2 * C + LEVELS * C
    return {
        "image backbone": backbone,
        "pyramid": sum(linear(width, C) for width in (512, 1024, 2048)) + 4 * linear(9 * C, C),
        "BEV queries and places": 40_000 * C + 2 * 200 * 128,
        "cameras, levels, CAN bus": 6 * C + LEVELS * C + linear(18, 128) + linear(128, C) + NORM,
        "BEV layers": 6 * (temporal + spatial + FEED_FORWARD + 3 * NORM),
        "track queries": 901 * 2 * C + linear(C, 3),
        "track decoder": 6 * (decoder_layer(1) + classes + boxes + past),
        "memory bank": ATTENTION + BOX + 2 * NORM + linear(C, C),
        "query interaction": ATTENTION + BOX + 2 * NORM + 2 * (BOX + NORM),
        "map": 6 * map_layers + locations + unused + masks + rest,
    }


def ours(model: BEVModel) -> dict[str, int]:
    def count(*parts: nn.Module | nn.Parameter) -> int:
        return sum(
            part.numel() if isinstance(part, nn.Parameter) else sum(p.numel() for p in part.parameters())
            for part in parts
        )

    track, encoder = model.track, model.encoder
    assert track.memory is not None
    return {
        "image backbone": count(model.backbone.body),
        "pyramid": count(model.backbone.neck),
        "BEV queries and places": count(encoder.queries_QC, encoder.position_QC),
        "cameras, levels, CAN bus": count(model.camera),
        "BEV layers": count(encoder.layers),
        "track queries": count(track.detect, track.kind),
        "track decoder": count(track.decoder),
        "memory bank": count(track.memory),
        "query interaction": count(track.interaction, track.state),
        "map": count(model.map),
    }


@pytest.fixture(scope="module")
def model() -> BEVModel:
    with torch.device("meta"):
        return BEVModel(load_configuration(ROOT / "config", "full").nuscenes.model)


def test_the_page_has_the_counts(model: BEVModel) -> None:
    counted = ours(model)
    assert sum(counted.values()) == sum(p.numel() for p in model.parameters())
    masks = sum(
        p.numel() for part in (model.map.thing_masks, model.map.stuff_masks) for p in part.parameters()
    )
    theirs = uniad(masks, counted["image backbone"])
    counted["all"], theirs["all"] = sum(counted.values()), sum(theirs.values())
    page = (ROOT / "docs" / "full_scale.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| ([\d,]+) \|", page, re.MULTILINE)
    printed = {part: (int(a.replace(",", "")), int(b.replace(",", ""))) for part, a, b in rows}
    assert printed == {part: (counted[part], theirs[part]) for part in counted}
