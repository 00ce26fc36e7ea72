"""Checkpoints: exact round trips, and refusal of what does not fit."""

from pathlib import Path

import pytest
import torch
from torch import nn

from nexusflow.core.errors import UserError
from nexusflow.training.checkpoint import ResumeState, load_resume, load_weights, save_resume, save_weights


def trained_step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x_BD = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(x_BD).square().mean().backward()
    optimizer.step()


def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def test_resuming_equals_never_having_stopped(tmp_path: Path) -> None:
    whole, optimizer = fresh()
    for step in range(4):
        trained_step(whole, optimizer, step)
    first, optimizer = fresh()
    for step in range(2):
        trained_step(first, optimizer, step)
    path = tmp_path / "resume.safetensors"
    save_resume(path, {"model": first}, optimizer, ResumeState(2, [{"step": 2.0}], 1.5), "fingerprint")
    second, optimizer = fresh()
    state = load_resume(path, {"model": second}, optimizer, "fingerprint")
    assert state == ResumeState(2, [{"step": 2.0}], 1.5)
    for step in range(2, 4):
        trained_step(second, optimizer, step)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_another_run_is_not_resumed(tmp_path: Path) -> None:
    model, optimizer = fresh()
    path = tmp_path / "resume.safetensors"
    save_resume(path, {"model": model}, optimizer, ResumeState(2, [], 0.0), "one")
    assert load_resume(path, {"model": model}, optimizer, "two") is None
    path.write_bytes(path.read_bytes()[:100])
    assert load_resume(path, {"model": model}, optimizer, "one") is None
    assert load_resume(tmp_path / "absent", {"model": model}, optimizer, "one") is None


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    model, _ = fresh()
    path = tmp_path / "model.safetensors"
    save_weights(path, model, {"architecture": "a", "run": "baseline"})
    assert load_weights(path, nn.Linear(4, 3), "a")["run"] == "baseline"
    with pytest.raises(UserError, match="another model configuration"):
        load_weights(path, model, "b")


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04pickle", b"<html></html>"])
def test_foreign_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_weights(path, nn.Linear(4, 3), "a")
