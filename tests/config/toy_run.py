"""A run of the smoke scale that took no training: weights of toy size and their provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.core.files import write_json
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.training.checkpoint import save_weights
from tests.training.toy_taps import WIDTHS, ToyReader


class ToyBinding:
    """Stands for a suite's binding where features are extracted: the toy's taps under the suite's name."""

    modules = binding_of("nuscenes").modules

    def tap_reader(self, *_: Any) -> tuple[ToyReader, str]:
        return ToyReader(), "toy"


def use_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the extraction of features look at the toy."""
    monkeypatch.setattr("nexusflow.config.features.binding_of", lambda _: ToyBinding())


def write_run(configuration: Configuration, layout: Layout, run: str, seed: int = 0) -> Path:
    """Write what training of a nuScenes run leaves, as far as the extraction of features reads it.

    Returns:
        The folder.
    """
    folder = layout.checkpoint("nuscenes", run, seed)
    section = configuration.resolve("nuscenes", run).method
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        method = build_method(section, BuildContext(dict(WIDTHS), 7, None, "nuscenes"))
    save_weights(folder / "method.safetensors", method, {"architecture": "toy"})
    save_weights(folder / "model.safetensors", torch.nn.Linear(1, 1), {"architecture": "toy"})
    write_json(folder / "provenance.json", {"fingerprint": f"print of {run}", "versions": {"torch": "2"}})
    return folder
