"""Checkpoints: exact round trips, and refusal of what does not fit."""

from pathlib import Path

import pytest
from torch import nn

from nexusflow.core.errors import UserError
from nexusflow.training.checkpoint import load_weights, save_weights


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    model = nn.Linear(4, 3)
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
