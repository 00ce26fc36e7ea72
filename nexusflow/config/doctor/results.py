"""Results: whether they belong to this code, this configuration and this data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from nexusflow.config.assemble import run_identity
from nexusflow.config.doctor.findings import Finding, act, note, ok
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json

__all__ = ["check_results", "why_stale"]

_WORDS = {"code": "code", "settings": "configuration", "data": "data"}


def why_stale(record: Any, expected: dict[str, Any]) -> list[str]:
    """Compare the provenance of a run with what it would be now.

    Args:
        record: content of provenance.json.
        expected: code, settings and data of the run as it would be trained now.

    Returns:
        What differs, in words; empty if nothing does.
    """
    if not isinstance(record, dict):
        return ["provenance"]
    # As it would come back from a file: tuples are lists there.
    now = json.loads(json.dumps(expected))
    return [word for key, word in _WORDS.items() if record.get(key) != now[key]]


def _check_run(configuration: Configuration, layout: Layout, folder: Path) -> tuple[str, str]:
    """State of a trained run: fresh, stale, unknown or damaged; and why."""
    suite, run, seed = folder.parts[-3], folder.parts[-2], folder.name.removeprefix("seed")
    try:
        resolved = configuration.resolve(suite, run)
    except UserError:
        return "unknown", f"{suite}.{run}"
    try:
        record = read_json(folder / "provenance.json")
        expected = vars(run_identity(configuration, layout, resolved, int(seed)))
    except UserError as error:
        return "damaged", str(error)
    reasons = why_stale(record, expected)
    if reasons:
        return "stale", f"{suite}.{run}, seed {seed}: other {' and '.join(reasons)}"
    predicted = layout.run(suite, run, seed) / "provenance.json"
    try:
        if predicted.exists() and read_json(predicted).get("fingerprint") != record.get("fingerprint"):
            return "stale", f"{suite}.{run}, seed {seed}: its predictions are of an earlier training"
    except (UserError, AttributeError) as error:
        return "damaged", str(error)
    return "fresh", ""


def check_results(configuration: Configuration, layout: Layout) -> list[Finding]:
    """Check every trained run of a scale.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.

    Returns:
        At most one finding per kind of state.
    """
    folders = sorted(path.parent for path in (layout.base / "checkpoints").glob("*/*/seed*/provenance.json"))
    states = [_check_run(configuration, layout, folder) for folder in folders]
    if not states:
        return []
    counts, subject = Counter(state for state, _ in states), f"runs of {layout.scale}"
    first = dict(reversed(states))
    findings = []
    if counts["fresh"]:
        findings.append(ok(subject, f"{counts['fresh']} belong to this code, configuration and data"))
    if counts["stale"]:
        text = f"{counts['stale']} of {len(states)} are stale, the first {first['stale']}"
        advice = "ask snakemake for your table again, which trains them anew, or restore what was changed"
        findings.append(act(subject, text, advice))
    if counts["damaged"]:
        advice = "delete the file and ask snakemake for your table again"
        findings.append(act(subject, f"{counts['damaged']} are damaged: {first['damaged']}", advice))
    if counts["unknown"]:
        text = f"{counts['unknown']} are not in config/experiments.yaml, the first {first['unknown']}"
        findings.append(note(subject, text))
    return findings
