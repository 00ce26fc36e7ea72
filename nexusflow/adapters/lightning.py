"""A Lightning callback that adds the alignment to whatever loss a module has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from torch import Tensor

from nexusflow.alignment import Attachment, attach

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback
    except ImportError as error:
        raise ImportError(
            "nexusflow.adapters.lightning needs Lightning: pip install lightning (or pytorch-lightning)"
        ) from error

__all__ = ["NexusFlowCallback"]


class NexusFlowCallback(Callback):
    """Attaches surrogates to a LightningModule while it is trained.

    They are the module's part ``nexusflow`` from before its optimisers are configured, so that
    ``self.parameters()``, checkpoints and distributed strategies include them; after training they are gone.
    For inference load such a checkpoint with ``strict=False``. The loss is added to what ``training_step``
    returns, a tensor or a mapping with ``loss``, so that precision and accumulation apply to both. A module
    that optimises by hand adds ``self.nexusflow.loss()`` itself. Every epoch logs what `Attachment.report`
    measures.

    Args:
        taps: see `attach`.
        options: what `attach` takes, with ``channels`` or ``example``.

    Examples:
        ```py
        callback = NexusFlowCallback({"map": "map", "track": "track"}, channels=widths)
        trainer = Trainer(callbacks=[callback])
        ```
    """

    def __init__(self, taps: Mapping[str, Any], **options: Any) -> None:
        if not options.get("channels") and options.get("example") is None:
            raise ValueError(
                "Lightning makes its optimisers before the first batch: give channels= or example="
            )
        self.taps, self.options = dict(taps), options
        self.handle: Attachment | None = None

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Attaches before training; other stages are left alone."""
        if stage != "fit" or self.handle is not None:
            return
        self.handle = attach(pl_module, self.taps, register=True, **self.options)
        if pl_module.automatic_optimization:
            pl_module.training_step = _aligned(pl_module.training_step, pl_module, self.handle)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Forgets what validation left: Lightning does not call the module itself."""
        if self.handle is not None:
            self.handle.forget()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Logs the measurements of the last samples, and warns where they show a collapse."""
        if self.handle is not None:
            pl_module.log_dict({f"nexusflow/{name}": value for name, value in self.handle.report().items()})

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leaves the module as it was."""
        if stage == "fit" and self.handle is not None:
            self.handle.remove()
            vars(pl_module).pop("training_step", None)
            self.handle = None


def _aligned(step: Callable[..., Any], module: Any, handle: Attachment) -> Callable[..., Any]:
    @wraps(step)  # Lightning looks at the names of its arguments
    def with_alignment(*args: Any, **kwargs: Any) -> Any:
        output = step(*args, **kwargs)
        if output is None:  # Lightning's sign for a step that is to be skipped
            return None
        aligned = handle.loss()
        module.log("nexusflow", aligned.detach())
        if isinstance(output, Tensor):
            return output + aligned
        return {**output, "loss": output["loss"] + aligned}

    return with_alignment
