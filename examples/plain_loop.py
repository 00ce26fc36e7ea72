"""Three lines attach the alignment to a plain training loop.

python examples/plain_loop.py --steps 60
"""

from __future__ import annotations

import argparse

import torch
from toy import TASKS, ToyModel, make_batch, task_losses

from nexusflow import attach


def train(steps: int, weight: float = 0.1) -> list[dict[str, float]]:
    """Trains the toy and returns its losses, step by step."""
    torch.manual_seed(0)
    model = ToyModel()
    # 1. attach to the last feature layer of every branch
    handle = attach(
        model, {task: f"decoders.{task}" for task in TASKS}, example=make_batch(0)[0], weight=weight, dim=32
    )
    # 2. train the surrogates too
    optimizer = torch.optim.Adam([*model.parameters(), *handle.parameters()], lr=3e-3)
    history = []
    for step in range(steps):
        images_BCHW, labels, visible = make_batch(step)
        losses = task_losses(model(images_BCHW), labels, visible)
        # 3. add the loss, over all samples, whatever labels they have
        losses["alignment"] = handle.loss()
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    handle.remove()  # for inference the model is as it was
    return history


def main() -> None:
    """Print the losses of the first and the last step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--weight", type=float, default=0.1, help="lambda, the weight of the alignment")
    arguments = parser.parse_args()
    history = train(arguments.steps, arguments.weight)
    for name, first in history[0].items():
        print(f"{name:13s} {first:7.3f} -> {history[-1][name]:7.3f}")


if __name__ == "__main__":
    main()
