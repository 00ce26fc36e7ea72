"""Sections of config/paper.yaml whose figures draw analyses of features."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from nexusflow.paper.config_base import RunLabel, Section, refuse_repeats

__all__ = ["LemmaConfig", "LemmaRunConfig", "PictureFigureConfig", "SpectrumFigureConfig"]

_Features = Literal["h", "embedding", "latent"]
_FEATURES = "h = pooled inside the task heads, embedding = h′, latent = z"


class _AnalysedRuns(Section):
    title: str = Field(description="Title above the figure.")
    suite: Literal["nuscenes", "nyuv2"] = Field("nuscenes", description="Suite that the runs belong to.")
    seed: int = Field(0, ge=0, description="Training seed of all runs.")
    runs: tuple[RunLabel, ...] = Field(min_length=1, description="Runs in order.")
    features: tuple[_Features, ...] = Field(min_length=1, description=f"Features in order: {_FEATURES}.")

    @model_validator(mode="after")
    def _check_repeats(self) -> Self:
        refuse_repeats([label.run for label in self.runs], "run")
        refuse_repeats(self.features, "features")
        return self


class PictureFigureConfig(_AnalysedRuns):
    """t-SNE pictures: a column per run, a row per kind of features."""


class SpectrumFigureConfig(_AnalysedRuns):
    """Scree plots: a curve per run, a panel per kind of features."""


class LemmaRunConfig(RunLabel):
    """A run whose own surrogates Lemma 1 is about."""

    suite: Literal["nuscenes", "nyuv2"] = Field(description="Suite that the run belongs to.")


class LemmaConfig(Section):
    """Lemma 1 of several runs, a panel per pair of tasks."""

    title: str = Field(description="Title above figure and table.")
    seed: int = Field(0, ge=0, description="Training seed of all runs.")
    runs: tuple[LemmaRunConfig, ...] = Field(min_length=1, description="Runs with surrogates, in order.")

    @model_validator(mode="after")
    def _check_repeats(self) -> Self:
        refuse_repeats([f"{label.suite}/{label.run}" for label in self.runs], "run")
        return self
