"""Training by the labels that are there."""

from typing import ClassVar

from nexusflow.methods.base import BuildContext, Method
from nexusflow.methods.section import MethodSection

__all__ = ["Supervised", "build"]


class Supervised(Method):
    """Adds nothing: full supervision with the full partition, the baseline with any other.

    Source: rows "Full supervision" and "Baseline" of Table 2 of the paper.
    """

    name = "supervised"
    reads_batches: ClassVar[bool] = False


def build(config: MethodSection, context: BuildContext) -> Supervised:
    """Builds the method; see `nexusflow.methods.build.build_method`."""
    return Supervised()
