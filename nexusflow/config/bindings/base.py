"""What the verbs of the command line and the workflow ask of a suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from nexusflow.config.checks import parts_of
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration
from nexusflow.methods.section import MethodSection

if TYPE_CHECKING:
    from torch import Tensor

    from nexusflow.core.outline import ModelOutline
    from nexusflow.suites.base import Suite
    from nexusflow.suites.taps import TapReader

__all__ = ["SuiteBinding"]


class SuiteBinding(ABC):
    """One suite, seen from the verbs; heavy imports happen inside the methods.

    Attributes:
        name: suite name.
        cache_files: names of the files of the decoded data.
        prediction_files: names of the files that prediction writes.
        scored_files: those of them that scoring reads.
        modules: verb → modules whose code the verb runs, directly; "canvases": what training runs as well
            with a method that looks at the tasks as images.
    """

    name: ClassVar[str]
    cache_files: ClassVar[tuple[str, ...]]
    prediction_files: ClassVar[tuple[str, ...]]
    scored_files: ClassVar[tuple[str, ...]]
    modules: ClassVar[dict[str, tuple[str, ...]]]

    def training_modules(self, method: MethodSection) -> tuple[str, ...]:
        """List the modules whose code a training run depends on: its own method's, and no other's.

        Args:
            method: the method's section.

        Returns:
            Module names.
        """
        canvases = self.modules.get("canvases", ()) if method.needs_canvases else ()
        parts = (part.module for part in parts_of(method))
        return (*self.modules["train"], *dict.fromkeys((method.module, *parts)), *canvases)

    @abstractmethod
    def settings(self, config: Configuration, verb: str, values: dict[str, str]) -> dict[str, Any]:
        """Collect what a verb reads of the configuration.

        Args:
            config: the configuration of a scale.
            verb: data, cache, partition, predict, evaluate, reference or another key of `modules`.
            values: wildcards of the rule.

        Returns:
            Plain data; nothing else makes the verb run again.
        """

    @abstractmethod
    def make_data(self, config: Configuration, layout: Layout, world: str, workers: int) -> None:
        """Generate or fetch the data set of a world.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
            world: name of the world.
            workers: processes.

        Raises:
            UserError: for an unknown world or data that cannot be had.
        """

    @abstractmethod
    def make_cache(self, config: Configuration, layout: Layout, world: str, workers: int) -> None:
        """Decode a data set once, into memory-mapped files.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
            world: name of the world.
            workers: processes.

        Raises:
            UserError: for a missing or malformed file.
        """

    @abstractmethod
    def make_partition(self, config: Configuration, layout: Layout, world: str, kind: str) -> None:
        """Write the table that says which labels are shown.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
            world: name of the world.
            kind: kind of partition.

        Raises:
            UserError: for an unknown kind.
        """

    @abstractmethod
    def make_suite(self, config: Configuration, layout: Layout, run: str, seed: int) -> Suite:
        """Build data, model and losses of a run, ready for training.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
            run: row name.
            seed: the run's seed.

        Returns:
            The suite.

        Raises:
            UserError: for missing inputs or a configuration that does not fit them.
        """

    @abstractmethod
    def predict(self, config: Configuration, layout: Layout, run: str, seed: int) -> None:
        """Write what a trained model says about the validation split.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
            run: row name.
            seed: the run's seed.

        Raises:
            UserError: if the run was not trained or was trained with another architecture.
        """

    @abstractmethod
    def tap_reader(self, config: Configuration, layout: Layout, run: str, seed: int) -> tuple[TapReader, str]:
        """Load a trained model, to look at frames with it.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
            run: row name.
            seed: the run's seed.

        Returns:
            The reader, and the hash of the model's configuration.

        Raises:
            UserError: if the run was not trained or was trained with another architecture.
        """

    def feature_settings(self, config: Configuration, run: str) -> dict[str, Any]:
        """Collect what the extraction of a run's features reads of the configuration.

        Args:
            config: the configuration of a scale.
            run: row name.

        Returns:
            Plain data.
        """
        resolved, section = config.resolve(self.name, run), config.suite(self.name)
        return {
            "run": resolved.model_dump(mode="json", include={"method", "model", "world"}),
            "surrogates": config.method(self.name, "nexusflow").model_dump(mode="json"),
            "features": section.features.model_dump(mode="json"),
            "threads": resolved.training.threads,
        }

    def outline_settings(self, config: Configuration, run: str) -> dict[str, Any]:
        """Collect what the outline of a run's model reads of the configuration.

        Args:
            config: the configuration of a scale.
            run: row name.

        Returns:
            Plain data.
        """
        resolved = config.resolve(self.name, run)
        kept = {"run", "partition", "init", "method", "model"}
        training = {"clip_length", "freeze_encoder", "threads"}
        return {
            **resolved.model_dump(mode="json", include=kept, exclude={"model": {"thresholds"}}),
            "training": resolved.training.model_dump(mode="json", include=training),
            "description": config.scale.description,
        }

    @abstractmethod
    def outline(self, config: Configuration, run: str) -> tuple[ModelOutline, dict[str, dict[str, Tensor]]]:
        """Build the model of a run, untrained, and say what it is made of.

        Args:
            config: the configuration of a scale.
            run: row name.

        Returns:
            Parts, shapes and numbers of parameters; and the taps of one sample.
        """

    @abstractmethod
    def predict_reference(self, config: Configuration, layout: Layout) -> None:
        """Write the predictions of the trivial reference.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
        """

    @abstractmethod
    def score(
        self, config: Configuration, layout: Layout, run: str, seed: int, workers: int
    ) -> dict[str, Any]:
        """Score the prediction files of a run.

        Args:
            config: the configuration of a scale.
            layout: where files lie.
            run: row name, or `trivial`.
            seed: the run's seed.
            workers: processes.

        Returns:
            Keys `metrics` (region → metric → value), `check`, `resampled` (see
            `nexusflow.evaluation.resampling`), and what else metrics.json shall say.

        Raises:
            UserError: for missing or malformed prediction files.
        """

    def world_of(self, config: Configuration, run: str) -> str:
        """World that a run, or the trivial reference, lives in.

        Args:
            config: the configuration of a scale.
            run: row name, or `trivial`.

        Returns:
            Name of the world.
        """
        default = config.suite(self.name).default_world
        return default if run == "trivial" else config.row(self.name, run).world or default
