"""The Lightning callback: attaches before the optimisers, adds the loss once, leaves no trace."""

import importlib
import sys

import pytest
import torch

from .standins import CHANNELS, TAPS, Branches, batches, install


class LightningModule(Branches):
    """A module whose training step returns a tensor or a mapping."""

    def __init__(self, mapping: bool) -> None:
        super().__init__()
        self.mapping, self.logged = mapping, {}

    def training_step(self, batch, index):
        loss = sum(x.square().mean() for x in self.outputs(batch))
        return {"loss": loss, "more": 1} if self.mapping else loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.02)

    def log(self, name, value):
        self.logged.setdefault(name, []).append(value.item())


def fit(module: LightningModule, callback, steps: int = 12) -> list[float]:
    """What Lightning's Trainer does, in its order."""
    callback.setup(None, module, "fit")
    optimizer, losses = module.configure_optimizers(), []
    for index, batch in enumerate(batches(steps)):
        callback.on_train_batch_start(None, module, batch, index)
        output = module.training_step(batch, index)
        loss = output["loss"] if isinstance(output, dict) else output
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    callback.teardown(None, module, "fit")
    return losses


@pytest.fixture
def adapter(monkeypatch):
    monkeypatch.delitem(sys.modules, "nexusflow.adapters.lightning", raising=False)
    install(monkeypatch, lightning={}, lightning_pytorch={"Callback": object})
    yield importlib.import_module("nexusflow.adapters.lightning")
    sys.modules.pop("nexusflow.adapters.lightning", None)


@pytest.mark.parametrize("mapping", [True, False])
def test_the_alignment_is_trained_with_the_module(adapter, mapping):
    torch.manual_seed(0)
    module = LightningModule(mapping)
    names, plain = set(module.state_dict()), module.training_step(batches(1)[0], 0)
    callback = adapter.NexusFlowCallback(TAPS, channels=CHANNELS, dim=8, depth=2, hidden=8)
    losses = fit(module, callback)
    aligned = module.logged["nexusflow"]
    assert losses[0] == pytest.approx((plain["loss"] if mapping else plain).item() + aligned[0])
    assert len(aligned) == 12 and aligned[-1] < aligned[0]
    assert set(module.state_dict()) == names and "training_step" not in vars(module)


def test_only_training_is_touched(adapter):
    module = LightningModule(False)
    callback = adapter.NexusFlowCallback(TAPS, channels=CHANNELS)
    callback.setup(None, module, "validate")
    callback.teardown(None, module, "validate")
    assert not hasattr(module, "nexusflow") and "training_step" not in vars(module)


def test_widths_are_needed_before_the_optimisers(adapter):
    with pytest.raises(ValueError, match="before the first batch"):
        adapter.NexusFlowCallback(TAPS)


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "nexusflow.adapters.lightning", raising=False)
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install lightning"):
        importlib.import_module("nexusflow.adapters.lightning")
