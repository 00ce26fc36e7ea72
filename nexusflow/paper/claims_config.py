"""Typed content of claims.yaml: every claim, how it is tested, the tolerance stated beforehand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nexusflow.core.yaml_files import read_yaml

__all__ = [
    "CLAIMS_PATH",
    "AgreeClaim",
    "ArgumentClaim",
    "BoundClaim",
    "Claim",
    "ClaimsConfig",
    "EqualClaim",
    "FeaturesClaim",
    "OrderClaim",
    "PrintedRow",
    "StatedNumber",
    "StaysClaim",
    "UntestedClaim",
    "load_claims",
]

CLAIMS_PATH = Path(__file__).with_name("claims.yaml")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Claim(_Section):
    """What every claim has."""

    id: str = Field(pattern=r"^[a-z0-9_]+$", description="Stable identifier.")
    where: str = Field(min_length=1, description="Place in the paper.")
    statement: str = Field(min_length=1, description="The claim in one sentence.")
    printed: tuple[str, ...] = Field((), description="Numbers as the running text prints them.")
    note: str = Field("", description="What else there is to know.")


class StatedNumber(_Section):
    """A number of the running text that the tables must bear out."""

    value: str = Field(pattern=r"^\d+(\.\d+)?$", description="The number, in the metric's unit.")
    is_: Literal["difference", "ratio"] = Field(
        "difference", alias="as", description="Better minus worse, or first over second."
    )
    rule: Literal["equals", "at_least"] = Field(
        "equals", description="Whether the tables must round to it or reach it."
    )


class OrderClaim(_Claim):
    """The first label is better than each of the others."""

    test: Literal["order"]
    table: str = Field(description="Table of the paper.")
    block: str | None = Field(None, description="Printed row where a table's columns are the methods.")
    order: tuple[str, ...] = Field(min_length=2, description="Labels, the better one first.")
    chain: bool = Field(False, description="Compare neighbours instead of the first with all others.")
    metrics: tuple[str, ...] = Field(min_length=1, description="Metrics in which the order must hold.")
    effect: Literal["difference", "ratio"] = Field("difference", description="Scale of the paired effect.")
    share: float = Field(
        0.0, ge=0, le=1, description="Share of the printed effect that ours must exceed; 0: the order alone."
    )
    stated: StatedNumber | None = Field(None, description="Number of the text, checked against the tables.")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Better and worse label of every comparison."""
        firsts = self.order[:-1] if self.chain else self.order[:1] * (len(self.order) - 1)
        return list(zip(firsts, self.order[1:], strict=True))


class EqualClaim(_Claim):
    """Two labels are about equal."""

    test: Literal["equal"]
    table: str = Field(description="Table of the paper.")
    block: str | None = Field(None, description="Printed row where a table's columns are the methods.")
    labels: tuple[str, str] = Field(description="The two labels.")
    tolerance: dict[str, float] = Field(
        min_length=1, description="Metric → largest difference, or largest relative difference for a ratio."
    )
    effect: Literal["difference", "ratio"] = Field("difference", description="Scale of the paired effect.")

    @model_validator(mode="after")
    def _check_tolerance(self) -> Self:
        if min(self.tolerance.values()) <= 0:
            raise ValueError("tolerances must be positive")
        return self


class PrintedRow(_Section):
    """One method or setting of a printed table."""

    table: str = Field(description="Table of the paper.")
    label: str = Field(description="Its label there.")


class AgreeClaim(_Claim):
    """Two places of the paper describe one run, so that their numbers must be equal."""

    test: Literal["agree"]
    first: PrintedRow = Field(description="One place.")
    second: PrintedRow = Field(description="The other place.")
    metrics: tuple[str, ...] = Field(min_length=1, description="Metrics printed in both.")


class BoundClaim(_Claim):
    """A printed number lies within the range of its metric."""

    test: Literal["bound"]
    table: str = Field(description="Table of the paper.")
    label: str = Field(description="Method or setting.")
    metric: str = Field(description="Metric with an upper bound.")


class StaysClaim(_Claim):
    """A quantity that training logs does not fall below a share of its first value."""

    test: Literal["stays"]
    table: str = Field(description="Table of the paper that has the run.")
    label: str = Field(description="Method or setting.")
    column: str = Field(description="Glob of columns of log.csv; the smallest ratio of them counts.")
    share: float = Field(gt=0, le=1, description="Share of the first logged value that must remain.")


class ArgumentClaim(_Claim):
    """A statement that contradicts itself by its wording; no number is needed."""

    test: Literal["argument"]
    reason: str = Field(min_length=1, description="Why it cannot be.")


class FeaturesClaim(_Claim):
    """An analysis of features gives the first run a larger value than each of the others."""

    test: Literal["features"]
    suite: Literal["nuscenes", "nyuv2"] = Field(description="Suite of the runs.")
    analysis: Literal["embedding", "spectrum"] = Field(description="Analysis that measures the value.")
    features: Literal["h", "embedding", "latent"] = Field(description="Features.")
    value: Literal["mixing", "effective_rank"] = Field(
        description="Share of another task's points among a point's neighbours; effective rank of all tasks."
    )
    order: dict[str, str] = Field(min_length=2, description="Label → run, the larger value first.")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Labels of every comparison."""
        first, *others = self.order
        return [(first, other) for other in others]


class UntestedClaim(_Claim):
    """A claim that no result file can decide yet."""

    test: Literal["none"]
    reason: str = Field(min_length=1, description="What would be needed.")


Claim = Annotated[
    OrderClaim
    | EqualClaim
    | AgreeClaim
    | BoundClaim
    | StaysClaim
    | FeaturesClaim
    | ArgumentClaim
    | UntestedClaim,
    Field(discriminator="test"),
]


class FurtherRows(_Section):
    """Runs behind a printed table that config/paper.yaml has no section for."""

    table: str = Field(description="Table of the paper.")
    block: str | None = Field(None, description="Printed row where a table's columns are the methods.")
    suite: Literal["nuscenes", "nyuv2"] = Field(description="Suite of the runs.")
    runs: dict[str, str] = Field(min_length=1, description="Label → run.")


class MMDReading(_Section):
    """Which of Table 1's readings the claims about MMD are judged by; the paper does not say which is its."""

    features: Literal["h", "embedding", "latent"] = Field(description="Features.")
    sets: Literal["cross_domain", "same_frames", "domain_gap"] = Field(description="Sets compared.")
    bandwidth: Literal["data", "fixed"] = Field(description="Bandwidth of the kernels.")


class ClaimsConfig(_Section):
    """The ledger's declarations."""

    confidence: float = Field(0.95, gt=0, lt=1, description="Level of every interval.")
    mmd: MMDReading = Field(description="Reading of Table 1 behind the metric MMD.")
    rows: tuple[FurtherRows, ...] = Field((), description="Runs behind tables without a section.")
    claims: tuple[Claim, ...] = Field(min_length=1, description="Claims in the paper's order.")

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        ids = [claim.id for claim in self.claims]
        if repeated := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"claim repeated: {', '.join(repeated)}")
        return self


@cache
def load_claims() -> ClaimsConfig:
    """Read the declarations that come with the package.

    Returns:
        All claims.

    Raises:
        pydantic.ValidationError: if claims.yaml is malformed.
    """
    return ClaimsConfig.model_validate(read_yaml(CLAIMS_PATH))
