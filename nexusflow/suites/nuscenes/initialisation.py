"""What the weights of a run of phase 1 are before its first step."""

from __future__ import annotations

import sys

from nexusflow.bev.config import BEVModelConfig, ResNetDCNConfig
from nexusflow.suites.nuscenes.suite import NuScenesSuite

__all__ = ["initialise"]


def initialise(suite: NuScenesSuite, config: BEVModelConfig) -> None:
    """Load the weights that the backbone's section names, and note them for the provenance.

    Args:
        suite: its network has drawn weights.
        config: the model section of a scale.

    Raises:
        UserError: if the file cannot be read or does not fit.
    """
    section = config.backbone
    if not isinstance(section, ResNetDCNConfig) or section.weights.source == "none":
        return
    from nexusflow.bev.resnet.pretrained import load_pretrained

    suite.initialisation = load_pretrained(suite.network.backbone, section.weights)
    if "warning" in suite.initialisation:
        print(f"{section.weights.file}: {suite.initialisation['warning']}.", file=sys.stderr, flush=True)
