"""What forward hooks hand over: taps of a model's branches, their widths, and how submodules are found.

Legend: B batch, N tokens, C features of a branch, H and W rows and columns of a map.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nexusflow.alignment.taps import Tap, features_of

__all__ = ["Example", "Recorder", "Select", "module_of", "run_example", "width_of"]

Select = Callable[[Any], Tap] | int | str | Sequence[int | str]
Example = Any


class Recorder:
    """Holds what the branches returned last; copies and pickles hold nothing, for taps belong to a graph."""

    def __init__(self) -> None:
        self.taps: dict[str, Tap] = {}
        self.widths: dict[str, int] = {}
        self.calls: dict[str, int] = {}
        self.device: torch.device | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "taps": {}}

    def hook(self, task: str, select: Select | None, call: int | None) -> _Hook:
        """Returns the forward hook for the branch of a task; of several calls one counts, or the last."""
        return _Hook(self, task, select if select is None or callable(select) else _Path(select), call)

    def forget(self, *_: Any) -> None:
        """Forgets the taps; as a hook of the whole model, before each call."""
        self.taps.clear()
        self.calls.clear()

    def take(self) -> dict[str, Tap]:
        """Returns the taps and forgets them."""
        taps = dict(self.taps)
        self.taps.clear()
        return taps


class _Path:
    """Indices, keys and attributes that lead into what a branch returned; can be pickled."""

    def __init__(self, path: int | str | Sequence[int | str]) -> None:
        self.path = (path,) if isinstance(path, int | str) else tuple(path)

    def __call__(self, output: Any) -> Any:
        for step in self.path:
            if isinstance(step, str) and not isinstance(output, Mapping):
                output = getattr(output, step)
            else:
                output = output[step]
        return output


class _Hook:
    """A forward hook as an object, which a deep copy of the model copies with what it writes to."""

    def __init__(
        self, recorder: Recorder, task: str, select: Callable[[Any], Tap] | None, call: int | None
    ) -> None:
        self.recorder, self.task, self.select, self.call = recorder, task, select, call

    def __call__(self, module: nn.Module, arguments: Any, output: Any) -> None:
        if self.call is not None:
            number = self.recorder.calls.get(self.task, 0)
            self.recorder.calls[self.task] = number + 1
            if number != self.call:
                return
        tap = _tap_of(output if self.select is None else self.select(output), self.task)
        first = not torch.compiler.is_compiling() and self.task not in self.recorder.widths
        if self.select is None and first:
            _check_layout(module, tap, self.task)
        self.recorder.taps[self.task] = tap
        self.recorder.widths[self.task] = width_of(tap)
        self.recorder.device = features_of(tap).device


def width_of(tap: Tap) -> int:
    """Returns the features C of a tap (B, C), (B, N, C) or (B, C, H, W).

    Examples:
        >>> width_of(torch.zeros(2, 30, 8)), width_of(torch.zeros(2, 8, 4, 5))
        (8, 8)
    """
    shape = features_of(tap).shape
    return shape[-1] if len(shape) == 3 else shape[1]


def module_of(model: nn.Module, tap: str | nn.Module) -> nn.Module:
    """Finds a submodule, also in a model that is wrapped for distributed training or compiled.

    Args:
        model: the model.
        tap: a name as in ``model.named_modules()``, or the submodule itself.

    Raises:
        ValueError: if there is none of that name; says which come close.
    """
    if isinstance(tap, nn.Module):
        return tap
    root: Any = model
    while isinstance(root, nn.Module):
        try:
            return root.get_submodule(tap)
        except AttributeError:
            root = getattr(root, "_orig_mod", None) or getattr(root, "module", None)
    names = [name for name, _ in model.named_modules() if name]
    close = difflib.get_close_matches(tap, names, n=3, cutoff=0.4) or names[:10]
    raise ValueError(f"the model has no submodule {tap!r}; close to it: {', '.join(close)}")


def run_example(model: nn.Module, example: Example) -> None:
    """Calls a model once without gradient, in evaluation mode, and leaves every mode as it was."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            if isinstance(example, tuple):
                model(*example)
            elif callable(example) and not isinstance(example, Tensor):
                example(model)
            else:
                model(example)
    finally:
        for module, training in modes.items():
            module.training = training


def _check_layout(module: nn.Module, tap: Tap, task: str) -> None:
    """Refuses what a layer of a known width returns in another layout, such as (B, C, L) of a Conv1d."""
    last = module
    while isinstance(last, nn.Sequential) and len(last):
        last = last[-1]
    names = ("out_channels", "out_features", "num_features")
    known = next((value for name in names if isinstance(value := getattr(last, name, None), int)), None)
    width, shape = width_of(tap), tuple(features_of(tap).shape)
    if known is not None and known != width and known in shape[1:]:
        turned = "output.mT" if len(shape) == 3 else "output.movedim(-1, 1)"
        raise TypeError(
            f"the branch of {task!r} returned {shape}, read as {width} features, but "
            f"{type(last).__name__} makes {known}; turn it to (B, N, C) or (B, C, H, W): "
            f"select={{{task!r}: lambda output: {turned}}}"
        )


def _tap_of(output: Any, task: str) -> Tap:
    if isinstance(output, Mapping) and isinstance(output.get("features"), Tensor):
        entries = {key: output[key] for key in ("features", "weights", "positions") if key in output}
        if "mask" in output:
            entries["weights"] = output["mask"]
        output = entries
    elif not isinstance(output, Tensor):
        raise TypeError(
            f"the branch of {task!r} returned {type(output).__name__}, not a tensor; say what to take of it: "
            f"select={{{task!r}: lambda output: ...}}"
        )
    shape = tuple(features_of(output).shape)
    if len(shape) not in (2, 3, 4):
        raise TypeError(
            f"the branch of {task!r} returned features of shape {shape}, not (B, C), (B, N, C) or "
            f"(B, C, H, W); reshape them: select={{{task!r}: lambda output: ...}}"
        )
    return output
