"""What the configuration sections of all methods share."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

__all__ = ["MethodSection", "Section"]


class Section(BaseModel):
    """A section without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MethodSection(Section):
    """The section of one method.

    Attributes:
        module: module with `build(config, context)`, imported when the method is built; a run depends on the
            code of its own method only.
        needs_canvases: whether the method wants the tasks as images, see `nexusflow.core.views`.
    """

    module: ClassVar[str]
    needs_canvases: ClassVar[bool] = False
