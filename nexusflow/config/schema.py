"""The configuration as a whole: `config.yaml`, one file per scale, and the table of runs."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nexusflow.analysis.config import AnalysisConfig
from nexusflow.bev.config import BEVModelConfig, ResNetDCNConfig
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig, NYUv2SourceConfig
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.dense.config import DenseModelConfig
from nexusflow.evaluation.config import EvaluationConfig
from nexusflow.methods.config import MethodConfig
from nexusflow.suites.nuscenes.config import TrackerSearchConfig
from nexusflow.training.config import TrainingConfig
from nexusflow.training.features_config import FeaturesConfig, NuScenesFeaturesConfig

__all__ = [
    "RESOLVED_RUNS",
    "MainConfig",
    "MethodHolder",
    "NYUv2Run",
    "NYUv2ScaleConfig",
    "NuScenesRun",
    "NuScenesScaleConfig",
    "ResolvedRun",
    "RunConfig",
    "ScaleConfig",
    "SuiteScaleConfig",
]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MainConfig(_Section):
    """config/config.yaml: what `results/table2.csv` means."""

    scale: Name = Field(description="scale whose tables and figures are published directly under results/")
    seeds: tuple[int, ...] = Field(min_length=1, description="training seeds of every run of a table")


class SuiteScaleConfig(_Section):
    """What every suite has at one scale."""

    default_world: ClassVar[str]
    default_partition: ClassVar[str]

    features: FeaturesConfig
    worlds: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="further worlds: what differs from `world`"
    )
    budgets: dict[Name, TrainingConfig] = Field(description="training budgets by name")
    methods: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="settings of a method at this scale, under what a run says itself"
    )


class NuScenesScaleConfig(SuiteScaleConfig):
    """The nuScenes suite at one scale."""

    default_world = "street"
    default_partition = "s_geo"

    version: str = Field(default="v1.0-trainval", description="folder of the tables in the data root")
    world: StreetWorldConfig | NuScenesSourceConfig = Field(
        description="the generated world that runs use unless they name another, or where the recorded data "
        "set comes from"
    )
    reader: NuScenesReaderConfig = Field(description="image size and map canvas")
    model: BEVModelConfig = Field(description="every size of the model")
    tracker: TrackerSearchConfig = Field(
        description="birth and survival thresholds, chosen on training scenes"
    )
    evaluation: EvaluationConfig = Field(description="evaluation range")
    features: NuScenesFeaturesConfig = Field(
        default=NuScenesFeaturesConfig(), description="which frames the analyses of features look at"
    )


class NYUv2ScaleConfig(SuiteScaleConfig):
    """The NYUv2 suite at one scale."""

    default_world = "rooms"
    default_partition = "clusters_sdn"

    world: RoomsWorldConfig | NYUv2SourceConfig = Field(
        description="the generated rooms, or where the recorded data set comes from"
    )
    reader: NYUv2ReaderConfig = Field(description="image size")
    model: DenseModelConfig = Field(description="every size of the networks")
    partition_seed: int = Field(default=0, ge=0, description="seed of the clusters and of random protocols")
    features: FeaturesConfig = Field(
        default=FeaturesConfig(), description="which images the analyses of features look at"
    )
    cost_rounds: int = Field(default=5, gt=0, description="rounds of the cost measurement (Table 5)")
    cost_steps: int = Field(default=4, gt=0, description="training steps per method and round")


class ScaleConfig(_Section):
    """config/scales/<scale>.yaml."""

    description: str = Field(description="one line printed above every table of this scale")
    analysis: AnalysisConfig = Field(
        default=AnalysisConfig(), description="numbers of draws of the analyses of features"
    )
    nuscenes: NuScenesScaleConfig | None = Field(default=None, description="the tracking and map suite")
    nyuv2: NYUv2ScaleConfig | None = Field(
        default=None, description="the suite of segmentation, depth and surface normals"
    )


class RunConfig(_Section):
    """A row of config/experiments.yaml."""

    method: dict[str, Any] | None = Field(
        default=None, description="method section with its `name`; empty for a run that is only declared"
    )
    partition: Name | None = Field(
        default=None, description="which labels training sees (default: s_geo, or clusters_sdn on NYUv2)"
    )
    budget: Name = Field(default="pretrain", description="training budget of the scale")
    init: Name | None = Field(
        default=None, description="run whose checkpoint of the same seed a phase-2 run starts from"
    )
    world: Name | None = Field(
        default=None, description="one of the scale's further worlds (default: `street`, or `rooms` on NYUv2)"
    )
    training: dict[str, Any] = Field(default_factory=dict, description="what differs from the budget")
    model: dict[str, Any] = Field(default_factory=dict, description="what differs from the scale's model")
    weights: Name | None = Field(
        default=None,
        description="NYUv2: run whose weights of the same seed predict; the row itself is not trained",
    )
    reestimate_normalisation: Literal["per_domain", "all"] | None = Field(
        default=None,
        description="statistics of BatchNorm are taken anew from training images before prediction: "
        "per_domain, those of the same cluster; all, all of them; needs `weights`",
    )
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
    partition: str
    init: Name | None
    method: MethodConfig
    training: TrainingConfig

    @property
    def weights_files(self) -> tuple[str, ...]:
        """Files of other projects that a run of phase 1 takes weights from."""
        return ()


class MethodHolder(_Section):
    """A method's section on its own."""

    method: MethodConfig


class NuScenesRun(ResolvedRun):
    """A run of tracking and map."""

    partition: Literal["full", "s_geo", "r_geo", "random"]
    model: BEVModelConfig

    @property
    def weights_files(self) -> tuple[str, ...]:
        """The backbone's, unless the run goes on from another run's."""
        backbone = self.model.backbone
        file = backbone.weights.file if isinstance(backbone, ResNetDCNConfig) else None
        return (file,) if file and self.init is None else ()


class NYUv2Run(ResolvedRun):
    """A run of segmentation, depth and normals."""

    partition: Literal[
        "full",
        "clusters_sdn",
        "clusters_snd",
        "clusters_dsn",
        "clusters_dns",
        "clusters_nsd",
        "clusters_nds",
        "onelabel",
        "randomlabels",
    ]
    model: DenseModelConfig


RESOLVED_RUNS: dict[str, type[NuScenesRun] | type[NYUv2Run]] = {"nuscenes": NuScenesRun, "nyuv2": NYUv2Run}
