"""NexusFlow: one model for several tasks when every sample is labelled for one task only."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexusflow.alignment import Attachment, NexusFlow, attach

__version__ = "0.1.0"
__all__ = ["Attachment", "NexusFlow", "__version__", "attach"]


def __getattr__(name: str) -> Any:
    # The library needs torch, the pipeline's commands should not wait for it.
    if name in ("Attachment", "NexusFlow", "attach"):
        return getattr(import_module("nexusflow.alignment"), name)
    raise AttributeError(f"module 'nexusflow' has no attribute {name!r}")
