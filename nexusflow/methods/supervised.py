"""Training by the labels that are there."""

from nexusflow.methods.base import Method

__all__ = ["Supervised"]


class Supervised(Method):
    """Adds nothing: full supervision with the full partition, the baseline with any other.

    Source: rows "Full supervision" and "Baseline" of Table 2 of the paper.
    """

    name = "supervised"
