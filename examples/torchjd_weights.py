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
    from torchjd.aggregation import AlignedMTL
    from torchjd.autojac import backward, jac_to_grad
except ImportError as error:
    raise SystemExit("this example needs torchjd: pip install torchjd") from error


def train(steps: int) -> list[dict[str, float]]:
    """Trains the toy with balanced gradients of all losses, and returns the losses, step by step."""
    torch.manual_seed(0)
    model = ToyModel()
    handle = attach(model, {task: f"decoders.{task}" for task in TASKS}, example=make_batch(0)[0], dim=32)
    parameters = [*model.parameters(), *handle.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    aggregator, history = AlignedMTL(), []
    for step in range(steps):
        images_BCHW, labels, visible = make_batch(step)
        losses = task_losses(model(images_BCHW), labels, visible) | {"alignment": handle.loss()}
        optimizer.zero_grad()
        # One loss at a time: the batched surrogates write out their gradient, which vmap does not know.
        backward(list(losses.values()), parallel_chunk_size=1)
        jac_to_grad(parameters, aggregator)
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    return history


def main() -> None:
    """Print the losses of the first and the last step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    history = train(parser.parse_args().steps)
    for name, first in history[0].items():
        print(f"{name:13s} {first:7.3f} -> {history[-1][name]:7.3f}")


if __name__ == "__main__":
    main()
