"""Trains one run and publishes its weights, log and provenance."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nexusflow.core.files import read_json, sha256_json, write_json
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.section import MethodSection
from nexusflow.suites.base import Suite
from nexusflow.training.checkpoint import load_weights, save_weights
from nexusflow.training.claim import claimed
from nexusflow.training.config import TrainingConfig
from nexusflow.training.determinism import nondeterministic_operations, resolve_precision
from nexusflow.training.joining import join_ranks, started_by
from nexusflow.training.loop import FitResult, fit
from nexusflow.training.ranks import Ranks
from nexusflow.training.resume import ResumeFiles

__all__ = ["RunIdentity", "best_validation", "train_run"]

_RECORDED_PACKAGES = ("torch", "numpy", "nuscenes-devkit", "lightning-fabric")


@dataclass(frozen=True)
class RunIdentity:
    """What names a run and everything it depends on.

    Attributes:
        scale: scale of the pipeline.
        suite: suite name.
        run: row of config/experiments.yaml.
        seed: the run's seed.
        code: fingerprint of the modules that training imports.
        settings: the configuration the run reads, as plain data.
        data: hash of the data the run reads.
    """

    scale: str
    suite: str
    run: str
    seed: int
    code: str
    settings: dict[str, Any]
    data: str

    @property
    def fingerprint(self) -> str:
        """Hash of all of it; a resume checkpoint of another fingerprint is not used."""
        return sha256_json(vars(self))


def best_validation(
    rows: Sequence[Mapping[str, float]], directions: Mapping[str, int]
) -> dict[str, float] | None:
    """Find the step with the best validation scores: the largest mean relative gain over the last step.

    It is selected on the split that it is reported on, so it is optimistic and never the main number.

    Args:
        rows: rows of the training log.
        directions: score → +1 where larger is better, -1 where smaller is better.

    Returns:
        The step and its scores; None if the run was not validated.

    Source: the selection of MTAN and MTPSL, which weigh gains against single-task references.
    """
    names = [f"validation/{name}" for name in directions]
    scored = [row for row in rows if names and all(name in row for name in names)]
    if not scored:
        return None
    last = scored[-1]

    def gain(row: Mapping[str, float]) -> float:
        parts = zip(names, directions.values(), strict=True)
        return sum(sign * (row[name] - last[name]) / max(abs(last[name]), 1e-9) for name, sign in parts)

    best = max(scored, key=gain)
    return {"step": best["step"]} | {name: best[f"validation/{name}"] for name in directions}


def train_run(
    identity: RunIdentity,
    suite: Suite,
    method_config: MethodSection,
    training: TrainingConfig,
    output: Path,
    initial_weights: Path | None = None,
) -> None:
    """Train one run and write `model.safetensors`, `method.safetensors`, `log.csv` and `provenance.json`.

    Args:
        identity: name and dependencies of the run.
        suite: data, model and task losses.
        method_config: the method's section.
        training: the budget.
        output: the run's folder.
        initial_weights: checkpoint of the phase-1 run that a phase-2 run starts from.

    Raises:
        UserError: if the checkpoint does not fit or training diverges.
    """
    resume = ResumeFiles(output / "work", identity.fingerprint)
    started = started_by(os.environ)
    first = started is None or started.rank == 0
    with claimed(resume.folder) if first else nullcontext(False) as waited:
        ranks = join_ranks(training, resolve_precision(training.precision))
        if not ranks.share(int(waited and _is_published(output, identity))):
            _train_and_publish(
                identity, suite, method_config, training, output, initial_weights, resume, ranks
            )
        ranks.leave()
        if first:
            resume.remove()


def _is_published(output: Path, identity: RunIdentity) -> bool:
    """Whether this very run is finished; its provenance is written last."""
    names = ("model.safetensors", "method.safetensors", "log.csv", "provenance.json")
    if not all((output / name).exists() for name in names):
        return False
    return read_json(output / "provenance.json").get("fingerprint") == identity.fingerprint


def _train_and_publish(
    identity: RunIdentity,
    suite: Suite,
    method_config: MethodSection,
    training: TrainingConfig,
    output: Path,
    initial_weights: Path | None,
    resume: ResumeFiles,
    ranks: Ranks,
) -> None:
    """Train; the first rank writes everything, the provenance last."""
    if ranks.first:
        _remove_leftovers(output)
    header = {"run": identity.run, "seed": identity.seed, "suite": identity.suite, "scale": identity.scale}
    header["architecture"] = suite.architecture
    started_from = load_weights(initial_weights, suite.model, suite.architecture) if initial_weights else None
    context = BuildContext(suite.tap_channels, identity.seed, suite.canvas_spec, identity.suite)
    method = build_method(method_config, context)
    title = f"{identity.run}, seed {identity.seed}"
    with nondeterministic_operations() as operations:
        result = fit(suite, method, training, identity.seed, resume, title, ranks)
    if not ranks.first:
        return
    save_weights(output / "model.safetensors", result.model, header)
    # The method's own networks, for analyses; inference does without them.
    save_weights(output / "method.safetensors", method, header | {"method": method.name})
    result.log.write(output / "log.csv")
    record = _provenance(identity, started_from, training, result) | {"not_deterministic": operations}
    record["initialisation"] = suite.initialisation or _inherited(initial_weights)
    best = best_validation(result.log.rows, suite.score_directions)
    write_json(output / "provenance.json", record | ({"best_validation": best} if best else {}))


def _inherited(initial_weights: Path | None) -> dict[str, Any]:
    """What a run of phase 2 says of its first weights: what its run of phase 1 said."""
    start = initial_weights.with_name("provenance.json") if initial_weights else None
    drawn = {"source": "none"}
    return dict(read_json(start).get("initialisation", drawn)) if start and start.exists() else drawn


def _remove_leftovers(output: Path) -> None:
    """Remove half-written files of an attempt that was killed while it published."""
    for stem in ("model", "method", "log", "provenance"):
        for path in output.glob(f".{stem}.*"):
            path.unlink(missing_ok=True)


def _provenance(
    identity: RunIdentity, started_from: dict[str, Any] | None, training: TrainingConfig, result: FitResult
) -> dict[str, Any]:
    return {
        **vars(identity),
        "fingerprint": identity.fingerprint,
        "started_from": started_from,
        "precision": result.precision,
        **({"ranks": result.ranks} if result.ranks > 1 else {}),
        "steps": training.steps,
        "train_seconds": round(result.seconds - result.validation_seconds, 2),
        "validation_seconds": round(result.validation_seconds, 2),
        "data_seconds": round(result.data_seconds, 2),
        "peak_memory_mib": round(result.peak_memory_mib, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": platform.machine(),
            "device": f"gpu: {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "cpu",
            "system": platform.system(),
            "threads": torch.get_num_threads(),
        },
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in _RECORDED_PACKAGES},
    }
