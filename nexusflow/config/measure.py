"""Measures what is no score of a model: the cost of training steps, the gap between clusters."""

from __future__ import annotations

import platform
from functools import partial
from pathlib import Path

from nexusflow.config.bindings.registry import binding_of
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.config.paper_runs import runs_behind
from nexusflow.core.files import write_json
from nexusflow.methods.base import Method
from nexusflow.suites.base import Suite
from nexusflow.training.config import TrainingConfig

__all__ = ["cost_from_configuration", "report_partition"]


def _build(folder: Path, scale: str, suite: str, run: str) -> tuple[Suite, Method, TrainingConfig]:
    from nexusflow.methods.base import BuildContext
    from nexusflow.methods.build import build_method

    configuration = load_configuration(folder, scale)
    resolved = configuration.resolve(suite, run)
    built = binding_of(suite).make_suite(configuration, Layout(scale), run, seed=0)
    context = BuildContext(built.tap_channels, 0, built.canvas_spec, suite)
    return built, build_method(resolved.method, context), resolved.training


def cost_from_configuration(configuration: Configuration, layout: Layout, suite: str) -> None:
    """Measure a training step of every run of Table 5 and write the results.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        suite: suite name.

    Raises:
        UserError: for missing data or partitions.
    """
    import torch

    from nexusflow.training.cost import measure_costs

    section = configuration.nyuv2
    rows = [item for item in runs_behind(configuration.paper, "table5") if item.suite == suite]
    runs = [item.run for item in rows if not configuration.row(suite, item.run).is_declared_only]
    build = partial(_build, configuration.folder, configuration.scale_name, suite)
    costs = measure_costs(build, runs, section.cost_rounds, section.cost_steps)
    on_gpu = torch.cuda.is_available()
    training = configuration.resolve(suite, runs[0]).training
    content = {
        "scale": configuration.scale_name,
        "suite": suite,
        "device": torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU",
        "memory": "peak of the allocator" if on_gpu else "peak resident memory above the idle process",
        "threads": training.threads,
        "batch_size": training.batch_size,
        "image_height": section.reader.image_height,
        "image_width": section.reader.image_width,
        "rounds": section.cost_rounds,
        "rows": [cost.row() for cost in costs],
    }
    write_json(layout.cost(suite), content)


def report_partition(configuration: Configuration, layout: Layout, world: str, kind: str) -> None:
    """Measure how far the clusters of an NYUv2 partition lie apart, against a random split.

    Args:
        configuration: configuration of the scale.
        layout: where files lie.
        world: name of the world.
        kind: kind of partition.

    Raises:
        UserError: if the partition has no clusters.
    """
    from nexusflow.analysis.cluster_gap import cluster_gap_report
    from nexusflow.data.nyuv2.cache import NYUv2Cache

    path = layout.partition("nyuv2", world, kind)
    cache = NYUv2Cache.open(layout.cache("nyuv2", world))
    write_json(
        path.with_suffix(".gap.json"),
        cluster_gap_report(cache, path, seed=configuration.nyuv2.partition_seed),
    )
