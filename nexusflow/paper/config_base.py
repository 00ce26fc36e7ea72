"""What the sections of config/paper.yaml share."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RunLabel", "Section", "refuse_repeats"]


class Section(BaseModel):
    """A section; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def refuse_repeats(names: Sequence[str], what: str) -> None:
    """Refuse names that occur twice.

    Args:
        names: the names.
        what: what they name, for the message.

    Raises:
        ValueError: naming those that are repeated.
    """
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} repeated: {', '.join(repeated)}")


class RunLabel(Section):
    """A run and the name it goes by in a figure."""

    run: str = Field(description="Run name, as in config/experiments.yaml.")
    label: str = Field(description="Name shown in the figure.")
