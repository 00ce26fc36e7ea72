"""Turns the configuration of a run into the objects that train, predict with and score it."""

from __future__ import annotations

import json
from typing import Any, cast

from nexusflow.config.fingerprint import code_fingerprint
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.schema import ResolvedRun
from nexusflow.config.sections import section
from nexusflow.core.files import read_json, sha256_file, sha256_json, write_json
from nexusflow.data.nuscenes.cache import NuScenesCache

__all__ = [
    "evaluate_from_configuration",
    "predict_from_configuration",
    "qualitative_from_configuration",
    "train_from_configuration",
]


def _open_cache(layout: Layout, run: ResolvedRun) -> NuScenesCache:
    return NuScenesCache.open(layout.cache(run.suite, run.world))


def _partition(layout: Layout, run: ResolvedRun) -> dict[str, dict[str, bool]]:
    from nexusflow.data.partition import read_partition

    return read_partition(layout.partition(run.suite, run.world, run.partition))


def _identity(configuration: Configuration, layout: Layout, run: ResolvedRun, seed: int) -> Any:
    from nexusflow.training.run import RunIdentity

    values = {"suite": run.suite, "run": run.run, "seed": str(seed), "scale": configuration.scale_name}
    index = read_json(layout.cache(run.suite, run.world) / "index.json")
    table = sha256_file(layout.partition(run.suite, run.world, run.partition))
    return RunIdentity(
        scale=configuration.scale_name,
        suite=run.suite,
        run=run.run,
        seed=seed,
        code=code_fingerprint("train"),
        settings=json.loads(section(configuration, "train", values)),
        data=sha256_json([index, table]),
    )


def train_from_configuration(
    configuration: Configuration, layout: Layout, suite: str, run: str, seed: int
) -> None:
    """Train a run of the table of runs.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        suite: suite name.
        run: row name.
        seed: the run's seed.

    Raises:
        UserError: for missing inputs or a configuration that does not fit them.
    """
    resolved = configuration.resolve(suite, run)
    from nexusflow.suites.nuscenes.suite import BatchPlan, NuScenesSuite
    from nexusflow.training.run import train_run

    training = resolved.training
    plan = BatchPlan(training.clip_length, training.batch_size, seed)
    built = NuScenesSuite(_open_cache(layout, resolved), _partition(layout, resolved), resolved.model, plan)
    initial = layout.checkpoint(suite, resolved.init, seed) / "model.safetensors" if resolved.init else None
    identity = _identity(configuration, layout, resolved, seed)
    train_run(identity, built, resolved.method, training, layout.checkpoint(suite, run, seed), initial)


def predict_from_configuration(
    configuration: Configuration, layout: Layout, suite: str, run: str, seed: int
) -> None:
    """Predict the validation split with a trained run.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        suite: suite name.
        run: row name.
        seed: the run's seed.

    Raises:
        UserError: if the run was not trained or was trained with another architecture.
    """
    resolved = configuration.resolve(suite, run)
    from nexusflow.suites.nuscenes.predict import PredictionJob, predict_run
    from nexusflow.suites.nuscenes.suite import architecture_of, build_model
    from nexusflow.training.checkpoint import load_weights
    from nexusflow.training.determinism import make_deterministic, resolve_precision

    make_deterministic(seed, resolved.training.threads)
    model = build_model(resolved.model, seed)
    load_weights(
        layout.checkpoint(suite, run, seed) / "model.safetensors", model, architecture_of(resolved.model)
    )
    job = PredictionJob(
        model=model.eval(),
        cache=_open_cache(layout, resolved),
        partition=_partition(layout, resolved),
        tracker=configuration.scale.nuscenes.tracker,
        evaluation=configuration.scale.nuscenes.evaluation,
        precision=resolve_precision(resolved.training.precision),
    )
    predict_run(job, layout.predictions(suite, run, seed), title=f"{run}, seed {seed}")
    made_by = read_json(layout.checkpoint(suite, run, seed) / "provenance.json")
    write_json(layout.run(suite, run, seed) / "provenance.json", made_by)


def evaluate_from_configuration(
    configuration: Configuration, layout: Layout, suite: str, run: str, seed: int, workers: int
) -> None:
    """Score the prediction files of a run and write `metrics.json`.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        suite: suite name.
        run: row name, or `trivial` for the reference without a model.
        seed: the run's seed.
        workers: processes over which the tracking classes are spread.

    Raises:
        UserError: for missing or malformed prediction files.
    """
    from nexusflow.evaluation.evaluate import evaluate_predictions

    section_ = configuration.scale.nuscenes
    world = "street" if run == "trivial" else configuration.row(suite, run).world
    result = evaluate_predictions(
        layout.predictions(suite, run, seed),
        NuScenesCache.open(layout.cache(suite, world)),
        layout.data(suite, world),
        version=section_.version,
        split="val",
        class_range_m=cast("dict[str, float] | float | None", section_.evaluation.class_range_m),
        workers=workers,
    )
    check = result.pop("check", {})
    content = {
        "scale": configuration.scale_name,
        "suite": suite,
        "run": run,
        "seed": seed,
        "world": world,
        "domain_gap": configuration.world(world).domain_gap,
        "metrics": result,
        "check": check,
    }
    write_json(layout.metrics(suite, run, seed), content)


def qualitative_from_configuration(configuration: Configuration, layout: Layout) -> None:
    """Collect the key frame of Figure 6 with the predictions of both its runs.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.

    Raises:
        UserError: for missing prediction files or an unknown scene.
    """
    from nexusflow.analysis.qualitative import collect_figure6

    figure = configuration.paper.figure6
    collect_figure6(
        figure,
        NuScenesCache.open(layout.cache("nuscenes", "street")),
        layout.predictions("nuscenes", figure.baseline.run, figure.seed),
        layout.predictions("nuscenes", figure.ours.run, figure.seed),
        configuration.scale.nuscenes.reader.bev_half_m,
        {"scale": configuration.scale_name, "data": configuration.scale.description, "seed": figure.seed},
        layout.base / "qualitative" / "figure6.npz",
    )
