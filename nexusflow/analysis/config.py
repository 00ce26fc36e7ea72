"""Settings of the analyses of features."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AnalysisConfig"]


class AnalysisConfig(BaseModel):
    """How often is drawn, and how finely is looked; the same for every run of a scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, description="seed of subsets, permutations, resamples and pictures")
    subsets: int = Field(default=100, ge=2, description="random subsets over which the MMD is averaged")
    subset_size: int = Field(
        default=500, gt=0, description="points of each sample in a subset; half a domain's frames at most"
    )
    permutations: int = Field(default=1000, gt=0, description="relabellings of the permutation test")
    perplexity: float = Field(default=30.0, gt=0, description="perplexity of t-SNE")
    neighbours: int = Field(default=30, gt=0, description="neighbours of the mixing score")
    folds: int = Field(default=5, gt=1, description="folds of the classifier that tells tasks apart")
    resamples: int = Field(default=100, gt=1, description="bootstrap resamples of a spectrum")
    confidence: float = Field(default=0.9, gt=0, lt=1, description="share of the resamples inside a band")
    jacobians: int = Field(
        default=128, gt=0, description="samples at whose latents the inverse flow's expansion is measured"
    )
