"""Splits the time of a training step into data, image, BEV, heads, loss, backward and optimiser.

Needs the decoded data of a scale: `snakemake --cores all results/embedded/cache/nuscenes/street/index.json`.
Prints medians over the steps, for the baseline and for ours, in one process on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.config.schema import NuScenesRun
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.partition import read_partition
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.suites.nuscenes.suite import BatchPlan, NuScenesSuite
from nexusflow.training.determinism import make_deterministic, resolve_precision

PARTS = ("data", "image", "BEV", "heads", "loss", "alignment", "backward", "optimiser")


class Stopwatch:
    """Adds up the time of named parts; nested parts are taken out of the part around them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is timed under `part`."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += time.perf_counter() - start

        return timed


def one_step(
    suite: NuScenesSuite, method: Any, optimizer: torch.optim.Optimizer, step: int, bf16: bool
) -> dict[str, float]:
    """Run one training step and return seconds by part."""
    watch = Stopwatch()
    network = suite.network
    originals = (network._features, network._bev, network.losses)
    network._features = watch.wrap("image", network._features)  # type: ignore[method-assign]
    network._bev = watch.wrap("BEV", network._bev)  # type: ignore[method-assign]
    network.losses = watch.wrap("loss", network.losses)  # type: ignore[method-assign]
    try:
        batch = watch.wrap("data", suite.batch)(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            result = watch.wrap("forward", suite.forward)(batch, step, False)
            extra = watch.wrap("alignment", method.extra_losses)(
                result.taps, result.outputs, result.visible, step
            )
        total = torch.stack([v.float() for v in (*result.losses.values(), *extra.values())]).sum()
        optimizer.zero_grad(set_to_none=True)
        watch.wrap("backward", total.backward)()
        watch.wrap("optimiser", optimizer.step)()
    finally:
        network._features, network._bev, network.losses = originals  # type: ignore[method-assign]
    inner = sum(watch.seconds[part] for part in ("image", "BEV", "loss"))
    watch.seconds["heads"] = watch.seconds.pop("forward") - inner
    return dict(watch.seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", default="embedded", help="scale whose data and model are used")
    parser.add_argument("--steps", type=int, default=30, help="timed steps per run (default: 30)")
    arguments = parser.parse_args()
    configuration = load_configuration(Path("config"), arguments.scale)
    layout = Layout(arguments.scale)
    make_deterministic(0, 1)
    runs: dict[str, tuple[NuScenesSuite, Any, torch.optim.Optimizer, bool]] = {}
    for name in ("baseline", "nexusflow_one_stage"):
        run = configuration.resolve("nuscenes", name)
        assert isinstance(run, NuScenesRun)
        cache = NuScenesCache.open(layout.cache("nuscenes", run.world))
        partition = read_partition(layout.partition("nuscenes", run.world, run.partition))
        plan = BatchPlan(run.training.clip_length, run.training.batch_size, 0)
        suite = NuScenesSuite(cache, partition, run.model, plan)
        method = build_method(run.method, BuildContext(suite.tap_channels, 0))
        optimizer = torch.optim.AdamW([*suite.model.parameters(), *method.parameters()], lr=1e-4, fused=True)
        runs[name] = (suite, method, optimizer, resolve_precision(run.training.precision) == "bf16-mixed")
    seconds: dict[str, list[dict[str, float]]] = defaultdict(list)
    for step in range(arguments.steps + 3):  # interleaved, so that a drifting machine favours neither
        for name, parts in runs.items():
            measured = one_step(*parts[:3], step, parts[3])
            if step >= 3:
                seconds[name].append(measured)
    print(f"{'milliseconds':24}" + "".join(f"{part:>11}" for part in (*PARTS, "total")))
    totals = {}
    for name, rows in seconds.items():
        medians = [1e3 * statistics.median(row.get(part, 0.0) for row in rows) for part in PARTS]
        totals[name] = 1e3 * statistics.median(sum(row.values()) for row in rows)
        print(f"{name:24}" + "".join(f"{value:11.1f}" for value in (*medians, totals[name])))
    pairs = zip(seconds["nexusflow_one_stage"], seconds["baseline"], strict=True)
    ratio = statistics.median(sum(a.values()) / sum(b.values()) for a, b in pairs)
    print(f"ours / baseline, median of pairs: {ratio:.3f}")


if __name__ == "__main__":
    main()
