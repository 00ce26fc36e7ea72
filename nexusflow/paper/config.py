"""Typed content of config/paper.yaml: which runs make which table and figure, and how figures look."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from nexusflow.paper.analysis_config import LemmaConfig, PictureFigureConfig, SpectrumFigureConfig
from nexusflow.paper.config_base import RunLabel, Section, refuse_repeats
from nexusflow.paper.pictures_config import Figure2Config, VideoConfig

__all__ = [
    "AblationTableConfig",
    "CollapseConfig",
    "ComparisonConfig",
    "CostTableConfig",
    "DenseRowConfig",
    "DenseTableConfig",
    "DistanceTableConfig",
    "Figure6Config",
    "Figure7Config",
    "FigureStyleConfig",
    "GapPointConfig",
    "GapSweepConfig",
    "LearningCurvesConfig",
    "MethodTableConfig",
    "PaperConfig",
    "RunLabel",
    "SettingRowConfig",
    "TableConfig",
    "TableRowConfig",
]


class TableRowConfig(Section):
    """One row of a table of methods."""

    id: str = Field(pattern=r"^[a-z0-9_]+$", description="Stable row identifier, used in the CSV.")
    label: str = Field(description="Row label.")
    run: str = Field(description="Run name, as in config/experiments.yaml.")
    suite: Literal["nuscenes", "nyuv2"] = Field("nuscenes", description="Suite that the run belongs to.")
    paper: str | None = Field(
        None, description="Row label in the paper; null for rows that it does not have."
    )
    note: str = Field("", description="Footnote of the row.")
    seeds: tuple[int, ...] | None = Field(
        None, description="Seeds of this row if not the table's, e.g. one for a reference without training."
    )


class TableConfig(Section):
    """What every table with one run per row has."""

    title: str = Field(description="Title above the table.")
    rows: tuple[TableRowConfig, ...] = Field(
        min_length=1, description="Rows in order; the paper's come first."
    )

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        refuse_repeats([row.id for row in self.rows], "row id")
        in_paper = [row.paper is not None for row in self.rows]
        if in_paper != sorted(in_paper, reverse=True):
            raise ValueError("rows of the paper must come before rows without a `paper` key")
        return self


class MethodTableConfig(TableConfig):
    """A table with one method per row, on nuScenes."""

    paper_table: Literal["table2", "table3", "tableA1", "tableA2"] = Field(
        description="Table of the paper whose values stand beside ours."
    )


class DistanceTableConfig(TableConfig):
    """Distances between tasks; `paper` keys name columns of the paper's table."""

    paper_table: Literal["table1"] = Field(description="Table of the paper whose values stand beside ours.")


class DenseRowConfig(TableRowConfig):
    """One row of a table of methods on NYUv2."""

    suite: Literal["nyuv2"] = Field("nyuv2", description="Suite that the run belongs to.")


class DenseTableConfig(TableConfig):
    """A table with one method per row, on NYUv2."""

    paper_table: Literal["table4"] = Field(description="Table of the paper whose values stand beside ours.")
    rows: tuple[DenseRowConfig, ...] = Field(
        min_length=1, description="Rows in order; the paper's come first."
    )


class SettingRowConfig(DenseRowConfig):
    """One setting of an ablation; a column of the printed table."""

    value: int | None = Field(
        None, ge=0, description="The setting, on the figure's axis; null for a run drawn as a level line."
    )


class AblationTableConfig(TableConfig):
    """A table with one metric per row and one setting per column, and its figure."""

    paper_table: Literal["tableB1", "tableB2"] = Field(
        description="Table of the paper whose values stand beside ours; `paper` keys name its columns."
    )
    axis: str = Field(description="What is set, as label of the figure's axis.")
    rows: tuple[SettingRowConfig, ...] = Field(
        min_length=1, description="Settings in order; the paper's come first."
    )

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        refuse_repeats([str(row.value) for row in self.rows if row.value is not None], "value")
        return self


class CostTableConfig(TableConfig):
    """Training time and memory."""

    paper_table: Literal["table5"] = Field(description="Table of the paper whose values stand beside ours.")
    reference: str = Field(description="Row id that the ratios refer to.")
    rows: tuple[DenseRowConfig, ...] = Field(
        min_length=1, description="Rows in order; the paper's come first."
    )

    @model_validator(mode="after")
    def _check_reference(self) -> Self:
        if self.reference not in {row.id for row in self.rows}:
            raise ValueError(f"reference: no row has the id {self.reference}")
        return self


class ComparisonConfig(Section):
    """Paired differences over seeds."""

    treatments: tuple[RunLabel, ...] = Field(min_length=1, description="Runs whose effect is asked for.")
    references: tuple[RunLabel, ...] = Field(min_length=1, description="Runs they are compared with.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Level of the interval of the mean difference.")


class GapPointConfig(Section):
    """Two runs at one setting of the world's domain gap."""

    gap: float = Field(ge=0, le=1, description="Domain gap of the embedded world, 0 = none, 1 = largest.")
    full: str = Field(description="Run with all labels.")
    baseline: str = Field(description="Run with the labels of the partition only.")


class GapSweepConfig(Section):
    """Full supervision and baseline against the domain gap."""

    points: tuple[GapPointConfig, ...] = Field(min_length=1, description="Settings of the domain gap.")

    @model_validator(mode="after")
    def _check_points(self) -> GapSweepConfig:
        refuse_repeats([str(point.gap) for point in self.points], "gap")
        return self


class CollapseConfig(Section):
    """Collapse monitors over training."""

    runs: tuple[RunLabel, ...] = Field(min_length=1, description="Runs with an alignment loss.")


class LearningCurvesConfig(Section):
    """Training losses over steps."""

    title: str = Field("Training losses", description="Title above the figure.")
    suite: Literal["nuscenes", "nyuv2"] = Field("nuscenes", description="Suite that the runs belong to.")
    runs: tuple[RunLabel, ...] = Field(min_length=1, description="Runs to show.")
    panels: dict[str, str] = Field(
        default={
            "Total loss": "loss/total",
            "Tracking loss": "loss/track/*",
            "Map loss": "loss/map/*",
            "Alignment loss (weighted)": "loss/nexusflow/align",
        },
        description="Title → glob of columns of log.csv, which are added up; empty panels are left out.",
    )
    smoothing: int = Field(5, ge=1, description="Window of the running mean, in rows of log.csv.")


class Figure6Config(Section):
    """The qualitative figure."""

    baseline: RunLabel = Field(description="Run in the upper strip.")
    ours: RunLabel = Field(description="Run in the middle strip.")
    seed: int = Field(0, ge=0, description="Training seed of both runs.")
    scene: str | None = Field(
        None, description="Validation scene; null = chosen without looking at predictions."
    )
    key_frame: int | None = Field(None, ge=0, description="Key frame in the scene; null = chosen likewise.")
    score_threshold: float = Field(0.3, ge=0, le=1, description="Boxes below this score are not drawn.")
    map_threshold: float = Field(0.5, ge=0, le=1, description="Map probability above which a cell is drawn.")
    tail_frames: int = Field(6, ge=0, description="Length of the track tails, in key frames.")
    match_m: float = Field(
        2.0, gt=0, description="Two boxes nearer than this are the same object, in metres."
    )
    max_rings: int = Field(8, ge=0, description="Largest number of ringed differences.")
    show_truth: bool = Field(True, description="Whether the truth gets a strip of its own.")


class Figure7Config(Section):
    """The qualitative figure of the dense tasks."""

    runs: tuple[RunLabel, ...] = Field(
        min_length=1, description="Runs in order, one row each below the truth."
    )
    seed: int = Field(0, ge=0, description="Training seed of all runs.")
    image: int | None = Field(
        None, ge=0, description="Place in the validation split; null = chosen without looking at predictions."
    )

    @model_validator(mode="after")
    def _check_runs(self) -> Self:
        refuse_repeats([label.run for label in self.runs], "run")
        return self


class FigureStyleConfig(Section):
    """Look shared by all figures."""

    dpi: int = Field(200, ge=50, le=600, description="Dots per inch of the PNG.")
    width_in: float = Field(
        12.0, gt=0, description="Width of the figures, in inches; letters keep their size."
    )


class PaperConfig(Section):
    """Everything that makes the tables and figures."""

    style: FigureStyleConfig = Field(
        default=FigureStyleConfig.model_validate({}), description="Look of the figures."
    )
    table1: DistanceTableConfig = Field(description="Table 1.")
    table2: MethodTableConfig = Field(description="Table 2.")
    table3: MethodTableConfig = Field(description="Table 3.")
    tableA1: MethodTableConfig = Field(description="Table A.1.")
    tableA2: MethodTableConfig = Field(description="Table A.2.")
    alignment_settings: MethodTableConfig = Field(
        description="Ours with other weights and with half of the latent; not in the paper."
    )
    alignment_options: MethodTableConfig = Field(
        description="Ours with what prevents a collapse, and without gradient; not in the paper."
    )
    compute_matched: MethodTableConfig = Field(
        description="Every method with as many training steps as the two stages of ours; not in the paper."
    )
    weights_nuscenes: MethodTableConfig = Field(
        description="MTPSL and JTR with other weights of their losses; not in the paper."
    )
    weights_nyuv2: DenseTableConfig = Field(
        description="MTPSL and JTR with other weights of their losses; not in the paper."
    )
    matching: MethodTableConfig = Field(
        description="Equal distributions of features in both cities; not in the paper."
    )
    taps_nuscenes: MethodTableConfig = Field(description="Other features aligned; not in the paper.")
    taps_nyuv2: DenseTableConfig = Field(description="Other features aligned; not in the paper.")
    normalisation_nyuv2: DenseTableConfig = Field(
        description="Statistics of BatchNorm taken anew; not in the paper."
    )
    comparison: ComparisonConfig = Field(description="What the alignment changed.")
    gap_sweep: GapSweepConfig = Field(description="How much the domain gap costs.")
    collapse: CollapseConfig = Field(description="Does the alignment collapse?")
    learning_curves: LearningCurvesConfig = Field(description="Training losses.")
    rivals_nuscenes: LearningCurvesConfig = Field(description="Losses and latents of MTPSL and JTR.")
    rivals_nyuv2: LearningCurvesConfig = Field(description="Losses and latents of MTPSL and JTR, NYUv2.")
    figure6: Figure6Config = Field(description="Qualitative comparison.")
    table4: DenseTableConfig = Field(description="Table 4.")
    table5: CostTableConfig = Field(description="Table 5.")
    tableB1: AblationTableConfig = Field(description="Table B.1.")
    tableB2: AblationTableConfig = Field(description="Table B.2.")
    figure7: Figure7Config = Field(description="Qualitative comparison of the dense tasks.")
    figure2: Figure2Config = Field(description="The pipeline, drawn from the built models.")
    video: VideoConfig = Field(description="Baseline and ours over one validation scene.")
    figure3: PictureFigureConfig = Field(description="Pictures of the coupling outputs, nuScenes.")
    figure3_v1: PictureFigureConfig = Field(description="The same as in version 1 of the paper: two rows.")
    figure4: PictureFigureConfig = Field(description="Pictures of the coupling outputs, NYUv2.")
    figure5: SpectrumFigureConfig = Field(description="Spectra of latents and embeddings.")
    lemma: LemmaConfig = Field(description="Lemma 1, sample by sample; a table and a figure.")
