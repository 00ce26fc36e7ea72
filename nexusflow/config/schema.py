"""The configuration as a whole: `config.yaml`, one file per scale, and the table of runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nexusflow.bev.config import BEVModelConfig
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.evaluation.config import EvaluationConfig
from nexusflow.methods.config import MethodConfig
from nexusflow.suites.nuscenes.config import TrackerSearchConfig
from nexusflow.training.config import TrainingConfig

__all__ = ["MainConfig", "NuScenesScaleConfig", "ResolvedRun", "RunConfig", "ScaleConfig"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
PartitionKind = Literal["full", "s_geo", "r_geo", "random"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MainConfig(_Section):
    """config/config.yaml: what `results/table2.csv` means."""

    scale: Name = Field(description="scale whose tables and figures are published directly under results/")
    seeds: tuple[int, ...] = Field(min_length=1, description="training seeds of every run of a table")


class NuScenesScaleConfig(_Section):
    """The nuScenes suite at one scale."""

    version: str = Field(default="v1.0-trainval", description="folder of the tables in the data root")
    world: StreetWorldConfig = Field(description="the generated world that runs use unless they name another")
    worlds: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="further worlds: what differs from `world`"
    )
    reader: NuScenesReaderConfig = Field(description="image size and map canvas")
    model: BEVModelConfig = Field(description="every size of the model")
    budgets: dict[Name, TrainingConfig] = Field(description="training budgets by name")
    methods: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="settings of a method at this scale, under what a run says itself"
    )
    tracker: TrackerSearchConfig = Field(
        description="birth and survival thresholds, chosen on training scenes"
    )
    evaluation: EvaluationConfig = Field(description="evaluation range")


class ScaleConfig(_Section):
    """config/scales/<scale>.yaml."""

    description: str = Field(description="one line printed above every table of this scale")
    nuscenes: NuScenesScaleConfig = Field(description="the tracking and map suite")


class RunConfig(_Section):
    """A row of config/experiments.yaml."""

    method: dict[str, Any] | None = Field(
        default=None, description="method section with its `name`; empty for a run that is only declared"
    )
    partition: PartitionKind = Field(default="s_geo", description="which labels training sees")
    budget: Name = Field(default="pretrain", description="training budget of the scale")
    init: Name | None = Field(
        default=None, description="run whose checkpoint of the same seed a phase-2 run starts from"
    )
    world: Name = Field(default="street", description="`street`, or one of the scale's further worlds")
    training: dict[str, Any] = Field(default_factory=dict, description="what differs from the budget")
    model: dict[str, Any] = Field(default_factory=dict, description="what differs from the scale's model")
    note: str = Field(default="", description="what the row is for")

    @property
    def is_declared_only(self) -> bool:
        """Whether the row stands for a method that cannot be run yet."""
        return self.method is None


class ResolvedRun(_Section):
    """Everything a run depends on, put together from its row and its scale."""

    suite: Name
    run: Name
    world: Name
    partition: PartitionKind
    init: Name | None
    method: MethodConfig
    training: TrainingConfig
    model: BEVModelConfig
