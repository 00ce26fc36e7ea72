"""What the dense network of a configuration is made of.

Letters: B images, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nexusflow.core.outline import BranchOutline, ModelOutline, PartOutline
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.model import TASKS, DenseModel, DenseOutput
from nexusflow.suites.nyuv2.suite import build_model
from nexusflow.suites.outline import part_of, shape_of

__all__ = ["outline_model"]

_PREDICTIONS = {"segmentation": "classes", "depth": "metres", "normal": "unit vectors"}


def _parameters(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters()]


def _trunk(model: DenseModel, output: DenseOutput) -> list[PartOutline]:
    """Encoder and decoder; MTAN's attention runs beside both and counts as a part of its own."""
    trunk, name = model.trunk, type(model.trunk).__name__
    decoder = [trunk.decoder_first, trunk.decoder_rest]
    parts = [
        part_of(
            f"{name}, encoder", _parameters(trunk.encoder_modules()), "bottleneck", output.bottleneck_BCHW
        ),
        part_of(f"{name}, decoder", _parameters(decoder), "shared feature map", output.last_BCHW),
    ]
    if model.attention is not None:
        attention = model.attention
        name = type(attention).__name__
        parts.append(part_of(name, list(attention.parameters()), "feature map per task", output.last_BCHW))
    return parts


def _branch(model: DenseModel, output: DenseOutput, task: str) -> BranchOutline:
    layers = [model.head_first[task], model.head_last[task]]
    name = f"{len(layers)} × {type(layers[0]).__name__}"
    head = part_of(name, _parameters(layers), "h", output.taps[task])
    # Every task owns one of the weights by uncertainty, which uniform weights leave alone.
    head = head.model_copy(update={"parameters": head.parameters + model.logsigma.numel() // len(TASKS)})
    predictions = {_PREDICTIONS[task]: shape_of(output.outputs[task])}
    return BranchOutline(task=task, head=head, predictions=predictions)


@torch.no_grad()
def outline_model(
    config: DenseModelConfig, image_hw: tuple[int, int], freeze_encoder: bool
) -> tuple[ModelOutline, dict[str, dict[str, Tensor]]]:
    """Build the network and run it on one black image.

    Args:
        config: the model section of a run.
        image_hw: height and width of an image, pixels.
        freeze_encoder: whether the run leaves the encoder as it is (phase 2).

    Returns:
        Parts, shapes for one image and numbers of parameters; and the taps, for a method's networks.
    """
    model = build_model(config, seed=0).eval()
    if freeze_encoder:
        model.freeze_encoder()
    image_B3HW = torch.zeros(1, 3, *image_hw)
    output = model(image_B3HW)
    outline = ModelOutline(
        input="image",
        input_shape=shape_of(image_B3HW),
        trunk=tuple(_trunk(model, output)),
        branches=tuple(_branch(model, output, task) for task in TASKS),
    )
    return outline, {task: {"features": tap} for task, tap in output.taps.items()}
