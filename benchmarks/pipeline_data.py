"""Time of making worlds, and of loading batches against training on them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from nexusflow.config.bindings.registry import BINDINGS
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.core.progress import track
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.training.determinism import make_deterministic
from nexusflow.training.loop import Trainer
from nexusflow.training.resume import ResumeFiles

__all__ = ["loading_rows", "world_rows"]

CONFIG = Path(__file__).resolve().parents[1] / "config"
RUN, WORLDS = "baseline", {"nuscenes": "street", "nyuv2": "rooms"}
# As large as a benchmark can wait for; a scene or image costs the same in a larger world.
SMALLER = {"train_scenes: 200": "train_scenes: 6", "val_scenes: 48": "val_scenes: 2"} | {
    "train_images: 480": "train_images: 96",
    "val_images: 120": "val_images: 24",
}
UNITS = {"nuscenes": ("key frames", 8 * 20), "nyuv2": ("images", 120)}


def smaller_configuration(folder: Path) -> Configuration:
    """The embedded scale with a few scenes and images."""
    if not folder.exists():
        shutil.copytree(CONFIG, folder)
        scale = folder / "scales" / "embedded.yaml"
        text = scale.read_text(encoding="utf-8")
        for old, new in SMALLER.items():
            assert old in text, f"{scale.name} no longer has {old}"
            text = text.replace(old, new)
        scale.write_text(text, encoding="utf-8")
    return load_configuration(folder, "embedded")


def seconds(call: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def row(what: str, suite: str, values: list[float], size: int, bare: list[float], to: str) -> dict[str, Any]:
    """One line of the table, with a rate and the ratio of two medians."""
    return {
        "what": f"{suite}: {what}",
        "size": size,
        "unit": UNITS[suite][0],
        "median s": round(median(values), 4),
        "fastest s": round(min(values), 4),
        "units per s": round(size / median(values), 1),
        "ratio": round(median(values) / median(bare), 4),
        "to": to,
        "rounds": len(values),
    }


def world_rows(folder: Path, rounds: int, workers: list[int]) -> list[dict[str, Any]]:
    """Generation and decoding of both worlds, in one process and in several."""
    configuration = smaller_configuration(folder / "config")
    times: dict[tuple[str, str, int], list[float]] = {}
    for number in track(range(rounds), "worlds", total=rounds):
        for suite, world in WORLDS.items():
            binding = BINDINGS[suite]
            for count in workers:
                layout = Layout("embedded", folder / f"worlds-{number}-{count}")
                for what, make in (("generating", binding.make_data), ("decoding", binding.make_cache)):
                    taken = seconds(lambda: make(configuration, layout, world, count))  # noqa: B023
                    times.setdefault((suite, what, count), []).append(taken)
                shutil.rmtree(layout.root)
    return [
        row(
            f"{what}, processes: {count}",
            suite,
            values,
            UNITS[suite][1],
            times[suite, what, workers[0]],
            f"processes: {workers[0]}",
        )
        for (suite, what, count), values in times.items()
    ]


def loading_rows(folder: Path, rounds: int, threads: int) -> list[dict[str, Any]]:
    """A batch alone, against a whole training step with its batch; both take turns."""
    configuration = smaller_configuration(folder / "config")
    layout = Layout("embedded", folder / "loading")
    rows = []
    for suite, world in WORLDS.items():
        binding, resolved = BINDINGS[suite], configuration.resolve(suite, RUN)
        binding.make_data(configuration, layout, world, 1)
        binding.make_cache(configuration, layout, world, 1)
        binding.make_partition(configuration, layout, world, resolved.partition)
        built = binding.make_suite(configuration, layout, RUN, 0)
        context = BuildContext(built.tap_channels, 0, built.canvas_spec, suite)
        training = resolved.training.model_copy(update={"threads": threads})
        make_deterministic(0, threads)
        trainer = Trainer(built, build_method(resolved.method, context), training, 0, ResumeFiles(folder, ""))
        built.model.train()
        batches, steps = [], []
        for number in range(3 * rounds + 2):
            batches.append(seconds(lambda: built.batch(number)))  # noqa: B023
            steps.append(seconds(lambda: trainer.step(number)))  # noqa: B023
        batches, steps = batches[2:], steps[2:]
        size = training.batch_size * getattr(training, "clip_length", 1)
        for what, values in (("loading a batch", batches), ("training step with its batch", steps)):
            rows.append(row(what, suite, values, size, steps, "training step"))
    return rows
