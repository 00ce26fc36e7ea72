"""Gradients of the tasks and of the alignment combined by torchjd in place of fixed weights.

    pip install torchjd
    python examples/torchjd_weights.py --steps 60
"""

from __future__ import annotations

import argparse

import torch
from toy import TASKS, ToyModel, make_batch, task_losses

from nexusflow import attach

try:
    from torchjd.aggregation import UPGrad
    from torchjd.autojac import backward
except ImportError as error:
    raise SystemExit("this example needs torchjd: pip install torchjd") from error


def train(steps: int) -> list[dict[str, float]]:
    """Trains the toy so that no step works against a loss, and returns the losses, step by step."""
    torch.manual_seed(0)
    model = ToyModel()
    handle = attach(model, {task: f"decoders.{task}" for task in TASKS}, example=make_batch(0)[0], dim=32)
    parameters = [*model.parameters(), *handle.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    aggregator, history = UPGrad(), []
    for step in range(steps):
        images_BCHW, labels, visible = make_batch(step)
        losses = task_losses(model(images_BCHW), labels, visible) | {"alignment": handle.loss()}
        optimizer.zero_grad()
        combine(list(losses.values()), parameters, aggregator)
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    return history
