"""The paper's contribution: surrogate networks that align task branches; needs nothing but PyTorch."""

from nexusflow.alignment.aggregators import AttentionAggregator, DeformableAggregator, MLPAggregator
from nexusflow.alignment.attachment import Attachment, attach
from nexusflow.alignment.coupling import AffineCoupling, CouplingStack
from nexusflow.alignment.losses import (
    center_loss,
    covariance_penalty,
    normalize_embeddings,
    pair_loss,
    variance_penalty,
)
from nexusflow.alignment.module import AlignmentOutput, NexusFlow
from nexusflow.alignment.monitors import (
    CollapseMonitor,
    CollapseWarning,
    collapse_report,
    collapse_signs,
    effective_rank,
)
from nexusflow.alignment.taps import Tap, Tokens, tokens_of

__all__ = [
    "AffineCoupling",
    "AlignmentOutput",
    "Attachment",
    "AttentionAggregator",
    "CollapseMonitor",
    "CollapseWarning",
    "CouplingStack",
    "DeformableAggregator",
    "MLPAggregator",
    "NexusFlow",
    "Tap",
    "Tokens",
    "attach",
    "center_loss",
    "collapse_report",
    "collapse_signs",
    "covariance_penalty",
    "effective_rank",
    "normalize_embeddings",
    "pair_loss",
    "tokens_of",
    "variance_penalty",
]
