"""Configuration of the alignment: aggregators, flows, loss."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from nexusflow.methods.section import MethodSection, Section

__all__ = [
    "AggregatorConfig",
    "AttentionAggregatorConfig",
    "DeformableAggregatorConfig",
    "MLPAggregatorConfig",
    "NexusFlowConfig",
]


class _Aggregator(Section):
    final_norm: bool = Field(
        default=True,
        description="End with LayerNorm, which keeps the embeddings from shrinking together; "
        "the paper does not say.",
    )


class MLPAggregatorConfig(_Aggregator):
    """Weighted mean of the tokens, then an MLP."""

    type: Literal["mlp"] = Field(default="mlp", description="Aggregator g of every task.")
    layers: int = Field(default=3, ge=1, description="Linear layers (Table B.1 of the paper: 3 is best).")


class _QueryAggregator(_Aggregator):
    heads: int = Field(default=8, ge=1, description="Attention heads; must divide dim.")
    hidden: int = Field(default=512, ge=1, description="Hidden units of the feed-forward networks.")


class AttentionAggregatorConfig(_QueryAggregator):
    """Learned queries that read a set of tokens."""

    type: Literal["attention"] = Field(default="attention", description="Aggregator g of every task.")
    layers: int = Field(default=1, ge=1, description="Attention layers.")
    queries: int = Field(default=1, ge=1, description="Learned queries, averaged at the end.")


class DeformableAggregatorConfig(_QueryAggregator):
    """Learned queries that read the plane at learned places."""

    type: Literal["deformable"] = Field(default="deformable", description="Aggregator g of every task.")
    layers: int = Field(default=2, ge=1, description="Attention layers.")
    queries: int = Field(default=16, ge=1, description="Learned queries, averaged at the end.")
    points: int = Field(default=4, ge=1, description="Sampled points per head and query.")
    cells: int = Field(
        default=16, ge=1, description="Cells per side of the map onto which a set is splatted."
    )


AggregatorConfig = Annotated[
    MLPAggregatorConfig | AttentionAggregatorConfig | DeformableAggregatorConfig,
    Field(discriminator="type"),
]


class NexusFlowConfig(MethodSection):
    """Alignment of the tasks' branches through invertible flows."""

    module: ClassVar[str] = "nexusflow.methods.nexusflow"

    name: Literal["nexusflow"] = Field(default="nexusflow", description="Method.")
    lambda_align: float = Field(
        default=1.0, ge=0, description="Weight lambda of the alignment loss (Eq. 5 of the paper)."
    )
    dim: int = Field(default=256, ge=2, description="Dimensions of the embeddings h' and z.")
    depth: int = Field(
        default=6, ge=0, description="Coupling layers per flow; 0 aligns h' without flow (w/o inv)."
    )
    hidden: int = Field(default=256, ge=1, description="Hidden units of the networks s and t.")
    clamp: float = Field(default=1.0, gt=0, description="Bound of the absolute log-scale of a coupling.")
    additive: bool = Field(default=False, description="Couplings only shift (NICE), volume is preserved.")
    fused: bool = Field(
        default=True, description="One network with two outputs computes s and t; else two networks."
    )
    permutation_seed: int | None = Field(
        default=None,
        ge=0,
        description="Seed of fixed permutations before every second coupling, equal for all tasks; "
        "null: none.",
    )
    aggregator: AggregatorConfig = Field(
        default=MLPAggregatorConfig(), description="How a branch is compressed into one vector."
    )
    loss: Literal["center", "pair"] = Field(
        default="center", description="Distance to the tasks' centre (Eq. 4) or of all pairs (Eq. 3)."
    )
    reduction: Literal["sum", "mean"] = Field(
        default="sum", description="Sum or mean over the dimensions; the batch is averaged."
    )
    output: Literal["full", "second_half"] = Field(
        default="full", description="Align all of z, or its second half only (Eq. 1 read literally)."
    )
    detach: bool = Field(
        default=False,
        description="Control: hide the loss from the branches, which must give the baseline.",
    )
    normalize: Literal["none", "layer", "unit"] = Field(
        default="none", description="Extension, not in the paper: normalise z before the alignment loss."
    )
    variance_floor: float = Field(
        default=0.0,
        ge=0,
        description="Extension, not in the paper: standard deviation over the batch below which a dimension "
        "of z is penalised; 0: off.",
    )
    variance_weight: float = Field(default=1.0, ge=0, description="Weight of the variance penalty.")
    covariance_weight: float = Field(
        default=0.0,
        ge=0,
        description="Extension, not in the paper: weight of the penalty on correlated dimensions; 0: off.",
    )
    monitor_window: int = Field(
        default=256, ge=2, description="Last training samples from which the collapse monitors report."
    )

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> "NexusFlowConfig":
        if isinstance(self.aggregator, _QueryAggregator) and self.dim % self.aggregator.heads:
            raise ValueError(f"aggregator.heads ({self.aggregator.heads}) must divide dim ({self.dim})")
        return self
