"""What two ranks tell each other; the same operations of a process that stands alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from nexusflow.training.batch_norm import SharedBatchNorm2d, share_batch_norm
from nexusflow.training.checkpoint import read_tensors, write_tensors
from nexusflow.training.config import TrainingConfig
from nexusflow.training.joining import join_ranks
from tests.training.ranked import in_ranks

CONFIG = TrainingConfig(steps=1, batch_size=2, learning_rate=1e-3)


def _normalised(folder: Path, rows: slice, ranks_config: TrainingConfig) -> None:
    ranks = join_ranks(ranks_config, "32-true")
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 5, dtype=torch.float32)
    model = nn.Sequential(nn.BatchNorm2d(3))
    share_batch_norm(model, ranks)
    assert isinstance(model[0], SharedBatchNorm2d) == ranks.together
    own = x[rows].clone().requires_grad_()
    y = model(own)
    (y * torch.arange(25.0).view(5, 5) * (1 + own.detach())).square().sum().backward()
    ranks.sum_gradients(model.parameters())
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    tensors = {"y": y, "x": own.grad, **gradients, **model.state_dict(prefix="state/")}
    write_tensors(folder / f"rows{rows.start}.safetensors", tensors, {})  # type: ignore[arg-type]


def _tell(rank: int, folder: str) -> None:
    ranks = join_ranks(CONFIG, "32-true")
    assert (ranks.rank, ranks.size, ranks.first) == (rank, 2, rank == 0)
    assert ranks.share(7 + rank) == 7
    assert ranks.largest(float(rank)) == 1.0
    counts = ranks.sum({"a": torch.tensor(rank), "b": torch.tensor(0.5)})
    assert {name: float(x) for name, x in counts.items()} == {"a": 1.0, "b": 1.0}
    rows = ranks.gather({"x": torch.full((2, 3), float(rank)), "shown": torch.tensor([rank == 1])})
    assert rows["x"][:, 0].tolist() == [0.0, 0.0, 1.0, 1.0] and rows["shown"].tolist() == [False, True]
    # Only the second rank has used the first parameter, and nobody the last.
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[1].grad = torch.full((2,), 1.0 + rank)
    if rank:
        parameters[0].grad = torch.ones(2)
    ranks.sum_gradients(parameters)
    assert parameters[0].grad.tolist() == [1.0, 1.0] and parameters[1].grad.tolist() == [3.0, 3.0]
    assert parameters[2].grad is None
    weights = torch.full((2, 2), float(rank))
    ranks.copy_first([weights])
    assert weights.sum() == 0
    _normalised(Path(folder), slice(2 * rank, 2 * rank + 2), CONFIG)
    ranks.leave()


@pytest.mark.slow
def test_two_ranks(tmp_path: Path) -> None:
    assert in_ranks(2, _tell, str(tmp_path)) == [0, 0]
    parts = [read_tensors(tmp_path / f"rows{start}.safetensors")[0] for start in (0, 2)]
    whole_folder = tmp_path / "whole"
    whole_folder.mkdir()
    _normalised(whole_folder, slice(0, 4), CONFIG)
    whole = read_tensors(whole_folder / "rows0.safetensors")[0]
    for name, x in whole.items():
        found = torch.cat([part[name] for part in parts]) if name in ("x", "y") else parts[0][name]
        scale = x.abs().max().clamp(min=1)
        torch.testing.assert_close(found / scale, x / scale, atol=1e-5, rtol=0, msg=name)


def test_a_process_alone_needs_nobody() -> None:
    ranks = join_ranks(CONFIG, "32-true")
    assert not ranks.together and ranks.first and ranks.share(3) == 3 and ranks.largest(2.5) == 2.5
    x = torch.ones(2, requires_grad=True)
    assert not ranks.gather({"x": x})["x"].requires_grad
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.ones(1)
    ranks.sum_gradients([parameter], divisor=3)
    assert parameter.grad.tolist() == [1.0]
