"""Carries the verb `features` from the configuration to the extraction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.fingerprint import code_fingerprint
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.schema import ResolvedRun
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file
from nexusflow.methods.combined_config import CombinedConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig

if TYPE_CHECKING:
    from nexusflow.alignment import NexusFlow

__all__ = ["build_surrogates", "features_from_configuration", "surrogate_section"]


def surrogate_section(configuration: Configuration, run: ResolvedRun) -> tuple[NexusFlowConfig, bool]:
    """Find the configuration of a run's surrogates.

    Args:
        configuration: configuration of the scale.
        run: the run.

    Returns:
        The section of its method, and False; where that has no surrogates, the section that a run of
        NexusFlow without settings of its own would have at this scale, and True: they are trained post hoc.

    Raises:
        UserError: for a mistake in the scale's settings of the method, or a run of several methods.
    """
    if isinstance(run.method, CombinedConfig):
        raise UserError(
            f"Features of `{run.suite}.{run.run}` cannot be extracted: its surrogates are one of several "
            "methods; choose a run of one method."
        )
    if isinstance(run.method, NexusFlowConfig):
        return run.method, False
    section = configuration.method(run.suite, "nexusflow")
    assert isinstance(section, NexusFlowConfig)
    return section, True


def build_surrogates(
    section: NexusFlowConfig,
    channels: dict[str, int],
    seed: int,
    suite: str,
    trained: tuple[Path, str] | None,
) -> NexusFlow:
    """Build surrogates, with the weights of a run if it has some.

    Args:
        section: their configuration.
        channels: features of each task's tap.
        seed: of the initial weights.
        suite: name of the suite, for messages.
        trained: `method.safetensors` of the run and the hash of its model's configuration; None for
            initial weights.

    Returns:
        The surrogates.

    Raises:
        UserError: if the file is missing or does not fit.
    """
    from nexusflow.methods.base import BuildContext
    from nexusflow.methods.build import build_method
    from nexusflow.methods.nexusflow import NexusFlowMethod
    from nexusflow.training.checkpoint import load_weights

    method = build_method(section, BuildContext(channels, seed, None, suite))
    assert isinstance(method, NexusFlowMethod)
    if trained is not None:
        load_weights(trained[0], method, trained[1])
    return method.surrogates


def _meta(
    configuration: Configuration, layout: Layout, run: ResolvedRun, seed: int, section: NexusFlowConfig
) -> dict[str, Any]:
    """What the file says of the run, with hashes of all that went in."""
    folder = layout.checkpoint(run.suite, run.run, seed)
    trained = read_json(folder / "provenance.json")
    names = ("model.safetensors", "method.safetensors")
    return {
        "scale": configuration.scale_name,
        "suite": run.suite,
        "run": run.run,
        "seed": seed,
        "world": run.world,
        "method": run.method.name,
        "surrogate_section": section.model_dump(mode="json"),
        "provenance": {
            "run": trained["fingerprint"],
            "code": code_fingerprint(binding_of(run.suite).modules["features"]),
            **{name: sha256_file(folder / name) for name in names},
            "versions": trained["versions"],
        },
    }


def features_from_configuration(
    configuration: Configuration, layout: Layout, suite: str, run: str, seed: int
) -> None:
    """Extract the features of a trained run and write them to `features/{suite}/{run}/seed{k}.npz`.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        suite: suite name.
        run: row name.
        seed: the run's seed.

    Raises:
        UserError: if the run was not trained or was trained with another configuration.
    """
    from nexusflow.analysis.features import write_features
    from nexusflow.training.determinism import make_deterministic
    from nexusflow.training.features import extract_features
    from nexusflow.training.surrogates import fit_surrogates

    resolved, config = configuration.resolve(suite, run), configuration.suite(suite).features
    section, post_hoc = surrogate_section(configuration, resolved)
    make_deterministic(seed, resolved.training.threads)
    reader, architecture = binding_of(suite).tap_reader(configuration, layout, run, seed)
    meta = _meta(configuration, layout, resolved, seed, section)
    meta |= {"post_hoc": post_hoc, "architecture": architecture}
    weights = layout.checkpoint(suite, run, seed) / "method.safetensors"
    surrogates = build_surrogates(
        section, reader.tap_channels, seed, suite, None if post_hoc else (weights, architecture)
    )
    title = f"{run}, seed {seed}"
    if post_hoc:
        losses = fit_surrogates(reader, surrogates, config, seed, title)
        meta["surrogates"] = {
            "trained": "post hoc, on detached features of the training split",
            "steps": config.surrogate_steps,
            "frames": config.surrogate_frames,
            "batch_size": config.surrogate_batch_size,
            "learning_rate": config.surrogate_learning_rate,
            "first_align_loss": losses[0],
            "last_align_loss": losses[-1],
        }
    else:
        meta["surrogates"] = {"trained": "with the run"}
    write_features(
        layout.features(suite, run, seed), extract_features(reader, surrogates, config, meta, title)
    )
