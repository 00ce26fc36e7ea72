"""One frame, training steps and their parts at the paper's size, on noise; on a GPU where there is one.

    python benchmarks/base_size.py frame                 # one frame there and back: shapes, gradients, memory
    python benchmarks/base_size.py frame --root /path    # the same with a recorded key frame
    python benchmarks/base_size.py steps --rounds 3      # methods in turns, each in its own process
    python benchmarks/base_size.py parts --run baseline  # time and arithmetic of each part, and the floor

`--set` overrides keys of the scale's model, e.g. `--set image_height=448 image_width=800 bev_cells=100`.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from base_parts import floor_table
from base_world import noise_cache, with_key_frame

from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.layers import levels_of
from nexusflow.bev.types import InstanceMapOutput
from nexusflow.config.load import load_configuration
from nexusflow.core.files import write_text
from nexusflow.methods.base import BuildContext, Method
from nexusflow.methods.build import build_method
from nexusflow.suites.base import StepResult, Suite
from nexusflow.suites.nuscenes.canvases import BEVCanvases
from nexusflow.suites.nuscenes.suite import BatchPlan, NuScenesSuite
from nexusflow.training.config import TrainingConfig
from nexusflow.training.cost import measure_costs
from nexusflow.training.determinism import make_deterministic, resolve_precision

CONFIG = Path(__file__).parent.parent / "config"
RUNS = ("baseline", "nexusflow_one_stage", "nexusflow_mlp", "mtpsl", "jtr")
MODULES = ("backbone", "encoder", "track", "map")


def build(
    sizes: dict[str, Any], budget: dict[str, Any], run: str, data_set: tuple[Path, str] | None = None
) -> tuple[NuScenesSuite, Method, TrainingConfig]:
    """Build a run of the scale `full`, from its first step on (no checkpoint, encoder trained).

    It sees noise, or the first key frame of a data set (folder and version), with made-up labels.
    """
    configuration = load_configuration(CONFIG, "full")
    resolved = configuration.resolve("nuscenes", run)
    model = type(resolved.model)(**{**resolved.model.model_dump(), **sizes})
    training = resolved.training.model_copy(update={"freeze_encoder": False, **budget})
    same = ("image_height", "image_width", "bev_half_m", "map_cells")
    reader = configuration.nuscenes.reader.model_copy(update={name: getattr(model, name) for name in same})
    cache = noise_cache(reader, training.clip_length + 1)
    if data_set is not None:
        cache = with_key_frame(cache, *data_set)
    everything = resolved.partition == "full"
    partition = {
        scene.name: {
            "map": everything or scene.city == "boston",
            "track": everything or scene.city != "boston",
        }
        for scene in cache.scenes
    }
    assert isinstance(model, BEVModelConfig)
    canvases = BEVCanvases(model) if resolved.method.needs_canvases else None
    plan = BatchPlan(training.clip_length, training.batch_size, 0)
    suite = NuScenesSuite(cache, partition, model, plan, canvases)
    method = build_method(resolved.method, BuildContext(suite.tap_channels, 0, suite.canvas_spec, "nuscenes"))
    return suite, method, training


def build_any(
    sizes: dict[str, Any], budget: dict[str, Any], run: str
) -> tuple[Suite, Method, TrainingConfig]:
    """Build a run as `measure_costs` wants it."""
    return build(sizes, budget, run)


def parameter_table(suite: NuScenesSuite) -> str:
    """Count parameters by module, in millions."""
    network = suite.network
    counts = {name: sum(p.numel() for p in getattr(network, name).parameters()) for name in MODULES}
    return ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in counts.items())


def check_shapes(suite: NuScenesSuite, result: StepResult, seen: dict[str, tuple[int, ...]]) -> None:
    """Compare the shapes at the interfaces for one frame with those that the configuration means."""
    config = suite.network.config
    stride = config.backbone.strides[0]
    rows, columns = -(-config.image_height // stride), -(-config.image_width // stride)
    frame, queries = (
        result.outputs["track"].frames[-1],
        (config.track.layers, 1, config.track.detection_queries),
    )
    cells, canvas = config.bev_cells, config.map_cells
    mapping = result.outputs["map"]
    wanted = {
        "backbone": (config.cameras, config.backbone.neck_channels, rows, columns),
        "encoder": (1, config.encoder.channels, cells, cells),
        "boxes": (*queries, 10),
        "classes": (*queries, config.num_classes),
        "masks": (1, config.map_classes, canvas, canvas),
    }
    if isinstance(mapping, InstanceMapOutput):
        wanted["locations"] = (config.map.layers, 1, config.map.instance.queries, config.map.dim)
        wanted["memory"] = (1, config.map.dim, cells, cells)
        seen.update(locations=tuple(mapping.states_LFQD.shape), memory=tuple(mapping.memory_FCHW.shape))
    shown = {
        "boxes": frame.codes_LBQ10,
        "classes": frame.logits_LBQK,
        "masks": mapping.logits_FKHW,
    }
    seen.update({name: tuple(tensor.shape) for name, tensor in shown.items()})
    for name, shape in wanted.items():
        print(f"{name}: {seen[name]}")
        if seen[name] != shape:
            raise SystemExit(f"{name} has shape {seen[name]}, not {shape}")


def one_frame(
    sizes: dict[str, Any], threads: int, data_set: tuple[Path, str] | None = None
) -> dict[str, Any]:
    """Run one frame with all labels forward and backward; check shapes and gradients."""
    make_deterministic(0, threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    suite, _, training = build(sizes, {"clip_length": 1, "batch_size": 1}, "full", data_set)
    network = suite.network.to(device).train()
    print(parameter_table(suite))
    seen: dict[str, tuple[int, ...]] = {}
    for name in ("backbone", "encoder"):
        part = getattr(network, name)
        # Of several levels the finest.
        part.register_forward_hook(
            lambda _m, _x, y, name=name: seen.update({name: tuple(levels_of(y)[0].shape)})
        )
    batch = suite.batch(0)
    begin = time.perf_counter()
    with torch.autocast(device, torch.bfloat16, enabled=resolve_precision(training.precision) != "32-true"):
        result = suite.forward(batch, 0, False)
    between = time.perf_counter()
    total = torch.stack([value.float() for value in result.losses.values()]).sum()
    total.backward()
    if device == "cuda":
        torch.cuda.synchronize()
    end = time.perf_counter()
    with torch.no_grad():
        check_shapes(suite, result, seen)
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    infinite = [
        n for n, p in network.named_parameters() if p.grad is not None and not p.grad.isfinite().all()
    ]
    peak = (
        torch.cuda.max_memory_allocated() / 2**20
        if device == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU, {threads} threads",
        "forward_s": between - begin,
        "backward_s": end - between,
        "peak_mib": peak,
        "loss": float(total.detach()),
        "parameters_without_gradient": missing,
        "parameters_with_infinite_gradient": infinite,
    }


def parse_sizes(pairs: list[str]) -> dict[str, Any]:
    """Turn `key=value` into a mapping."""
    return {key: json.loads(value) for key, value in (pair.split("=", 1) for pair in pairs)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("frame", "steps", "parts"), help="what to measure")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="keys of the model")
    parser.add_argument("--runs", nargs="+", default=list(RUNS), help="rows of the suite nuscenes")
    parser.add_argument("--clip", type=int, default=5, help="key frames per clip (default: 5)")
    parser.add_argument("--batch", type=int, default=1, help="clips per step (default: 1)")
    parser.add_argument("--steps", type=int, default=3, help="steps per turn (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="turns per method (default: 3)")
    parser.add_argument("--precision", default="32-true", help="32-true or bf16-mixed (default: 32-true)")
    parser.add_argument("--threads", type=int, default=2, help="OpenMP threads on a CPU (default: 2)")
    parser.add_argument("--root", type=Path, help="frame: data set whose first key frame is shown, not noise")
    parser.add_argument("--version", default="v1.0-mini", help="its folder of tables (default: v1.0-mini)")
    parser.add_argument("--out", type=Path, help="JSON file of the result")
    arguments = parser.parse_args()
    if arguments.rounds * arguments.steps < 2:
        parser.error("--rounds times --steps must be two or more, for a spread")
    sizes = parse_sizes(arguments.set)
    budget = {
        "clip_length": arguments.clip,
        "batch_size": arguments.batch,
        "precision": arguments.precision,
        "threads": arguments.threads,
        "steps": 1000,
    }
    result: Any
    if arguments.what == "frame":
        shown = (arguments.root, arguments.version) if arguments.root else None
        result = one_frame(sizes, arguments.threads, shown)
    elif arguments.what == "parts":
        suite, method, training = build(sizes, budget, arguments.runs[0])
        result = floor_table(suite, method, training, arguments.steps)
    else:
        builder = partial(build_any, sizes, budget)
        costs = measure_costs(builder, arguments.runs, arguments.rounds, arguments.steps)
        result = [cost.row() for cost in costs]
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        write_text(arguments.out, text)


if __name__ == "__main__":
    main()
