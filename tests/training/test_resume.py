"""Resume checkpoints: exact round trips, the last two kept, and damaged or foreign ones passed over."""

import random
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nexusflow.core.errors import UserError
from nexusflow.training.resume import ResumeFiles, ResumeState


def trained_step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x_BD = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(x_BD).square().mean().backward()
    optimizer.step()


def fresh(width: int = 3) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(4, width)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def saved(folder: Path, steps: int = 3, fingerprint: str = "one") -> ResumeFiles:
    """A checkpoint after every step."""
    model, optimizer = fresh()
    files = ResumeFiles(folder, fingerprint)
    for step in range(steps):
        trained_step(model, optimizer, step)
        files.save({"model": model}, optimizer, ResumeState(step + 1, [{"step": step + 1.0}], 1.5))
    return files


def resumed_step(folder: Path, fingerprint: str = "one") -> int | None:
    model, optimizer = fresh()
    state = ResumeFiles(folder, fingerprint).load({"model": model}, optimizer)
    return state and state.step


def test_resuming_equals_never_having_stopped(tmp_path: Path) -> None:
    whole, optimizer = fresh()
    for step in range(4):
        trained_step(whole, optimizer, step)
    first, optimizer = fresh()
    for step in range(2):
        trained_step(first, optimizer, step)
    state = ResumeState(2, [{"step": 2.0}], 1.5, {"sums": {"loss": 0.1}, "counts": {"loss": 1}})
    ResumeFiles(tmp_path, "one").save({"model": first}, optimizer, state)
    second, optimizer = fresh()
    assert ResumeFiles(tmp_path, "one").load({"model": second}, optimizer) == state
    for step in range(2, 4):
        trained_step(second, optimizer, step)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def convolved_step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x_BCHW = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(x_BCHW.contiguous(memory_format=torch.channels_last)).square().mean().backward()
    optimizer.step()


def convolution() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)


def test_resuming_keeps_the_layout_in_memory(tmp_path: Path) -> None:
    whole, optimizer = convolution()
    for step in range(2):
        convolved_step(whole, optimizer, step)
    ResumeFiles(tmp_path, "one").save({"model": whole}, optimizer, ResumeState(2, [], 0.0))
    resumed, other = convolution()
    assert ResumeFiles(tmp_path, "one").load({"model": resumed}, other) is not None
    for step in range(2, 4):
        convolved_step(whole, optimizer, step)
        convolved_step(resumed, other, step)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def draws() -> list[float]:
    return [float(torch.rand(())), random.random(), float(np.random.normal())]  # noqa: NPY002


def test_every_random_generator_goes_on(tmp_path: Path) -> None:
    draws()
    saved(tmp_path)
    expected = draws()
    draws()
    assert resumed_step(tmp_path) == 3
    assert draws() == expected


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    (tmp_path / ".resume_step000000001.x1.safetensors").write_bytes(b"left over by a kill")
    saved(tmp_path, steps=4)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["resume_step000000003.safetensors", "resume_step000000004.safetensors"]
    assert resumed_step(tmp_path) == 4


def test_the_one_resumed_from_stays_until_two_more_are_saved(tmp_path: Path) -> None:
    saved(tmp_path)
    model, optimizer = fresh()
    files = ResumeFiles(tmp_path, "one")
    assert files.load({"model": model}, optimizer) is not None
    files.save({"model": model}, optimizer, ResumeState(5, [], 0.0))
    assert sorted(int(path.stem[-3:]) for path in tmp_path.iterdir()) == [3, 5]


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["cut", "empty", "weights", "header", "pickle"])
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path)
    newest = tmp_path / "resume_step000000003.safetensors"
    content = newest.read_bytes()
    if damage == "weights":
        flip(newest, len(content) - 3)
    elif damage == "header":
        flip(newest, content.index(b"1.5"))
    else:
        newest.write_bytes({"cut": content[: len(content) // 2], "empty": b""}.get(damage, b"\x80\x04."))
    assert resumed_step(tmp_path) == 2
    warned = capsys.readouterr().err.splitlines()
    assert len(warned) == 1 and warned[0].startswith("warning: ") and newest.name in warned[0]


def test_two_damaged_ones_mean_a_new_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert resumed_step(tmp_path) is None
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_another_run_is_not_resumed_and_makes_room(tmp_path: Path) -> None:
    saved(tmp_path, steps=5)
    assert resumed_step(tmp_path, "two") is None
    assert resumed_step(tmp_path / "absent") is None
    # Checkpoints of fewer steps replace those of another run, whatever their numbers.
    saved(tmp_path, steps=2, fingerprint="two")
    assert resumed_step(tmp_path, "two") == 2 and resumed_step(tmp_path) is None


def test_a_full_disk_leaves_what_was_saved(tmp_path: Path) -> None:
    saved(tmp_path)
    model, optimizer = fresh(4096)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*resume_step000000009.*free some space"):
            ResumeFiles(tmp_path, "one").save({"model": model}, optimizer, ResumeState(9, [], 0.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(list(tmp_path.iterdir())) == 2 and resumed_step(tmp_path) == 3


def test_a_finished_run_leaves_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "work").remove()
    assert not (tmp_path / "work").exists()
