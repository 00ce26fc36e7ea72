"""The part of the configuration that each verb reads; nothing else makes the verb run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.load import Configuration

__all__ = ["paper_section", "section"]


def section(config: Configuration, verb: str, values: Mapping[str, str]) -> str:
    """Collect what a verb reads.

    Args:
        config: the configuration of a scale.
        verb: a verb that works on one suite.
        values: wildcards of the rule, `suite` among them.

    Returns:
        Canonical JSON.
    """
    if verb == "train":
        # Life-cycle thresholds act at test time only.
        run = config.resolve(values["suite"], values["run"])
        content = run.model_dump(mode="json", exclude={"model": {"thresholds"}})
    else:
        content = binding_of(values["suite"]).settings(config, verb, dict(values))
    return json.dumps(content, sort_keys=True)


def paper_section(config: Configuration, output: str) -> str:
    """Collect what the writer of a table or figure reads.

    Args:
        config: the configuration of a scale.
        output: name of the table or figure.

    Returns:
        Canonical JSON.
    """
    part: Any = getattr(config.paper, output)
    content = {"style": config.paper.style.model_dump(mode="json"), output: part.model_dump(mode="json")}
    return json.dumps(content, sort_keys=True)
