"""Surrogates on a model of one's own: forward hooks read its branches, the model stays as it is.

Legend: B batch, N tokens or tasks, C features of a branch, H and W rows and columns of a map.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from nexusflow.alignment.hooks import Example, Recorder, Select, module_of, run_example, width_of
from nexusflow.alignment.module import AlignmentOutput, NexusFlow
from nexusflow.alignment.monitors import CollapseMonitor, CollapseWarning, collapse_signs
from nexusflow.alignment.optimizers import TrainingWatch, join_optimizer
from nexusflow.alignment.taps import features_of

__all__ = ["Attachment", "attach"]

_NAME = "nexusflow"
_FEWEST_SAMPLES = 16  # of which a report can tell collapse from chance


class Attachment(nn.Module):
    """What `attach` returns: the surrogates, and the hooks that feed them.

    Its parameters, buffers and state dict are those of the surrogates and the widths of the branches; the
    model belongs to them only in a deep copy, which copies both.

    Args:
        model: the model; also one that is wrapped for distributed training or compiled.
        taps: per task the name of a submodule, as in ``model.named_modules()``, or the submodule.
        select: see `attach`.
        calls: see `attach`.
        weight: see `attach`; may be changed at any time.
        monitor: see `attach`.
        options: see `NexusFlow`.
    """

    channels_N: Tensor
    surrogates: nn.Module | None

    def __init__(
        self,
        model: nn.Module,
        taps: Mapping[str, str | nn.Module],
        select: Mapping[str, Select],
        calls: Mapping[str, int],
        weight: float,
        monitor: int,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__()
        if len(taps) < 2:
            raise ValueError(f"alignment needs taps of at least two tasks, not {list(taps)}")
        for name, given in (("select", select), ("calls", calls)):
            if unknown := [task for task in given if task not in taps]:
                raise ValueError(f"{name} names {unknown}, the taps are of {list(taps)}")
        if negative := [task for task, number in calls.items() if number < 0]:
            raise ValueError(f"calls are counted from 0, those of {negative} are below")
        self.tasks, self.weight, self._options = tuple(taps), weight, dict(options)
        self.register_buffer("channels_N", torch.zeros(len(taps), dtype=torch.long))
        self.register_module("surrogates", None)
        self._model = (model,)  # in a tuple, so that it does not become a part of this module
        self._recorder, self._channels = Recorder(), dict[str, int]()
        self._joined, self._waiting = False, list[torch.optim.Optimizer]()
        # In lists, so that state dicts and distributed wrappers leave them alone.
        self._window, self._monitors = monitor, list[CollapseMonitor]()
        self._synchronised, self._training_watch = list[nn.Module](), TrainingWatch()
        modules = {task: module_of(model, tap) for task, tap in taps.items()}
        self._handles = [model.register_forward_pre_hook(self._recorder.forget)]
        self._handles += [
            module.register_forward_hook(self._recorder.hook(task, select.get(task), calls.get(task)))
            for task, module in modules.items()
        ]

    @property
    def model(self) -> nn.Module:
        """The model that is listened to."""
        return self._model[0]

    @property
    def fired(self) -> tuple[str, ...]:
        """Tasks whose branches ran since the last loss."""
        return tuple(task for task in self.tasks if task in self._recorder.taps)

    def loss(self, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Returns the weighted alignment loss of the model's last call, a scalar; see `forward`."""
        return self.weight * self(weights).loss

    def forward(self, weights: Mapping[str, Tensor] | None = None) -> AlignmentOutput:
        """Aligns what the branches returned since the last call, and forgets it.

        A task whose branch did not run is left out. With fewer than two tasks, or before every task ran once,
        the loss is zero. A branch that ran several times counts as it ran last, unless ``calls`` says which.

        Args:
            weights: per task, which tokens count: a mask or weights, (B, N) or (B, H, W); 0 is padding.

        Returns:
            Embeddings, latents and the loss without `weight`.

        Raises:
            RuntimeError: after `remove`.
            ValueError: if the branches hold different numbers of samples, or other widths than were given.
        """
        if not self._handles:
            raise RuntimeError("the surrogates were removed from the model; attach them again")
        built_now = self.surrogates is None
        self._build_if_known()
        taps = self._recorder.take()
        if self.surrogates is None:
            devices = [features_of(tap).device for tap in taps.values()]
            zero = torch.zeros((), device=devices[0] if devices else self.channels_N.device)
            return AlignmentOutput({}, {}, {}, zero, {})
        if built_now and not self._joined:
            warnings.warn(
                "the surrogates were made by this first loss and no optimiser trains them; attach with "
                "channels= or example=, or call join(optimizer)",
                stacklevel=2,
            )
        for task, counts in (weights or {}).items():
            if task in taps:
                tap = taps[task]
                taps[task] = {**({"features": tap} if isinstance(tap, Tensor) else tap), "weights": counts}
        for task, tap in taps.items():
            if width_of(tap) != self._channels[task]:
                raise ValueError(
                    f"the branch of {task!r} holds {width_of(tap)} features, not the {self._channels[task]} "
                    "for which its surrogate was made; correct channels="
                )
        batches = {task: len(features_of(tap)) for task, tap in taps.items()}
        if len(set(batches.values())) > 1:
            raise ValueError(f"the branches must hold the same samples, but their numbers are {batches}")
        surrogates = self._synchronised[0] if self._synchronised else self.surrogates
        output: AlignmentOutput = surrogates(taps, missing="skip")
        if len(output.latents) == len(self.tasks) and not torch.compiler.is_compiling():
            if self.weight:
                self._training_watch.count(self.surrogates)
            self._watch(output)
        return output

    def report(self) -> dict[str, float]:
        """Measures embeddings and latents of the last samples that had all tasks, say once per epoch.

        Returns:
            What `collapse_report` returns; nothing before the first loss, or with ``monitor=0``.

        Warns:
            CollapseWarning: if the loss is small for the wrong reason, see `collapse_signs`.
        """
        if not self._monitors:
            return {}
        report = self._monitors[0].report()
        if self._monitors[0].samples >= _FEWEST_SAMPLES and (signs := collapse_signs(report)):
            warnings.warn(
                f"the alignment has collapsed: {'; '.join(signs)}. A lower weight, normalize='unit' or "
                "variance_floor work against it",
                CollapseWarning,
                stacklevel=2,
            )
        return report

    def distribute(self) -> Self:
        """Averages the gradients of the surrogates over the processes of distributed training.

        Only needed where no distributed wrapper of the model includes them, see ``register``; names in state
        dicts stay the same.

        Raises:
            RuntimeError: while the widths of the branches are unknown.
        """
        next(self.parameters())
        assert self.surrogates is not None
        self._synchronised = [nn.parallel.DistributedDataParallel(self.surrogates)]
        return self

    def forget(self) -> None:
        """Forgets what the branches returned; only needed where the model itself is not called."""
        self._recorder.forget()

    def join(self, optimizer: torch.optim.Optimizer) -> Self:
        """Lets an optimiser of the model train the surrogates as it trains the model; see `join_optimizer`.

        Args:
            optimizer: gets their parameters; once the widths are known, if they are not yet.
        """
        self._joined = True
        self._waiting.append(optimizer)
        self._build_if_known()
        self._serve_waiting()
        return self

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Returns the parameters of the surrogates.

        Raises:
            RuntimeError: while the widths of the branches are unknown.
        """
        self._build_if_known()
        if self.surrogates is None:
            raise RuntimeError(
                "the widths of the branches are not known yet; attach with channels= or example=, call the "
                "model once before, or call join(optimizer)"
            )
        return super().parameters(recurse)

    def remove(self) -> None:
        """Takes the hooks off the model; the surrogates can still be saved."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.forget()
        if getattr(self.model, _NAME, None) is self:
            delattr(self.model, _NAME)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def build(self, channels: Mapping[str, int], device: torch.device | None = None) -> None:
        """Makes the surrogates.

        Args:
            channels: features C of each task's branch.
            device: where they live.

        Raises:
            ValueError: if a task is missing.
        """
        if set(channels) != set(self.tasks):
            raise ValueError(f"channels are of {list(channels)}, the taps of {list(self.tasks)}")
        self._channels = dict(channels)
        self.channels_N = torch.tensor([channels[task] for task in self.tasks])
        self.surrogates = NexusFlow({task: channels[task] for task in self.tasks}, **self._options)
        if device is not None:
            self.to(device)
        self._serve_waiting()

    def _build_if_known(self) -> None:
        if self.surrogates is None:
            channels = {task: self._recorder.widths.get(task, 0) for task in self.tasks}
            if all(channels.values()):
                self.build(channels, self._recorder.device)

    def _serve_waiting(self) -> None:
        if self.surrogates is None:
            return
        for optimizer in self._waiting:
            join_optimizer(optimizer, list(self.named_parameters(prefix=_NAME)))
        self._waiting = []

    def _watch(self, output: AlignmentOutput) -> None:
        if not self._window:
            return
        if not self._monitors:
            first, dim = (next(iter(part.values())) for part in (output.latents, output.embeddings))
            monitor = CollapseMonitor(self.tasks, dim.shape[-1], first.shape[-1], self._window)
            self._monitors = [monitor.to(first.device)]
        self._monitors[0].update(output)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        channels_N = state_dict.get(f"{prefix}channels_N")
        if self.surrogates is None and channels_N is not None and bool((channels_N > 0).all()):
            self.build(dict(zip(self.tasks, channels_N.tolist(), strict=True)), self.channels_N.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def attach(
    model: nn.Module,
    taps: Mapping[str, str | nn.Module],
    *,
    channels: Mapping[str, int] | None = None,
    example: Example | None = None,
    select: Mapping[str, Select] | None = None,
    calls: Mapping[str, int] | None = None,
    weight: float = 1.0,
    register: bool = False,
    monitor: int = 256,
    **options: Any,
) -> Attachment:
    """Aligns the branches of a multi-task model by forward hooks.

    The branches may return (B, C), (B, N, C), (B, C, H, W) or a mapping with ``features`` and optionally
    ``weights`` or ``mask``, (B, N) or (B, H, W), and ``positions`` (B, N, 2), and may differ in this. The
    widths C come from ``channels``, from ``example``, or else from the model's first call.

    Args:
        model: any model; attach after moving it to its device, and before compiling or wrapping it.
        taps: per task the name of a submodule, as in ``model.named_modules()``, or the submodule; two tasks
            or more.
        channels: widths C, by task.
        example: a batch with which the model is called once, in evaluation mode and without gradient; a tuple
            holds several arguments, a function gets the model and calls it.
        select: per task, what to take of that which the submodule returned, so that it has one of the forms
            above: a function; or an index, a key, an attribute, or several of them in a row.
        calls: per task, which call of the submodule counts, from 0, where one call of the model makes
            several, as heads do that are shared by the levels of a pyramid; the last one if not given.
        weight: lambda, the weight of the alignment in `Attachment.loss`.
        register: makes the surrogates the submodule ``nexusflow`` of the model, so that its parameters, state
            dict, copies and distributed wrapper include them; needs ``channels`` or ``example``.
        monitor: number of last samples of which `Attachment.report` tells alignment from collapse; 0 is off.
        options: see `NexusFlow`.

    Returns:
        The surrogates with the hooks, which are a context manager and have ``remove``.

    Raises:
        ValueError: if a name, a task or an option does not exist.

    Source: Eqs. 1 to 5 of the paper.

    Examples:
        >>> class Model(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.shared, self.depth, self.edges = nn.Linear(8, 9), nn.Linear(9, 12), nn.Linear(9, 6)
        ...
        ...     def forward(self, x_BC):
        ...         x_BC = self.shared(x_BC).relu()
        ...         return self.depth(x_BC), self.edges(x_BC)
        >>> model, x_BC = Model(), torch.randn(4, 8)
        >>> handle = attach(model, taps={"depth": "depth", "edges": "edges"}, example=x_BC, dim=16, depth=2)
        >>> optimizer = torch.optim.Adam([*model.parameters(), *handle.parameters()])
        >>> depth, edges = model(x_BC)
        >>> loss = depth.square().mean() + edges.square().mean() + handle.loss()
        >>> loss.backward()
        >>> handle.remove()
    """
    if channels is not None and example is not None:
        raise ValueError("give channels or example, not both")
    if register and channels is None and example is None:
        raise ValueError("register needs the widths of the branches at once: give channels or example")
    if register and hasattr(model, _NAME):
        raise ValueError(f"the model has a part named {_NAME} already; remove it first")
    handle = Attachment(model, taps, select or {}, calls or {}, weight, monitor, options)
    try:
        if example is not None:
            run_example(model, example)
            if missing := [task for task in handle.tasks if task not in handle.fired]:
                raise ValueError(f"the example did not reach the taps of {missing}; give channels instead")
            channels = handle._recorder.widths
        if channels is not None:
            first = next(iter(model.parameters()), None)
            handle.build(channels, handle._recorder.device or (None if first is None else first.device))
        handle.forget()
        if register:
            model.add_module(_NAME, handle)
    except BaseException:
        handle.remove()
        raise
    return handle
