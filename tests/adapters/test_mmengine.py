"""The MMEngine hook: its loss is one of the model's, the optimiser trains it, nothing stays."""

import importlib
import sys
from types import SimpleNamespace

import pytest
import torch

from .standins import CHANNELS, TAPS, Branches, batches, install


class Registry:
    """Registers nothing."""

    def register_module(self):
        return lambda cls: cls


class Model(Branches):
    """A model of MMEngine: losses as a mapping, predictions otherwise."""

    def forward(self, inputs, mode="tensor"):
        depth, edges = self.outputs(inputs)
        if mode == "loss":
            return {
                "loss_depth": depth.square().mean(),
                "loss_edges": edges.square().mean(),
                "accuracy": edges.mean(),
            }
        return {"depth": depth}


@pytest.fixture
def adapter(monkeypatch):
    monkeypatch.delitem(sys.modules, "nexusflow.adapters.mmengine", raising=False)
    install(
        monkeypatch, mmengine={}, mmengine_hooks={"Hook": object}, mmengine_registry={"HOOKS": Registry()}
    )
    yield importlib.import_module("nexusflow.adapters.mmengine")
    sys.modules.pop("nexusflow.adapters.mmengine", None)


def runner_of(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    hub = SimpleNamespace(scalars={})
    hub.update_scalar = hub.scalars.__setitem__
    return SimpleNamespace(model=model, optim_wrapper=SimpleNamespace(optimizer=optimizer), message_hub=hub)


def test_the_alignment_is_one_of_the_losses(adapter):
    torch.manual_seed(0)
    model = Model()
    names, runner = set(model.state_dict()), runner_of(model)
    hook = adapter.NexusFlowHook(TAPS, channels=CHANNELS, dim=8, depth=2, hidden=8)
    hook.before_run(runner)
    hook.before_run(runner)  # MMEngine may call it several times
    aligned = []
    for batch in batches(12):
        losses = model(batch, mode="loss")
        assert list(losses) == ["loss_depth", "loss_edges", "accuracy", "loss_nexusflow"]
        aligned.append(losses["loss_nexusflow"].item())
        runner.optim_wrapper.optimizer.zero_grad()
        sum(loss for name, loss in losses.items() if "loss" in name).backward()
        runner.optim_wrapper.optimizer.step()
    assert aligned[-1] < 0.7 * aligned[0]
    assert list(model(batches(1)[0])) == ["depth"]
    assert "loss_nexusflow" not in model.eval()(batches(1)[0], mode="loss")
    (group,) = runner.optim_wrapper.optimizer.param_groups
    assert {id(weight) for weight in group["params"]} == {id(weight) for weight in model.parameters()}
    hook.after_train_epoch(runner)
    assert runner.message_hub.scalars["train/nexusflow/depth/latent_rank"] > 1
    hook.after_run(runner)
    assert set(model.state_dict()) == names and not model._forward_hooks


def test_initial_weights_of_the_model_are_not_drawn_into_the_surrogates(adapter):
    model = Model()
    runner = runner_of(model)
    hook = adapter.NexusFlowHook(TAPS, channels=CHANNELS, dim=8, depth=2, hidden=8)

    def fill(part):
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.ones_(part.weight)

    hook.before_run(runner)
    before = {name: tensor.clone() for name, tensor in model.nexusflow.state_dict().items()}
    model.apply(fill)  # as the runner's initialisers do
    assert bool((model.depth.weight == 1).all())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.nexusflow.state_dict().items())
    hook.before_train(runner)
    model.apply(fill)
    assert bool((model.nexusflow.surrogates.flows["depth"].layers[0].networks[0][0].weight == 1).all())


def test_runs_that_do_not_train_are_left_alone(adapter):
    model = Model()
    hook = adapter.NexusFlowHook(TAPS, channels=CHANNELS)
    hook.before_run(SimpleNamespace(model=model, optim_wrapper=None))
    hook.after_run(None)
    assert not hasattr(model, "nexusflow")


def test_widths_are_needed_before_a_checkpoint(adapter):
    with pytest.raises(ValueError, match="before the first batch"):
        adapter.NexusFlowHook(TAPS)


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "nexusflow.adapters.mmengine", raising=False)
    monkeypatch.setitem(sys.modules, "mmengine", None)
    monkeypatch.setitem(sys.modules, "mmengine.hooks", None)
    with pytest.raises(ImportError, match="pip install mmengine"):
        importlib.import_module("nexusflow.adapters.mmengine")
