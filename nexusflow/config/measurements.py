"""Measurements of training that lie in no result file: config/measurements.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nexusflow.core.errors import UserError

__all__ = ["Measurement", "Measurements", "Release", "read_measurements"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measurement(_Section):
    """What training was measured to cost, and where that was measured."""

    scales: tuple[str, ...] = Field(min_length=1, description="scales whose sizes were measured")
    suite: str = Field(description="suite name")
    methods: tuple[str, ...] = Field(min_length=1, description="names of the methods it holds for")
    phase: Literal[1, 2] = Field(description="2: with a frozen encoder")
    device: Literal["cpu", "gpu"] = Field(description="what the hours are hours of")
    device_hours: float = Field(gt=0, description="hours times devices")
    samples: int = Field(gt=0, description="clips or images trained on in these hours")
    memory_mib: float | None = Field(default=None, gt=0, description="peak memory of one device, MiB")
    published: bool = Field(default=False, description="a number of others, for their code")
    where: str = Field(min_length=1, description="where it was measured or printed")


class Release(_Section):
    """Size of a recorded release."""

    key_frames: int = Field(gt=0, description="key frames of train and val")
    archives_gb: float = Field(gt=0, description="size of the archives, 10⁹ bytes")
    where: str = Field(min_length=1, description="where these numbers come from")


class Measurements(_Section):
    """The whole file."""

    measurements: tuple[Measurement, ...] = Field(description="costs of training")
    releases: dict[str, Release] = Field(description="recorded releases by version")

    def find(self, scale: str, suite: str, method: str, phase: int) -> Measurement | None:
        """Look a measurement up.

        Args:
            scale: name of the scale.
            suite: suite name.
            method: name of the method.
            phase: 1, or 2 with a frozen encoder.

        Returns:
            The first that holds, or None.
        """
        for row in self.measurements:
            if scale in row.scales and method in row.methods and (row.suite, row.phase) == (suite, phase):
                return row
        return None


def read_measurements(folder: Path) -> Measurements:
    """Read the file.

    Args:
        folder: the config/ folder.

    Returns:
        Its content.

    Raises:
        UserError: if it is missing, no YAML, or has a wrong key or value.
    """
    path = folder / "measurements.yaml"
    try:
        return Measurements.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; restore it from the repository.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML; correct it.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: key `{key}`: {first['msg']}, got {first['input']!r}.") from error
