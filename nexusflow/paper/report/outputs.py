"""Tables and figures that the workflow knows: titles, captions, and the command that makes a missing one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from nexusflow.core.yaml_files import read_yaml
from nexusflow.paper.config import PaperConfig

__all__ = ["Caption", "Captions", "Missing", "Output", "load_captions", "order_of", "title_of"]

_CAPTIONS_PATH = Path(__file__).with_name("captions.yaml")


class Caption(BaseModel):
    """Words below a figure, and for those who cannot see it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    caption: str = Field(min_length=1, description="What it shows.")
    alt: str = Field(min_length=1, description="The same in words that replace the picture.")


class Captions(BaseModel):
    """Content of captions.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tables: dict[str, str] = Field(description="Name of a table → what it shows.")
    figures: dict[str, Caption] = Field(description="Name of a figure → caption and replacement.")


@dataclass(frozen=True)
class Output:
    """A table or figure that the workflow can make.

    Args:
        name: stem of its files.
        ending: "csv" for tables, "png" for figures, "gif" for videos.
        on_request: whether it is made when asked for by name only.
    """

    name: str
    ending: str
    on_request: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it is a table, else a picture."""
        return self.ending == "csv"

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.name}.{self.ending}"


@dataclass(frozen=True)
class Missing:
    """An output that is not there.

    Args:
        title: what it is called.
        command: what makes it.
        on_request: whether it trains runs that nothing else needs.
    """

    title: str
    command: str
    on_request: bool


@cache
def load_captions() -> Captions:
    """Read the captions that come with the package.

    Returns:
        All captions.

    Raises:
        pydantic.ValidationError: if captions.yaml is malformed.
    """
    return Captions.model_validate(read_yaml(_CAPTIONS_PATH))


def title_of(name: str, paper: PaperConfig) -> str:
    """Give a table or figure its title.

    Args:
        name: stem of its files.
        paper: content of config/paper.yaml.

    Returns:
        The title of its section there, else the section's description, else the name.
    """
    section = getattr(paper, name, None)
    title = getattr(section, "title", None)
    if title:
        return str(title)
    field = type(paper).model_fields.get(name)
    text = (field.description if field else None) or name.replace("_", " ").capitalize()
    if name.startswith("figure"):
        return f"Figure {name.removeprefix('figure').replace('_', ', ')}. {text.rstrip('.')}"
    return text.rstrip(".")


def order_of(names: Mapping[str, Path], known: tuple[str, ...]) -> list[str]:
    """Put files into the order of the workflow; files that it does not know come last.

    Args:
        names: name → file.
        known: names in order.

    Returns:
        Names.
    """
    listed = [name for name in dict.fromkeys(known) if name in names]
    return listed + sorted(set(names) - set(listed))
