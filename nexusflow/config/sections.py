"""The part of the configuration that each verb reads; nothing else makes the verb run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.load import Configuration
from nexusflow.config.paper_runs import runs_behind

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
        content = _training(config, values["suite"], values["run"])
    elif verb == "cost":
        suite = config.suite(values["suite"])
        content = suite.model_dump(mode="json", include={"cost_rounds", "cost_steps"})
        for item in runs_behind(config.paper, "table5"):
            if item.suite == values["suite"] and not config.row(item.suite, item.run).is_declared_only:
                content[item.run] = _training(config, item.suite, item.run)
    else:
        content = binding_of(values["suite"]).settings(config, verb, dict(values))
    return json.dumps(content, sort_keys=True)


def _training(config: Configuration, suite: str, run: str) -> dict[str, Any]:
    """What a run's training reads."""
    # Life-cycle thresholds act at test time only; how often progress is saved changes no result.
    left_out = {"model": {"thresholds": True}, "training": {"checkpoint_every": True}}
    return config.resolve(suite, run).model_dump(mode="json", exclude=left_out)


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
