"""The Lightning callback: attaches before the optimisers, adds the loss once, leaves no trace."""

import importlib
import inspect
import sys

import pytest
import torch

from .standins import CHANNELS, TAPS, Branches, batches, install


class LightningModule(Branches):
    """A module whose training step returns a tensor or a mapping."""

    def __init__(self, mapping: bool) -> None:
        super().__init__()
        self.mapping, self.logged, self.automatic_optimization = mapping, {}, True

    def training_step(self, batch, index):
        loss = sum(x.square().mean() for x in self.outputs(batch))
        return {"loss": loss, "more": 1} if self.mapping else loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.02)

    def log(self, name, value):
        self.logged.setdefault(name, []).append(float(value))

    def log_dict(self, values):
        for name, value in values.items():
            self.log(name, value)


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
    callback.on_train_epoch_end(None, module)
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


def test_what_tells_alignment_from_collapse_is_logged(adapter):
    torch.manual_seed(0)
    module = LightningModule(False)
    fit(module, adapter.NexusFlowCallback(TAPS, channels=CHANNELS, dim=8, depth=2, hidden=8), steps=4)
    assert len(module.logged["nexusflow/distance_ratio"]) == 1
    assert module.logged["nexusflow/depth/latent_rank"][0] > 1


def test_a_module_that_optimises_by_hand_adds_the_loss_itself(adapter):
    module = LightningModule(False)
    module.automatic_optimization = False
    callback = adapter.NexusFlowCallback(TAPS, channels=CHANNELS, dim=8, depth=2, hidden=8)
    callback.setup(None, module, "fit")
    module.training_step(batches(1)[0], 0)
    assert "training_step" not in vars(module) and module.nexusflow.loss() > 0
    callback.teardown(None, module, "fit")
    assert not hasattr(module, "nexusflow")


def test_the_wrapped_step_takes_the_arguments_of_the_step(adapter):
    class Short(LightningModule):
        def training_step(self, batch):  # Lightning passes what is named here
            return super().training_step(batch, 0)

    module = Short(False)
    callback = adapter.NexusFlowCallback(TAPS, channels=CHANNELS, dim=8, depth=2, hidden=8)
    callback.setup(None, module, "fit")
    assert list(inspect.signature(module.training_step).parameters) == ["batch"]


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
