"""What a built model is made of: parts, shapes of one sample, numbers of parameters.

Suites and methods describe themselves in these terms; the drawing of the pipeline reads them from a file.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BranchOutline", "ModelOutline", "PartOutline", "PipelineOutline", "SurrogateOutline"]

Shape = tuple[int, ...]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartOutline(_Record):
    """One part of a model."""

    name: str = Field(description="Name of its class, and of what it is of that class if it is not all.")
    parameters: int = Field(ge=0, description="Number of parameters.")
    frozen: int = Field(ge=0, description="Those of them that the run does not train.")
    output: str = Field(description="Name of what it hands on.")
    shape: Shape = Field(description="Its shape for one sample, without the batch.")


class BranchOutline(_Record):
    """One task's branch."""

    task: str = Field(description="Name of the task.")
    head: PartOutline = Field(description="The task's own part; it hands on the tapped features h.")
    predictions: dict[str, Shape] = Field(description="What it predicts → shape for one sample.")


class ModelOutline(_Record):
    """A model, from the input to the predictions."""

    input: str = Field(description="Name of the input.")
    input_shape: Shape = Field(description="Its shape for one sample.")
    trunk: tuple[PartOutline, ...] = Field(min_length=1, description="Shared parts in order.")
    branches: tuple[BranchOutline, ...] = Field(min_length=1, description="Branches by task.")

    @property
    def parameters(self) -> int:
        """Number of parameters of the whole model."""
        return sum(part.parameters for part in (*self.trunk, *(branch.head for branch in self.branches)))


class SurrogateOutline(_Record):
    """One task's surrogate: aggregator and coupling layers."""

    task: str = Field(description="Name of the task.")
    aggregator: str = Field(description="Name of the aggregator's class.")
    aggregator_layers: int = Field(ge=1, description="Its layers.")
    aggregator_parameters: int = Field(ge=0, description="Its number of parameters.")
    dim: int = Field(ge=2, description="Size of the embedding h'.")
    couplings: int = Field(ge=0, description="Number of coupling layers.")
    coupling_parameters: int = Field(ge=0, description="Their number of parameters.")
    latent_dim: int = Field(ge=1, description="Size of the aligned latent z.")


class PipelineOutline(_Record):
    """A suite's model and surrogates, as a run builds them."""

    scale: str = Field(description="Name of the scale.")
    data: str = Field(description="The scale in one line.")
    suite: str = Field(description="Name of the suite.")
    run: str = Field(description="Run whose configuration was built.")
    partition: str = Field(description="Which labels the run sees.")
    starts_from: str | None = Field(description="Run whose weights it starts from (phase 2), if any.")
    model: ModelOutline = Field(description="The model.")
    surrogates: tuple[SurrogateOutline, ...] = Field(min_length=2, description="The surrogates by task.")
    loss: Literal["center", "pair"] = Field(description="Alignment loss.")
    weight: float = Field(ge=0, description="Its weight lambda.")
