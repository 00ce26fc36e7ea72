"""An MMEngine hook that adds the alignment to the losses of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, distributed, nn

from nexusflow.alignment import Attachment, attach

try:
    from mmengine.hooks import Hook
    from mmengine.registry import HOOKS
except ImportError as error:
    raise ImportError("nexusflow.adapters.mmengine needs MMEngine: pip install mmengine") from error

__all__ = ["NexusFlowHook"]


@HOOKS.register_module()
class NexusFlowHook(Hook):
    """Attaches surrogates to a runner's model while it is trained.

    They are the model's part ``nexusflow``, so that checkpoints include them, and are trained and scheduled
    as the model is. The loss appears as ``loss_nexusflow`` among those of ``forward(..., mode="loss")``.
    Every epoch logs what `Attachment.report` measures.

    Args:
        taps: see `attach`.
        options: what `attach` takes, with ``channels`` or ``example``.

    Examples:
        ```py
        custom_imports = dict(imports=["nexusflow.adapters.mmengine"])
        custom_hooks = [dict(type="NexusFlowHook", taps=dict(map="map", track="track"), channels=...)]
        ```
    """

    def __init__(self, taps: Mapping[str, Any], **options: Any) -> None:
        if not options.get("channels") and options.get("example") is None:
            raise ValueError("a checkpoint may be loaded before the first batch: give channels= or example=")
        self.taps, self.options = dict(taps), options
        self.handle: Attachment | None = None
        self._adding: Any = None

    def before_run(self, runner: Any) -> None:
        """Attaches, joins the optimiser, and watches the losses."""
        if self.handle is not None or runner.optim_wrapper is None:
            return
        model: nn.Module = getattr(runner.model, "module", runner.model)
        self.handle = attach(model, self.taps, register=True, **self.options)
        self.handle.join(runner.optim_wrapper.optimizer)
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            # The runner wrapped the model before: what comes later is synchronised by itself.
            self.handle.distribute()
        self._adding = model.register_forward_hook(self._add)
        # The runner draws the model's initial weights after this; a flow must start as the identity.
        vars(self.handle)["apply"] = lambda _: model

    def before_train(self, runner: Any) -> None:
        """Gives the surrogates back to functions applied to the whole model."""
        if self.handle is not None:
            vars(self.handle).pop("apply", None)

    def after_train_epoch(self, runner: Any) -> None:
        """Logs the measurements of the last samples, and warns where they show a collapse."""
        if self.handle is not None:
            for name, value in self.handle.report().items():
                runner.message_hub.update_scalar(f"train/nexusflow/{name}", value)

    def after_run(self, runner: Any) -> None:
        """Leaves the model as it was."""
        if self.handle is not None:
            self._adding.remove()
            self.handle.remove()
            self.handle = None

    def _add(self, model: nn.Module, arguments: Any, output: Any) -> Any:
        is_loss = isinstance(output, Mapping) and any("loss" in str(name) for name in output)
        if not model.training or not is_loss or self.handle is None:
            return output
        aligned: Tensor = self.handle.loss()
        return {**output, "loss_nexusflow": aligned}
