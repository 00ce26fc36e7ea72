"""The part of the configuration that each verb reads; nothing else makes the verb run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from nexusflow.config.load import Configuration

__all__ = ["section"]

Values = Mapping[str, str]


def _data(config: Configuration, values: Values) -> dict[str, Any]:
    return config.world(values["world"]).model_dump(mode="json")


def _cache(config: Configuration, values: Values) -> dict[str, Any]:
    suite = config.scale.nuscenes
    return {"version": suite.version, "reader": suite.reader.model_dump(mode="json")}


def _partition(config: Configuration, values: Values) -> dict[str, Any]:
    return {"kind": values["kind"]}


def _train(config: Configuration, values: Values) -> dict[str, Any]:
    # Life-cycle thresholds act at test time only.
    run = config.resolve(values["suite"], values["run"])
    return run.model_dump(mode="json", exclude={"model": {"thresholds"}})


def _predict(config: Configuration, values: Values) -> dict[str, Any]:
    run = config.resolve(values["suite"], values["run"])
    return {
        "model": run.model.model_dump(mode="json"),
        "tracker": config.scale.nuscenes.tracker.model_dump(mode="json"),
        "threads": run.training.threads,
        "precision": run.training.precision,
    }


def _evaluate(config: Configuration, values: Values) -> dict[str, Any]:
    suite = config.scale.nuscenes
    return {"version": suite.version, "evaluation": suite.evaluation.model_dump(mode="json")}


def _paper(config: Configuration, values: Values) -> dict[str, Any]:
    name = values["output"]
    part = getattr(config.paper, name)
    return {"style": config.paper.style.model_dump(mode="json"), name: part.model_dump(mode="json")}


_SECTIONS: dict[str, Callable[[Configuration, Values], dict[str, Any]]] = {
    "data": _data,
    "cache": _cache,
    "partition": _partition,
    "train": _train,
    "predict": _predict,
    "evaluate": _evaluate,
    "reference": _evaluate,
    "qualitative": lambda config, values: _paper(config, {"output": "figure6"}),
}


def section(config: Configuration, verb: str, values: Values) -> str:
    """Collect what a verb reads.

    Args:
        config: the configuration of a scale.
        verb: a verb of the command line, or the name of a table or figure.
        values: wildcards of the rule.

    Returns:
        Canonical JSON.
    """
    collect = _SECTIONS.get(verb)
    content = collect(config, values) if collect else _paper(config, {"output": verb})
    return json.dumps(content, sort_keys=True)
