"""Carries the verb `outline` from the configuration to the models it describes."""

from __future__ import annotations

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.features import build_surrogates
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.sections import section
from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.core.outline import PipelineOutline, SurrogateOutline
from nexusflow.methods.nexusflow_config import NexusFlowConfig

__all__ = ["outline_from_configuration", "outline_settings", "outlined_run"]


def outlined_run(configuration: Configuration, suite: str) -> str:
    """Find the run whose model stands for a suite in Figure 2.

    Args:
        configuration: configuration of the scale.
        suite: suite name.

    Returns:
        Row name.

    Raises:
        UserError: if Figure 2 has no panel of the suite.
    """
    for panel in configuration.paper.figure2.panels:
        if panel.suite == suite:
            return panel.run
    raise UserError(f"config/paper.yaml: key `figure2.panels` has no panel of the suite `{suite}`; add one.")


def _method(configuration: Configuration, suite: str, run: str) -> NexusFlowConfig:
    method = configuration.resolve(suite, run).method
    if not isinstance(method, NexusFlowConfig):
        raise UserError(
            f"config/paper.yaml: key `figure2.panels`: run `{suite}.{run}` has no surrogates to draw; name a "
            "run of the method `nexusflow`."
        )
    return method


def outline_settings(configuration: Configuration, suite: str) -> str:
    """Collect what the outline of a suite reads of the configuration.

    Args:
        configuration: configuration of the scale.
        suite: suite name.

    Returns:
        Canonical JSON.

    Raises:
        UserError: if Figure 2 has no panel of the suite.
    """
    return section(configuration, "outline", {"suite": suite, "run": outlined_run(configuration, suite)})


def outline_from_configuration(configuration: Configuration, layout: Layout, suite: str) -> None:
    """Build a suite's model and surrogates and write what they are made of to `outlines/{suite}.json`.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        suite: suite name.

    Raises:
        UserError: if Figure 2 has no panel of the suite, or its run has no surrogates.
    """
    import torch

    from nexusflow.training.determinism import make_deterministic

    run = outlined_run(configuration, suite)
    resolved, method = configuration.resolve(suite, run), _method(configuration, suite, run)
    make_deterministic(0, resolved.training.threads)
    model, taps = binding_of(suite).outline(configuration, run)
    channels = {task: _channels(tap["features"].shape) for task, tap in taps.items()}
    surrogates = build_surrogates(method, channels, 0, suite, None).eval()
    with torch.no_grad():
        aligned = surrogates(taps)
    outlines = tuple(
        SurrogateOutline(
            task=task,
            aggregator=type(surrogates.aggregators[task]).__name__,
            aggregator_layers=method.aggregator.layers,
            aggregator_parameters=sum(p.numel() for p in surrogates.aggregators[task].parameters()),
            dim=aligned.embeddings[task].shape[1],
            couplings=int(surrogates.flows[task].depth),  # type: ignore[arg-type]
            coupling_parameters=sum(p.numel() for p in surrogates.flows[task].parameters()),
            latent_dim=aligned.latents[task].shape[1],
        )
        for task in surrogates.tasks
    )
    content = PipelineOutline(
        scale=configuration.scale_name,
        data=configuration.scale.description,
        suite=suite,
        run=run,
        partition=resolved.partition,
        starts_from=resolved.init,
        model=model,
        surrogates=outlines,
        loss=method.loss,
        weight=method.lambda_align,
    )
    write_json(layout.outline(suite), content.model_dump(mode="json"))


def _channels(shape: tuple[int, ...]) -> int:
    """Features of a tap: of tokens (B, Q, F) or vectors (B, F) the last, of a map (B, F, H, W) the second."""
    return shape[1] if len(shape) == 4 else shape[-1]
