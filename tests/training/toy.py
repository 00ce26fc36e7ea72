"""A suite of two tiny regression tasks, each labelled in half of the samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nexusflow.core.parts import BatchPart, PoolCounts
from nexusflow.suites.base import StepResult, Suite


class ToyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 8)
        self.heads = nn.ModuleDict({"track": nn.Linear(8, 8), "map": nn.Linear(8, 8)})

    def forward(self, x_BF: Tensor) -> dict[str, Tensor]:
        shared_BD = torch.relu(self.encoder(x_BF))
        return {task: head(shared_BD) for task, head in self.heads.items()}


class ToySuite(Suite):
    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = ToyModel()
        self.tap_channels = {"track": 8, "map": 8}
        self.architecture = "toy"
        self.batches: list[int] = []
        self.single: list[bool] = []

    def batch(self, step: int, part: BatchPart | None = None) -> Tensor:
        self.batches.append(step)
        return torch.randn(4, 6, generator=torch.Generator().manual_seed(self.seed * 1000 + step))

    def forward(
        self, batch: Tensor, step: int, single_frame: bool, pool_counts: PoolCounts | None = None
    ) -> StepResult:
        self.single.append(single_frame)
        features = self.model(batch)
        visible = {
            "track": torch.tensor([True, True, False, False]),
            "map": torch.tensor([False, False, True, True]),
        }
        losses = {
            f"{task}/l2": (x[visible[task]].float() - 1).square().mean() for task, x in features.items()
        }
        taps = {
            task: {"features": x[:, None], "weights": torch.ones(4, 1), "positions": torch.zeros(4, 1, 2)}
            for task, x in features.items()
        }
        return StepResult(losses=losses, outputs=features, taps=taps, visible=visible)

    def freeze_encoder(self) -> None:
        self.model.encoder.requires_grad_(False)
