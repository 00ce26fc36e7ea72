"""Carries the verb `analyse` from the configuration to the analysis of a run's features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexusflow.config.features import build_surrogates
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_json

__all__ = ["ANALYSES", "analyse_from_configuration"]

ANALYSES = ("mmd", "embedding", "spectrum", "lemma")
_COPIED = ("scale", "suite", "run", "seed", "tasks", "post_hoc", "labelled_in", "domains", "frames", "groups")


def _lemma(
    configuration: Configuration, layout: Layout, features: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    from nexusflow.analysis.task_lemma import task_lemma
    from nexusflow.methods.nexusflow_config import NexusFlowConfig

    meta = features.meta
    if meta["post_hoc"]:
        raise UserError(
            f"Run {meta['run']} has no surrogates of its own, so Lemma 1 says nothing about it; correct "
            "`lemma.runs` in config/paper.yaml."
        )
    path = layout.checkpoint(meta["suite"], meta["run"], meta["seed"]) / "method.safetensors"
    if not path.exists() or sha256_file(path) != meta["provenance"]["method.safetensors"]:
        raise UserError(f"{path} is missing or not what the features were made with; extract them again.")
    section = NexusFlowConfig.model_validate(meta["surrogate_section"])
    channels = {task: int(meta["width"]["h"][task]) for task in features.tasks}
    surrogates = build_surrogates(section, channels, 0, meta["suite"], (path, meta["architecture"]))
    return task_lemma(features, surrogates, section.loss, section.reduction, configuration.scale.analysis)


def _refuse_infinite(features: Any, source: Path) -> None:
    """Refuse features that no analysis can take."""
    import numpy as np

    for kind, by_task in features.features.items():
        for task, table_NX in by_task.items():
            if not np.isfinite(table_NX).all():
                raise UserError(
                    f"{source}: array '{kind}/{task}' holds NaN or infinity; look whether training of "
                    f"{features.meta['run']} diverged, then extract the features again."
                )


def analyse_from_configuration(
    configuration: Configuration, layout: Layout, kind: str, suite: str, run: str, seed: int
) -> None:
    """Analyse the features of a run and write `analyses/{kind}/{suite}/{run}/seed{k}.json`, arrays beside it.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        kind: mmd, embedding, spectrum or lemma.
        suite: suite name.
        run: row name.
        seed: the run's seed.

    Raises:
        UserError: for an unknown kind, or features that are missing or not finite.
    """
    if kind not in ANALYSES:
        raise UserError(f"There is no analysis `{kind}`; the analyses are {', '.join(ANALYSES)}.")
    from threadpoolctl import threadpool_limits

    from nexusflow.analysis.features import read_features
    from nexusflow.analysis.mmd_readings import mmd_readings
    from nexusflow.analysis.task_pictures import task_pictures
    from nexusflow.analysis.task_spectra import task_spectra
    from nexusflow.paper.analysis_files import FORMAT
    from nexusflow.paper.archive import write_archive

    source, settings = layout.features(suite, run, seed), configuration.scale.analysis
    features, target = read_features(source), layout.analysis(kind, suite, run, seed)
    _refuse_infinite(features, source)
    head = {"format": FORMAT, **{key: features.meta[key] for key in _COPIED}}
    head["features_sha256"] = features.meta["npz_sha256"]
    # The order of parallel sums changes roundings.
    with threadpool_limits(limits=1):
        if kind == "mmd":
            write_json(target, {**head, **mmd_readings(features, settings)})
            return
        if kind == "lemma":
            arrays, content = _lemma(configuration, layout, features)
        else:
            arrays, content = (task_pictures if kind == "embedding" else task_spectra)(features, settings)
    write_archive(target.with_suffix(".npz"), arrays, {**head, **content})
