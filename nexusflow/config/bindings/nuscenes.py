"""Tracking and map segmentation on nuScenes-format data, seen from the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from nexusflow.config.bindings.base import SuiteBinding
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.schema import NuScenesRun

if TYPE_CHECKING:
    from torch import Tensor

    from nexusflow.bev.config import BEVModelConfig
    from nexusflow.core.outline import ModelOutline
    from nexusflow.suites.base import Suite
    from nexusflow.suites.taps import TapReader

__all__ = ["NuScenesBinding"]


def _architecture(config: BEVModelConfig) -> str:
    """Hash what decides the weights: a tap only shows them, so runs of another tap share phase 1."""
    from nexusflow.suites.nuscenes.suite import architecture_of

    shown = type(config).model_fields["tap"].default
    return architecture_of(config.model_copy(update={"tap": shown}))


def _learns_instances(config: BEVModelConfig) -> bool:
    """Whether the scale's model asks for the map's instances."""
    return config.map.queries == "instance"


class NuScenesBinding(SuiteBinding):
    """The suite `nuscenes`; see `SuiteBinding` for the methods."""

    name = "nuscenes"
    cache_files = ("images.npy", "map.npy", "frames.npz", "index.json")
    prediction_files = ("tracking.json", "map.npz", "tracker.json")
    scored_files = ("tracking.json", "map.npz")
    modules = {  # noqa: RUF012
        # Not the code that fetches: recorded data do not change with it.
        "data": ("nexusflow.data.worlds.street.generate",),
        "cache": ("nexusflow.data.nuscenes.cache",),
        "partition": ("nexusflow.data.partition",),
        "train": ("nexusflow.training.run", "nexusflow.suites.nuscenes.suite"),
        "canvases": ("nexusflow.suites.nuscenes.canvases",),
        "predict": ("nexusflow.suites.nuscenes.predict",),
        "features": (
            "nexusflow.training.features",
            "nexusflow.training.surrogates",
            "nexusflow.suites.nuscenes.features",
            "nexusflow.methods.nexusflow",
        ),
        "outline": ("nexusflow.suites.nuscenes.outline", "nexusflow.methods.nexusflow"),
        "evaluate": ("nexusflow.evaluation.evaluate",),
        "reference": ("nexusflow.evaluation.reference",),
    }

    def settings(self, config: Configuration, verb: str, values: dict[str, str]) -> dict[str, Any]:
        """See `SuiteBinding.settings`."""
        section = config.nuscenes
        if verb == "data":
            return config.world(self.name, values["world"]).model_dump(mode="json")
        if verb == "cache":
            read = {"version": section.version, "reader": section.reader.model_dump(mode="json")}
            return {**read, "instances": True} if _learns_instances(section.model) else read
        if verb == "partition":
            return {"kind": values["kind"]}
        if verb == "predict":
            run = self._run(config, values["run"])
            return {
                "model": run.model.model_dump(mode="json"),
                "tracker": section.tracker.model_dump(mode="json"),
                "threads": run.training.threads,
                "precision": run.training.precision,
            }
        if verb == "features":
            return self.feature_settings(config, values["run"])
        if verb == "outline":
            return self.outline_settings(config, values["run"])
        # The number of processes changes no score.
        evaluation = section.evaluation.model_dump(mode="json", exclude={"workers"})
        return {"version": section.version, "evaluation": evaluation}

    def _run(self, config: Configuration, run: str) -> NuScenesRun:
        resolved = config.resolve(self.name, run)
        assert isinstance(resolved, NuScenesRun)
        return resolved

    def _open_cache(self, layout: Layout, world: str) -> Any:
        from nexusflow.data.nuscenes.cache import NuScenesCache

        return NuScenesCache.open(layout.cache(self.name, world))

    def _partition(self, layout: Layout, run: NuScenesRun) -> dict[str, dict[str, bool]]:
        from nexusflow.data.partition import read_partition

        return read_partition(layout.partition(self.name, run.world, run.partition))

    def make_data(self, config: Configuration, layout: Layout, world: str, workers: int) -> None:
        """See `SuiteBinding.make_data`."""
        from nexusflow.data.nuscenes.source_config import NuScenesSourceConfig

        source, root = config.world(self.name, world), layout.data(self.name, world)
        if isinstance(source, NuScenesSourceConfig):
            from nexusflow.data.nuscenes.source import fetch_nuscenes

            fetch_nuscenes(source, config.nuscenes.version, root)
        else:
            from nexusflow.data.worlds.street.generate import generate_street_world

            generate_street_world(source, root, workers)

    def make_cache(self, config: Configuration, layout: Layout, world: str, workers: int) -> None:
        """See `SuiteBinding.make_cache`."""
        from nexusflow.data.nuscenes.cache import build_cache

        section = config.nuscenes
        root, folder = layout.data(self.name, world), layout.cache(self.name, world)
        instances = _learns_instances(section.model)
        build_cache(
            section.reader, root, folder, version=section.version, workers=workers, instances=instances
        )

    def make_partition(self, config: Configuration, layout: Layout, world: str, kind: str) -> None:
        """See `SuiteBinding.make_partition`."""
        from nexusflow.data.partition import build_partition, write_partition

        table = build_partition(self._open_cache(layout, world).scenes, kind, seed=0)  # type: ignore[arg-type]
        write_partition(table, layout.partition(self.name, world, kind))

    def make_suite(self, config: Configuration, layout: Layout, run: str, seed: int) -> Suite:
        """See `SuiteBinding.make_suite`."""
        from nexusflow.suites.nuscenes.initialisation import initialise
        from nexusflow.suites.nuscenes.suite import BatchPlan, NuScenesSuite

        resolved = self._run(config, run)
        plan = BatchPlan(resolved.training.clip_length, resolved.training.batch_size, seed)
        cache = self._open_cache(layout, resolved.world)
        canvases = None
        if resolved.method.needs_canvases:
            from nexusflow.suites.nuscenes.canvases import BEVCanvases

            canvases = BEVCanvases(resolved.model)
        suite = NuScenesSuite(cache, self._partition(layout, resolved), resolved.model, plan, canvases)
        suite.architecture = _architecture(resolved.model)
        if not resolved.init:  # phase 2 starts with the weights of phase 1
            initialise(suite, resolved.model)
        return suite

    def predict(self, config: Configuration, layout: Layout, run: str, seed: int) -> None:
        """See `SuiteBinding.predict`."""
        from nexusflow.suites.nuscenes.predict import PredictionJob, predict_run
        from nexusflow.suites.nuscenes.suite import build_model
        from nexusflow.training.checkpoint import load_weights
        from nexusflow.training.determinism import make_deterministic, resolve_precision

        resolved = self._run(config, run)
        make_deterministic(seed, resolved.training.threads)
        model = build_model(resolved.model, seed)
        weights = layout.checkpoint(self.name, run, seed) / "model.safetensors"
        load_weights(weights, model, _architecture(resolved.model))
        job = PredictionJob(
            model=model.eval(),
            cache=self._open_cache(layout, resolved.world),
            partition=self._partition(layout, resolved),
            tracker=config.nuscenes.tracker,
            evaluation=config.nuscenes.evaluation,
            precision=resolve_precision(resolved.training.precision),
        )
        predict_run(job, layout.predictions(self.name, run, seed), title=f"{run}, seed {seed}")

    def tap_reader(self, config: Configuration, layout: Layout, run: str, seed: int) -> tuple[TapReader, str]:
        """See `SuiteBinding.tap_reader`."""
        from nexusflow.suites.nuscenes.features import NuScenesTaps
        from nexusflow.suites.nuscenes.suite import build_model
        from nexusflow.training.checkpoint import load_weights

        resolved, features = self._run(config, run), config.nuscenes.features
        model, architecture = build_model(resolved.model, seed), _architecture(resolved.model)
        load_weights(layout.checkpoint(self.name, run, seed) / "model.safetensors", model, architecture)
        cache = self._open_cache(layout, resolved.world)
        return NuScenesTaps(cache, model, features.history, features.spacing_s), architecture

    def outline(self, config: Configuration, run: str) -> tuple[ModelOutline, dict[str, dict[str, Tensor]]]:
        """See `SuiteBinding.outline`."""
        from nexusflow.suites.nuscenes.outline import outline_model

        resolved = self._run(config, run)
        training = resolved.training
        return outline_model(resolved.model, training.clip_length, training.freeze_encoder)

    def predict_reference(self, config: Configuration, layout: Layout) -> None:
        """The best constant map, and no tracks; see `SuiteBinding.predict_reference`."""
        from nexusflow.evaluation.reference import write_reference

        section = config.nuscenes
        cache = self._open_cache(layout, section.default_world)
        write_reference(layout.predictions(self.name, "trivial", 0), cache, section.reader.bev_half_m)

    def score(
        self, config: Configuration, layout: Layout, run: str, seed: int, workers: int
    ) -> dict[str, Any]:
        """See `SuiteBinding.score`."""
        from nexusflow.evaluation.evaluate import evaluate_predictions

        section, world = config.nuscenes, self.world_of(config, run)
        metrics = evaluate_predictions(
            layout.predictions(self.name, run, seed),
            self._open_cache(layout, world),
            layout.data(self.name, world),
            version=section.version,
            split="val",
            class_range_m=cast("dict[str, float] | float | None", section.evaluation.class_range_m),
            workers=workers,
        )
        check, resampled = metrics.pop("check", {}), metrics.pop("resampled")
        generated = config.world(self.name, world).model_dump()
        gap = {"domain_gap": generated["domain_gap"]} if "domain_gap" in generated else {}
        return {"metrics": metrics, "check": check, "resampled": resampled, **gap}
