"""Attached surrogates: found by name, fed by hooks, gone without a trace, sound under copies."""

import copy
import re
import types
import warnings

import pytest
import torch
from torch import Tensor, nn

from nexusflow import NexusFlow, attach
from nexusflow.alignment import Attachment, optimizers

SMALL = {"dim": 8, "depth": 2, "hidden": 8}
TAPS = {"map": "heads.map", "track": "heads.track", "depth": "heads.depth"}
CHANNELS = {"map": 4, "track": 6, "depth": 5}


class Tracks(nn.Module):
    """A set of 7 tokens, of which the last ones of each sample are padding."""

    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.linear, self.masked = nn.Linear(3, 6), masked

    def forward(self, x_BC: Tensor) -> Tensor | dict[str, Tensor]:
        x_BNC = self.linear(x_BC[:, None] * torch.arange(1.0, 8)[:, None])
        mask_BN = torch.arange(7) < torch.arange(1, len(x_BC) + 1)[:, None]
        return {"features": x_BNC, "mask": mask_BN} if self.masked else x_BNC


class Model(nn.Module):
    """Three branches: a map (B, 4, 5, 5), a set (B, 7, 6) and a vector (B, 5)."""

    def __init__(self, masked: bool = False) -> None:
        super().__init__()
        self.shared = nn.Linear(3, 3)
        self.heads = nn.ModuleDict(
            {"map": nn.Conv2d(3, 4, 1), "track": Tracks(masked), "depth": nn.Linear(3, 5)}
        )

    def forward(self, x_BC: Tensor, tasks: tuple[str, ...] = ("map", "track", "depth")) -> dict[str, Tensor]:
        x_BC = self.shared(x_BC)
        inputs = {"map": x_BC[:, :, None, None].expand(-1, -1, 5, 5), "track": x_BC, "depth": x_BC}
        return {task: self.heads[task](inputs[task]) for task in tasks}


def make(masked: bool = False, **options) -> tuple[Model, Attachment, Tensor]:
    torch.manual_seed(0)
    model, x_BC = Model(masked), torch.randn(4, 3)
    options = {"channels": CHANNELS} | options
    return model, attach(model, TAPS, **SMALL, **options), x_BC


def test_the_loss_is_that_of_the_surrogates_on_the_branches():
    model, handle, x_BC = make(weight=0.5)
    outputs = model(x_BC)
    assert handle.fired == ("map", "track", "depth")
    loss = handle.loss()
    assert torch.equal(loss, 0.5 * handle.surrogates(outputs).loss) and loss > 0
    loss.backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())
    assert handle.fired == () and handle.loss() == 0  # what was aligned is forgotten


@pytest.mark.parametrize("how", ["example", "tuple", "function", "lazy"])
def test_widths_are_inferred(how):
    torch.manual_seed(0)
    model, x_BC = Model().train(), torch.randn(4, 3)
    model.heads["depth"].eval()
    example = {"example": x_BC, "tuple": (x_BC,), "function": lambda m: m(x_BC), "lazy": None}[how]
    handle = attach(model, TAPS, example=example, **SMALL)
    if how == "lazy":
        with pytest.raises(RuntimeError, match="widths"):
            handle.parameters()
        model(x_BC)
    assert len(list(handle.parameters())) > 0
    assert dict(zip(TAPS, handle.channels_N.tolist(), strict=True)) == CHANNELS
    assert model.training and not model.heads["depth"].training


def test_an_optimiser_that_joined_trains_surrogates_made_later():
    model, handle, x_BC = make(channels=None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=0.01)
    handle.join(optimizer)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        model(x_BC)
        loss = handle.loss()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    (group,) = optimizer.param_groups
    assert {id(p) for p in handle.parameters()} < {id(p) for p in group["params"]}


def test_surrogates_that_nobody_trains_are_reported():
    model, handle, x_BC = make(channels=None)
    model(x_BC)
    with pytest.warns(UserWarning, match="no optimiser"):
        handle.loss()


@pytest.mark.parametrize("trained", [True, False])
def test_surrogates_that_nobody_has_trained_for_long_are_reported(trained, monkeypatch, recwarn):
    monkeypatch.setattr(optimizers, "PATIENCE", 3)
    model, handle, x_BC = make()
    optimizer = torch.optim.Adam([*model.parameters(), *(handle.parameters() if trained else ())])
    for step in range(5):
        with torch.set_grad_enabled(step != 0):  # a loss that is only looked at does not count
            model(x_BC)
            loss = handle.loss()
        if step:
            loss.backward()
            optimizer.step()
    messages = [str(warning.message) for warning in recwarn]
    assert len(messages) == (0 if trained else 1) and all("handle.join" in text for text in messages)


def test_tasks_that_did_not_run_are_left_out():
    model, handle, x_BC = make()
    outputs = model(x_BC, ("map", "depth"))
    aligned = handle()
    assert list(aligned.latents) == ["map", "depth"]
    pair = NexusFlow({"map": 4, "depth": 5}, **SMALL)
    pair.load_state_dict({k: v for k, v in handle.surrogates.state_dict().items() if "track" not in k})
    torch.testing.assert_close(aligned.loss, pair(outputs).loss)
    aligned.loss.backward()
    for name, weight in handle.surrogates.named_parameters():  # distributed training waits for all of them
        assert weight.grad is not None and ("track" not in name or weight.grad.abs().max() == 0)


@pytest.mark.parametrize("tasks", [(), ("map",)])
def test_fewer_than_two_tasks_cost_nothing(tasks):
    model, handle, x_BC = make()
    model(x_BC)
    model(x_BC, tasks)  # what the call before left is forgotten
    loss = handle.loss()
    assert loss == 0 and loss.dtype == torch.float32
    loss.backward()
    assert all((weight.grad == 0).all() for weight in handle.parameters())


def test_padding_does_not_count():
    model, handle, x_BC = make(masked=True)
    outputs = model(x_BC)
    masked = handle()
    mean_BC = torch.stack([x[:n].mean(0) for n, x in enumerate(outputs["track"]["features"], start=1)])
    expected = handle.surrogates({**outputs, "track": mean_BC}).loss
    torch.testing.assert_close(masked.loss, expected)


def test_weights_may_come_from_the_batch():
    model, handle, x_BC = make()
    outputs = model(x_BC)
    mask_BN, mask_BHW = torch.rand(4, 7) > 0.5, torch.zeros(4, 5, 5)
    mask_BN[:, 0], mask_BHW[:, 2, 3] = True, 1
    aligned = handle({"track": mask_BN, "map": mask_BHW})
    expected = handle.surrogates(
        {
            **outputs,
            "track": {"features": outputs["track"], "weights": mask_BN},
            "map": outputs["map"][:, :, 2, 3],
        }
    )
    torch.testing.assert_close(aligned.loss, expected.loss)


def test_what_is_taken_of_an_output_can_be_selected():
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), "something else"

    model, x_BC = nn.ModuleDict({"a": Pair(3, 4), "b": nn.Linear(3, 2)}), torch.randn(4, 3)
    taps = {"a": "a", "b": model["b"]}
    with pytest.raises(TypeError, match=r"'a' returned tuple.*select"), attach(model, taps):
        model["a"](x_BC)
    handle = attach(model, taps, select={"a": lambda output: output[0]}, channels={"a": 4, "b": 2}, **SMALL)
    model["a"](x_BC), model["b"](x_BC)
    assert handle.loss() > 0
    with pytest.raises(TypeError, match=r"shape \(4,\)"):
        attach(model, taps, select={"a": lambda output: output[0][:, 0]}, example=lambda m: m["a"](x_BC))
    assert len(model["a"]._forward_hooks) == 1  # the failed one left nothing behind


def test_removal_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model, x_BC = Model(), torch.randn(4, 3)
    names = set(model.state_dict())
    with attach(model, TAPS, channels=CHANNELS, register=True, **SMALL) as handle:
        assert set(model.state_dict()) > names and model.nexusflow is handle
    assert set(model.state_dict()) == names and not hasattr(model, "nexusflow")
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    handle.remove()
    model(x_BC)
    with pytest.raises(RuntimeError, match="removed"):
        handle.loss()


def test_hooks_change_no_output():
    model, handle, x_BC = make()
    expected = {task: tensor.clone() for task, tensor in model(x_BC).items()}
    handle.remove()
    assert all(torch.equal(tensor, expected[task]) for task, tensor in model(x_BC).items())


@pytest.mark.parametrize("register", [True, False])
def test_a_deep_copy_listens_to_the_copied_model(register):
    model, handle, x_BC = make(register=register)
    model(x_BC)
    twin, other = copy.deepcopy((model, handle))
    assert other.model is twin and other.fired == () and handle.fired == tuple(TAPS)
    twin(2 * x_BC)
    assert handle.loss() != other.loss()
    other.remove()
    model(x_BC)
    assert handle.loss() > 0


def test_a_registered_handle_travels_with_the_model():
    model, handle, x_BC = make(register=True)
    assert {id(p) for p in handle.parameters()} < {id(p) for p in model.parameters()}
    twin = copy.deepcopy(model)
    twin(x_BC), model(x_BC)
    assert twin.nexusflow is not handle and torch.equal(twin.nexusflow.loss(), handle.loss())


@pytest.mark.parametrize("lazy", [True, False])
def test_state_dict_round_trip(lazy):
    model, handle, x_BC = make()
    with torch.no_grad():
        for weight in handle.parameters():
            weight.add_(torch.randn_like(weight))
    other = attach(model, TAPS, channels=None if lazy else CHANNELS, **SMALL)
    other.load_state_dict(handle.state_dict())
    model(x_BC)
    assert torch.equal(other.loss(), handle.loss())


@pytest.mark.parametrize("masked", [True, False])
def test_under_autocast_the_flows_keep_full_precision(masked):
    model, handle, x_BC = make(masked)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(x_BC)
        aligned = handle()
    assert outputs["depth"].dtype == torch.bfloat16
    assert aligned.loss.dtype == aligned.latents["track"].dtype == torch.float32
    model(x_BC)
    torch.testing.assert_close(aligned.loss, handle().loss, rtol=0.05, atol=0.05)


def test_branches_of_other_samples_are_refused():
    model, handle, x_BC = make()
    model(x_BC)
    model.heads["depth"](x_BC[:2])
    with pytest.raises(ValueError, match="same samples"):
        handle.loss()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"taps": {"map": "heads.map", "track": "heads.trak"}}, "close to it: heads.track"),
        ({"taps": {"map": "heads.map"}}, "at least two"),
        ({"channels": {"map": 4}}, "channels are of"),
        ({"select": {"normal": lambda x: x}}, "select names"),
        ({"register": True}, "register needs"),
        ({"channels": CHANNELS, "example": 1}, "not both"),
        ({"example": lambda model: None}, "did not reach"),
    ],
)
def test_mistakes_are_named_and_leave_no_hook(arguments, message):
    model = Model()
    with pytest.raises(ValueError, match=message):
        attach(model, **({"taps": TAPS} | arguments))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


@pytest.mark.parametrize(
    ("layer", "shape", "turn"),
    [
        (nn.Conv1d(3, 6, 1), (4, 3, 7), "output.mT"),
        (nn.Sequential(nn.Sequential(nn.Linear(3, 6))), (4, 5, 7, 3), "output.movedim(-1, 1)"),
    ],
)
def test_features_in_another_place_are_refused_with_the_way_to_turn_them(layer, shape, turn):
    model = nn.ModuleDict({"odd": layer, "even": nn.Linear(3, 5)})
    taps = {"odd": "odd", "even": "even"}

    def example(model):
        model["odd"](torch.randn(shape)), model["even"](torch.randn(4, 3))

    with pytest.raises(TypeError, match="makes 6.*" + re.escape(turn)):
        attach(model, taps, example=example, **SMALL)
    select = {"odd": eval(f"lambda output: {turn}")}
    handle = attach(model, taps, example=example, select=select, **SMALL)
    assert handle.channels_N.tolist() == [6, 5]


class Pyramid(nn.Module):
    """Branches that run on both levels of a pyramid and return several things at once."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes, self.scores = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 1)
        self.head = _Together(self.boxes, self.scores)

    def forward(self, x_BCHW):
        return [self.head(level) for level in (x_BCHW, x_BCHW[..., ::2, ::2])]


class _Together(nn.Module):
    def __init__(self, boxes: nn.Module, scores: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList([boxes, scores])

    def forward(self, x_BCHW):
        boxes, scores = (part(x_BCHW) for part in self.parts)
        return {"all": (boxes, scores), "size": types.SimpleNamespace(of=scores.mean((2, 3)))}


def test_a_path_leads_into_what_a_branch_returns():
    model, x_BCHW = Pyramid(), torch.randn(2, 3, 4, 4)
    select = {"boxes": ["all", 0], "size": ("size", "of")}
    handle = attach(model, {"boxes": "head", "size": "head"}, example=x_BCHW, select=select, **SMALL)
    assert handle.channels_N.tolist() == [4, 5]
    first = attach(
        model, {"a": "boxes", "b": "head"}, channels={"a": 4, "b": 4}, select={"b": lambda x: x["all"][0]}
    )
    model(x_BCHW)
    tapped = first._recorder.take()
    assert torch.equal(tapped["a"], tapped["b"])


@pytest.mark.parametrize(("calls", "rows"), [({}, 2), ({"a": 0, "b": 0}, 4), ({"a": 1, "b": 1}, 2)])
def test_of_several_calls_one_counts(calls, rows):
    model, x_BCHW = Pyramid(), torch.randn(2, 3, 4, 4)
    handle = attach(model, {"a": "boxes", "b": "scores"}, example=x_BCHW, calls=calls, **SMALL)
    for module in (model, copy.deepcopy(model)):
        for _ in range(2):
            module(x_BCHW)
            assert {tap.shape[2] for tap in handle._recorder.taps.values()} == {rows}
    model(x_BCHW)
    handle.loss().backward()


def test_calls_that_do_not_happen_or_cannot_be_meant_are_named():
    taps, x_BCHW = {"a": "boxes", "b": "scores"}, torch.randn(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"did not reach the taps of \['b'\]"):
        attach(Pyramid(), taps, example=x_BCHW, calls={"b": 2}, **SMALL)
    with pytest.raises(ValueError, match="calls names"):
        attach(Pyramid(), taps, example=x_BCHW, calls={"c": 0}, **SMALL)
    with pytest.raises(ValueError, match="counted from 0"):
        attach(Pyramid(), taps, example=x_BCHW, calls={"a": -1}, **SMALL)


def test_wrong_widths_are_named():
    model, handle, x_BC = make(channels=CHANNELS | {"track": 7})
    model(x_BC)
    with pytest.raises(ValueError, match="'track' holds 6 features, not the 7"):
        handle.loss()


def test_two_handles_do_not_disturb_each_other():
    model, handle, x_BC = make()
    other = attach(model, {"a": "heads.map", "b": "heads.track"}, channels={"a": 4, "b": 6}, **SMALL)
    model(x_BC)
    assert handle.loss() > 0 and other.loss() > 0
    with pytest.raises(ValueError, match="already"):
        attach(
            attach(model, TAPS, channels=CHANNELS, register=True, **SMALL).model,
            TAPS,
            channels=CHANNELS,
            register=True,
        )


def test_a_wrapper_is_looked_through():
    class Wrapped(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(x)

    model, x_BC = Wrapped(Model()), torch.randn(4, 3)
    handle = attach(model, TAPS, example=x_BC, **SMALL)
    model(x_BC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert handle.loss() > 0
