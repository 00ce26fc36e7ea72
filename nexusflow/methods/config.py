"""Configuration of the methods; `name` chooses among them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nexusflow.methods.combined_config import CombinedConfig
from nexusflow.methods.jtr_config import JTRConfig
from nexusflow.methods.matching_config import MatchingConfig
from nexusflow.methods.mtpsl_config import MTPSLConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.methods.section import MethodSection

__all__ = ["MethodConfig", "SupervisedConfig"]


class SupervisedConfig(MethodSection):
    """Only the labels that are there: full supervision or baseline, depending on the partition."""

    module: ClassVar[str] = "nexusflow.methods.supervised"

    name: Literal["supervised"] = Field(default="supervised", description="Method.")


MethodConfig = Annotated[
    SupervisedConfig | NexusFlowConfig | MTPSLConfig | JTRConfig | MatchingConfig | CombinedConfig,
    Field(discriminator="name"),
]
