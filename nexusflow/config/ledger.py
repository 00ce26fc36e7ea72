"""Which result files the ledger of claims reads: those that are there, so that it trains nothing new."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.paper.claims_config import FeaturesClaim, StaysClaim, load_claims
from nexusflow.paper.claims_values import ClaimFiles, RunKey, runs_of_labels

__all__ = ["claim_files", "claim_paths", "claim_settings"]


def claim_files(
    configuration: Configuration, layout: Layout, seeds: Sequence[int], expected: Collection[str] = ()
) -> ClaimFiles:
    """Find the result files behind the claims.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        seeds: training seeds.
        expected: paths that count as there, since they are being made.

    Returns:
        Metrics of every run that a claim names, and the logs of those whose course is claimed.
    """
    declared = load_claims()
    runs = runs_of_labels(configuration.paper, declared)
    logged = {
        runs[claim.table, None, claim.label] for claim in declared.claims if isinstance(claim, StaysClaim)
    }
    metrics: dict[RunKey, tuple[Path, ...]] = {}
    logs: dict[RunKey, dict[int, Path]] = {}
    resampled: dict[RunKey, dict[int, Path]] = {}
    for suite, run in sorted(set(runs.values())):
        if run == "trivial":
            continue
        paths = [layout.metrics(suite, run, seed) for seed in seeds]
        metrics[suite, run] = tuple(path for path in paths if path.exists() or str(path) in expected)
        further = {seed: layout.resampled(suite, run, seed) for seed in seeds}
        # One job makes both.
        resampled[suite, run] = {
            seed: path
            for seed, path in further.items()
            if path.exists() or str(layout.metrics(suite, run, seed)) in expected
        }
        if (suite, run) in logged:
            found = {seed: layout.checkpoint(suite, run, seed) / "log.csv" for seed in seeds}
            logs[suite, run] = {
                seed: path for seed, path in found.items() if path.exists() or str(path) in expected
            }
    features: dict[tuple[str, str, str], dict[int, Path]] = {
        (claim.analysis, claim.suite, run): _analyses(
            layout, claim.analysis, (claim.suite, run), seeds, expected
        )
        for claim in declared.claims
        if isinstance(claim, FeaturesClaim)
        for run in claim.order.values()
    }
    mmd = {
        key: _analyses(layout, "mmd", key, seeds, expected)
        for (table, _, _), key in runs.items()
        if table == "table1"
    }
    return ClaimFiles(metrics, logs, resampled, mmd, features)


def _analyses(
    layout: Layout, kind: str, key: RunKey, seeds: Sequence[int], expected: Collection[str]
) -> dict[int, Path]:
    """Analyses of a run that are there or are being made."""
    paths = {seed: layout.analysis(kind, *key, seed) for seed in seeds}
    return {seed: path for seed, path in paths.items() if path.exists() or str(path) in expected}


def claim_paths(
    configuration: Configuration, layout: Layout, seeds: Sequence[int], expected: Collection[str] = ()
) -> list[str]:
    """List the same files for the workflow.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        seeds: training seeds.
        expected: paths that count as there, since they are being made.

    Returns:
        Paths.
    """
    files = claim_files(configuration, layout, seeds, expected)
    metrics = [path for paths in files.metrics.values() for path in paths]
    by_seed = [*files.logs.values(), *files.resampled.values(), *files.mmd.values(), *files.features.values()]
    further = [path for paths in by_seed for path in paths.values()]
    return [str(path) for path in (*metrics, *further)]


def claim_settings(configuration: Configuration) -> str:
    """Say which run stands behind which printed row: all that the ledger reads of the configuration.

    Args:
        configuration: configuration of the scale.

    Returns:
        Canonical JSON.
    """
    runs = runs_of_labels(configuration.paper, load_claims())
    return json.dumps(sorted(([*map(str, label), *run] for label, run in runs.items())))
