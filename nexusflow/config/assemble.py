"""Carries a verb from the configuration to the suite that does the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.fingerprint import code_fingerprint
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.schema import ResolvedRun
from nexusflow.config.sections import section
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file, sha256_json, write_json

if TYPE_CHECKING:
    from nexusflow.training.run import RunIdentity

__all__ = [
    "evaluate_from_configuration",
    "predict_from_configuration",
    "qualitative_from_configuration",
    "run_identity",
    "train_from_configuration",
]


def run_identity(configuration: Configuration, layout: Layout, run: ResolvedRun, seed: int) -> RunIdentity:
    """Put together what names a run and everything it depends on.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        run: the run.
        seed: the run's seed.

    Returns:
        The identity.

    Raises:
        UserError: if the run's data is missing.
    """
    from nexusflow.training.run import RunIdentity

    values = {"suite": run.suite, "run": run.run, "seed": str(seed), "scale": configuration.scale_name}
    index = read_json(layout.cache(run.suite, run.world) / "index.json")
    table = sha256_file(layout.partition(run.suite, run.world, run.partition))
    return RunIdentity(
        scale=configuration.scale_name,
        suite=run.suite,
        run=run.run,
        seed=seed,
        code=code_fingerprint(binding_of(run.suite).training_modules(run.method)),
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
        UserError: for missing inputs, a configuration that does not fit them, or a row without training.
    """
    resolved = configuration.resolve(suite, run)
    source = configuration.weights_of(suite, run)
    if source != run:
        raise UserError(f"Run `{suite}.{run}` is not trained; it predicts with the weights of `{source}`.")
    from nexusflow.training.run import train_run

    built = binding_of(suite).make_suite(configuration, layout, run, seed)
    initial = layout.checkpoint(suite, resolved.init, seed) / "model.safetensors" if resolved.init else None
    identity = run_identity(configuration, layout, resolved, seed)
    output = layout.checkpoint(suite, run, seed)
    train_run(identity, built, resolved.method, resolved.training, output, initial)


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
    binding_of(suite).predict(configuration, layout, run, seed)
    source = configuration.weights_of(suite, run)
    made_by = read_json(layout.checkpoint(suite, source, seed) / "provenance.json")
    write_json(layout.run(suite, run, seed) / "provenance.json", made_by)


def evaluate_from_configuration(
    configuration: Configuration, layout: Layout, suite: str, run: str, seed: int, workers: int
) -> None:
    """Score the prediction files of a run and write `metrics.json` and `resampled.json`.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        suite: suite name.
        run: row name, or `trivial` for the reference without a model.
        seed: the run's seed.
        workers: processes over which the work is spread.

    Raises:
        UserError: for missing or malformed prediction files.
    """
    binding = binding_of(suite)
    head = {"scale": configuration.scale_name, "suite": suite, "run": run, "seed": seed}
    scores = binding.score(configuration, layout, run, seed, workers)
    write_json(layout.resampled(suite, run, seed), {**head, **scores.pop("resampled")})
    world = {"world": binding.world_of(configuration, run)}
    write_json(layout.metrics(suite, run, seed), {**head, **world, **scores})


def _caption(configuration: Configuration, seed: int) -> dict[str, Any]:
    return {"scale": configuration.scale_name, "data": configuration.scale.description, "seed": seed}


def _collect_figure6(configuration: Configuration, layout: Layout, output: Path) -> None:
    from nexusflow.analysis.qualitative import collect_figure6
    from nexusflow.data.nuscenes.cache import NuScenesCache

    figure = configuration.paper.figure6
    collect_figure6(
        figure,
        NuScenesCache.open(layout.cache("nuscenes", configuration.nuscenes.default_world)),
        layout.predictions("nuscenes", figure.baseline.run, figure.seed),
        layout.predictions("nuscenes", figure.ours.run, figure.seed),
        configuration.nuscenes.reader.bev_half_m,
        _caption(configuration, figure.seed),
        output,
    )


def _collect_figure7(configuration: Configuration, layout: Layout, output: Path) -> None:
    from nexusflow.analysis.qualitative_dense import collect_figure7
    from nexusflow.data.nyuv2.cache import NYUv2Cache

    figure = configuration.paper.figure7
    folders = {label.run: layout.predictions("nyuv2", label.run, figure.seed) for label in figure.runs}
    cache = NYUv2Cache.open(layout.cache("nyuv2", configuration.nyuv2.default_world))
    collect_figure7(figure, cache, folders, _caption(configuration, figure.seed), output)


def _collect_video(configuration: Configuration, layout: Layout, output: Path) -> None:
    from nexusflow.analysis.qualitative_video import collect_video
    from nexusflow.data.nuscenes.cache import NuScenesCache

    video = configuration.paper.video
    collect_video(
        video,
        NuScenesCache.open(layout.cache("nuscenes", configuration.nuscenes.default_world)),
        layout.predictions("nuscenes", video.baseline.run, video.seed),
        layout.predictions("nuscenes", video.ours.run, video.seed),
        configuration.nuscenes.reader.bev_half_m,
        _caption(configuration, video.seed),
        output,
    )


_COLLECT = {"figure6": _collect_figure6, "figure7": _collect_figure7, "video": _collect_video}


def qualitative_from_configuration(configuration: Configuration, layout: Layout, figure: str) -> None:
    """Collect what a qualitative figure draws from the predictions of its runs.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        figure: figure6, figure7 or video.

    Raises:
        UserError: for missing prediction files or an unknown scene.
    """
    _COLLECT[figure](configuration, layout, layout.base / "qualitative" / f"{figure}.npz")
