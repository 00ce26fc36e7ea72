"""Segmentation, depth and surface normals on NYUv2, seen from the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nexusflow.config.bindings.base import SuiteBinding
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.config.schema import NYUv2Run

if TYPE_CHECKING:
    from torch import Tensor

    from nexusflow.core.outline import ModelOutline
    from nexusflow.suites.base import Suite
    from nexusflow.suites.taps import TapReader

__all__ = ["NYUv2Binding"]


class NYUv2Binding(SuiteBinding):
    """The suite `nyuv2`; see `SuiteBinding` for the methods."""

    name = "nyuv2"
    cache_files = ("images.npy", "labels.npy", "depth.npy", "normals.npy", "index.json")
    prediction_files = ("segmentation.npy", "depth.npy", "normal.npy")
    scored_files = ("segmentation.npy", "depth.npy", "normal.npy")
    modules = {  # noqa: RUF012
        "data": ("nexusflow.data.worlds.rooms.generate", "nexusflow.data.nyuv2.source"),
        "cache": ("nexusflow.data.nyuv2.build",),
        "partition": ("nexusflow.data.nyuv2.partition",),
        "partition_report": ("nexusflow.analysis.cluster_gap",),
        "train": ("nexusflow.training.run", "nexusflow.suites.nyuv2.suite"),
        "canvases": ("nexusflow.suites.nyuv2.canvases",),
        "predict": ("nexusflow.suites.nyuv2.predict",),
        "reestimate": ("nexusflow.suites.nyuv2.normalisation",),
        "features": (
            "nexusflow.training.features",
            "nexusflow.training.surrogates",
            "nexusflow.suites.nyuv2.features",
            "nexusflow.methods.nexusflow",
        ),
        "outline": ("nexusflow.suites.nyuv2.outline", "nexusflow.methods.nexusflow"),
        "evaluate": ("nexusflow.evaluation.dense",),
        "reference": ("nexusflow.evaluation.dense_reference",),
        "cost": ("nexusflow.training.cost", "nexusflow.suites.nyuv2.suite"),
    }

    def settings(self, config: Configuration, verb: str, values: dict[str, str]) -> dict[str, Any]:
        """See `SuiteBinding.settings`."""
        section = config.nyuv2
        if verb == "data":
            return config.world(self.name, values["world"]).model_dump(mode="json")
        if verb == "cache":
            return section.reader.model_dump(mode="json")
        if verb in ("partition", "partition_report"):
            return {"kind": values["kind"], "seed": section.partition_seed}
        if verb == "predict":
            run = self._run(config, values["run"])
            content = {"model": run.model.model_dump(mode="json"), "threads": run.training.threads}
            mode = config.row(self.name, values["run"]).reestimate_normalisation
            return content | ({"reestimate_normalisation": mode} if mode else {})
        if verb == "features":
            return self.feature_settings(config, values["run"])
        if verb == "outline":
            reader = section.reader.model_dump(mode="json", include={"image_height", "image_width"})
            return {**self.outline_settings(config, values["run"]), "reader": reader}
        return {}

    def _run(self, config: Configuration, run: str) -> NYUv2Run:
        resolved = config.resolve(self.name, run)
        assert isinstance(resolved, NYUv2Run)
        return resolved

    def _open_cache(self, layout: Layout, world: str) -> Any:
        from nexusflow.data.nyuv2.cache import NYUv2Cache

        return NYUv2Cache.open(layout.cache(self.name, world))

    def make_data(self, config: Configuration, layout: Layout, world: str, workers: int) -> None:
        """See `SuiteBinding.make_data`."""
        from nexusflow.data.worlds.rooms.config import RoomsWorldConfig

        source, root = config.world(self.name, world), layout.data(self.name, world)
        if isinstance(source, RoomsWorldConfig):
            from nexusflow.data.worlds.rooms.generate import generate_rooms_world

            generate_rooms_world(source, root, workers)
        else:
            from nexusflow.data.nyuv2.source import fetch_nyuv2

            fetch_nyuv2(source, config.nyuv2.reader, root, workers)

    def make_cache(self, config: Configuration, layout: Layout, world: str, workers: int) -> None:
        """See `SuiteBinding.make_cache`."""
        from nexusflow.data.nyuv2.build import build_cache

        root, folder = layout.data(self.name, world), layout.cache(self.name, world)
        build_cache(config.nyuv2.reader, root, folder, workers=workers)

    def make_partition(self, config: Configuration, layout: Layout, world: str, kind: str) -> None:
        """See `SuiteBinding.make_partition`."""
        from nexusflow.data.nyuv2.partition import build_image_partition, write_image_partition

        cache = self._open_cache(layout, world)
        table = build_image_partition(cache, kind, seed=config.nyuv2.partition_seed)
        write_image_partition(table, layout.partition(self.name, world, kind))

    def make_suite(self, config: Configuration, layout: Layout, run: str, seed: int) -> Suite:
        """See `SuiteBinding.make_suite`."""
        from nexusflow.data.nyuv2.partition import read_image_partition
        from nexusflow.suites.nyuv2.suite import ImagePlan, NYUv2Suite

        resolved = self._run(config, run)
        plan = ImagePlan(resolved.training.batch_size, seed, resolved.training.augmentation)
        partition = read_image_partition(layout.partition(self.name, resolved.world, resolved.partition))
        cache = self._open_cache(layout, resolved.world)
        canvases = None
        if resolved.method.needs_canvases:
            from nexusflow.suites.nyuv2.canvases import ImageCanvases

            canvases = ImageCanvases(resolved.model, cache, partition)
        return NYUv2Suite(cache, partition, resolved.model, plan, canvases)

    def predict(self, config: Configuration, layout: Layout, run: str, seed: int) -> None:
        """See `SuiteBinding.predict`."""
        from nexusflow.suites.nyuv2.predict import predict_images
        from nexusflow.suites.nyuv2.suite import architecture_of, build_model
        from nexusflow.training.checkpoint import load_weights
        from nexusflow.training.determinism import make_deterministic

        resolved = self._run(config, run)
        make_deterministic(seed, resolved.training.threads)
        model = build_model(resolved.model, seed)
        source = layout.checkpoint(self.name, config.weights_of(self.name, run), seed)
        load_weights(source / "model.safetensors", model, architecture_of(resolved.model))
        cache, output = self._open_cache(layout, resolved.world), layout.predictions(self.name, run, seed)
        mode, title = config.row(self.name, run).reestimate_normalisation, f"{run}, seed {seed}"
        if mode is None:
            predict_images(model.eval(), cache, output, title)
        else:
            from nexusflow.data.nyuv2.partition import read_image_partition
            from nexusflow.suites.nyuv2.normalisation import predict_reestimated

            table = layout.partition(self.name, resolved.world, resolved.partition)
            predict_reestimated(model, cache, read_image_partition(table), mode, output, title)

    def tap_reader(self, config: Configuration, layout: Layout, run: str, seed: int) -> tuple[TapReader, str]:
        """See `SuiteBinding.tap_reader`; the default partition's clusters are the domains of all runs."""
        from nexusflow.data.nyuv2.partition import read_image_partition
        from nexusflow.suites.nyuv2.features import NYUv2Taps
        from nexusflow.suites.nyuv2.suite import architecture_of, build_model
        from nexusflow.training.checkpoint import load_weights

        resolved = self._run(config, run)
        model, architecture = build_model(resolved.model, seed), architecture_of(resolved.model)
        load_weights(layout.checkpoint(self.name, run, seed) / "model.safetensors", model, architecture)
        table = layout.partition(self.name, resolved.world, config.nyuv2.default_partition)
        cache = self._open_cache(layout, resolved.world)
        return NYUv2Taps(cache, model, read_image_partition(table)), architecture

    def outline(self, config: Configuration, run: str) -> tuple[ModelOutline, dict[str, dict[str, Tensor]]]:
        """See `SuiteBinding.outline`."""
        from nexusflow.suites.nyuv2.outline import outline_model

        resolved, reader = self._run(config, run), config.nyuv2.reader
        size = (reader.image_height, reader.image_width)
        return outline_model(resolved.model, size, resolved.training.freeze_encoder)

    def predict_reference(self, config: Configuration, layout: Layout) -> None:
        """Most frequent class, mean depth, mean normal; see `SuiteBinding.predict_reference`."""
        from nexusflow.evaluation.dense_reference import write_dense_reference

        cache = self._open_cache(layout, config.nyuv2.default_world)
        write_dense_reference(layout.predictions(self.name, "trivial", 0), cache)

    def score(
        self, config: Configuration, layout: Layout, run: str, seed: int, workers: int
    ) -> dict[str, Any]:
        """See `SuiteBinding.score`."""
        from nexusflow.evaluation.dense import DenseMetrics, compare_images
        from nexusflow.evaluation.dense_predictions import DensePredictions
        from nexusflow.evaluation.resampling import resample_dense

        predictions = DensePredictions.open(layout.predictions(self.name, run, seed))
        cache = self._open_cache(layout, self.world_of(config, run))
        images = compare_images(predictions, cache, split="val")
        metrics = {"overall": DenseMetrics.joined(images).compute()}
        return {"metrics": metrics, "check": {}, "resampled": resample_dense(images)}
