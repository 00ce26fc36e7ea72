"""Time and memory of an NYUv2 training step at the paper's size, each method in its own process, in turns.

    python benchmarks/dense_step.py --network segnet --rounds 3

A few generated rooms at 288 × 384 pixels stand in for the data set; a step costs the same on any picture.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from nexusflow.config.load import load_configuration
from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.partition import build_image_partition, read_image_partition, write_image_partition
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.data.worlds.rooms.generate import generate_rooms_world
from nexusflow.dense.config import DenseModelConfig
from nexusflow.methods.base import BuildContext, Method
from nexusflow.methods.build import build_method
from nexusflow.suites.base import Suite
from nexusflow.suites.nyuv2.canvases import ImageCanvases
from nexusflow.suites.nyuv2.suite import ImagePlan, NYUv2Suite
from nexusflow.training.config import TrainingConfig
from nexusflow.training.cost import measure_costs

CONFIG = Path(__file__).parent.parent / "config"
RUNS = ("full", "baseline", "nexusflow_centre", "nexusflow_pair", "mtpsl", "jtr")


def make_data(folder: Path, height: int, width: int) -> None:
    """Generate twelve training rooms and two partitions: all labels, and a task per cluster."""
    world = RoomsWorldConfig(train_images=12, val_images=3, image_height=height, image_width=width)
    generate_rooms_world(world, folder / "rooms", workers=1)
    build_cache(load_configuration(CONFIG, "full").nyuv2.reader, folder / "rooms", folder / "cache")
    cache = NYUv2Cache.open(folder / "cache")
    for kind in ("full", "clusters_sdn"):
        write_image_partition(build_image_partition(cache, kind, seed=0), folder / f"{kind}.csv")


def build(
    folder: Path, network: str, batch: int, threads: int, run: str
) -> tuple[Suite, Method, TrainingConfig]:
    """Build a run of the scale `full` on the generated rooms."""
    resolved = load_configuration(CONFIG, "full").resolve("nyuv2", run)
    training = resolved.training.model_copy(update={"batch_size": batch, "threads": threads})
    model = resolved.model.model_copy(update={"network": network})
    assert isinstance(model, DenseModelConfig)
    cache, partition = (
        NYUv2Cache.open(folder / "cache"),
        read_image_partition(folder / f"{resolved.partition}.csv"),
    )
    canvases = ImageCanvases(model, cache, partition) if resolved.method.needs_canvases else None
    suite = NYUv2Suite(cache, partition, model, ImagePlan(batch, 0, training.augmentation), canvases)
    context = BuildContext(suite.tap_channels, 0, suite.canvas_spec, "nyuv2")
    return suite, build_method(resolved.method, context), training


def main() -> None:
    """Measure and print a table; ratios are to the baseline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=("segnet", "mtan"), default="segnet", help="default: segnet")
    parser.add_argument("--batch", type=int, default=2, help="images per step (default: 2)")
    parser.add_argument("--threads", type=int, default=1, help="OpenMP threads (default: 1)")
    parser.add_argument("--rounds", type=int, default=2, help="turns per method (default: 2)")
    parser.add_argument("--runs", nargs="+", default=list(RUNS), help="rows of the suite nyuv2")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make_data(Path(name), 288, 384)
        builder = partial(build, Path(name), arguments.network, arguments.batch, arguments.threads)
        costs = measure_costs(builder, arguments.runs, rounds=arguments.rounds, steps=2)
    rows = {cost.run: cost.row() for cost in costs}
    base = rows.get("baseline", next(iter(rows.values())))
    print(f"{'run':20s} {'s/step':>8s} {'images/s':>9s} {'ratio':>6s} {'MiB':>8s} {'ratio':>6s}")
    for run, row in rows.items():
        seconds, memory = row["seconds_per_step"], row["peak_memory_mib"]
        slower, larger = seconds / base["seconds_per_step"], memory / base["peak_memory_mib"]
        print(
            f"{run:20s} {seconds:8.2f} {row['images_per_second']:9.2f}"
            f" {slower:6.2f} {memory:8.0f} {larger:6.2f}"
        )


if __name__ == "__main__":
    main()
