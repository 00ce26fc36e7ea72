"""What the Snakefile asks: which files a rule needs, and which settings and code it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from nexusflow.config.fingerprint import code_fingerprint
from nexusflow.config.layout import CACHE_FILES, CHECKPOINT_FILES, PREDICTION_FILES, Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.config.sections import section
from nexusflow.core.errors import UserError

__all__ = ["FIGURES", "TABLES", "Pipeline"]

TABLES = ("table2", "comparison", "alignment_options", "gap_sweep")
FIGURES = ("figure6", "comparison", "collapse", "learning_curves", "gap_sweep")
# The sweep trains a dozen further models, so it is made when it is asked for by name only.
_ON_REQUEST = ("gap_sweep",)


class Pipeline:
    """The configuration of every scale, as the rules see it.

    Args:
        command_line: what Snakemake read from config.yaml and --config; only `scale` and `seeds` count.
        folder: the config/ folder.

    Raises:
        SystemExit: with one sentence, for any mistake in the configuration, before a job is planned.
    """

    def __init__(self, command_line: Mapping[str, Any], folder: Path) -> None:
        unknown = sorted(set(command_line) - {"scale", "seeds"})
        try:
            if unknown:
                raise UserError(
                    f"--config {unknown[0]}: only `scale` and `seeds` can be set; edit the files in {folder}."
                )
            self.main: Configuration = load_configuration(folder, str(command_line["scale"]))
            self.seeds = self._seeds(command_line.get("seeds"))
            self._scales = {self.main.scale_name: self.main}
            for path in sorted((folder / "scales").glob("*.yaml")):
                if path.stem != self.main.scale_name:
                    self._scales[path.stem] = load_configuration(folder, path.stem)
            for configuration in self._scales.values():
                configuration.check()
        except UserError as error:
            raise SystemExit(f"error: {error}") from None

    @staticmethod
    def _seeds(value: Any) -> list[int]:
        seeds = value if isinstance(value, list | tuple) else str(value).split(",")
        try:
            numbers = [int(seed) for seed in seeds]
        except (TypeError, ValueError) as error:
            raise UserError(f"--config seeds: whole numbers are wanted, got {value!r}.") from error
        if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
            raise UserError(f"--config seeds: different whole numbers from 0 are wanted, got {value!r}.")
        return numbers

    @cached_property
    def scale_pattern(self) -> str:
        """Regular expression of the known scales."""
        return "|".join(sorted(self._scales))

    @property
    def seed_options(self) -> str:
        """The seeds as options of the command line."""
        return " ".join(f"--seeds {seed}" for seed in self.seeds)

    @property
    def targets(self) -> list[str]:
        """Every table and figure that is published under results/ without being asked for by name."""
        tables = [
            f"{name}.{ending}" for name in TABLES if name not in _ON_REQUEST for ending in ("csv", "md")
        ]
        figures = [
            f"{name}.{ending}" for name in FIGURES if name not in _ON_REQUEST for ending in ("png", "pdf")
        ]
        return tables + figures

    def of(self, scale: str) -> Configuration:
        """Configuration of a scale."""
        return self._scales[scale]

    def settings(self, verb: str, wildcards: Any) -> str:
        """Everything in the configuration that a verb reads for these wildcards, as canonical text."""
        values = dict(wildcards.items())
        return section(self.of(values["scale"]), verb, values)

    @staticmethod
    def code(verb: str) -> str:
        """Fingerprint of the code that a verb runs."""
        return code_fingerprint(verb)

    def cache_files(self, scale: str, suite: str, world: str) -> list[str]:
        """Files of the decoded data of a world."""
        return [str(Layout(scale).cache(suite, world) / name) for name in CACHE_FILES]

    def run_files(self, scale: str, suite: str, run: str, seed: int | str) -> list[str]:
        """Files that training publishes."""
        return [str(Layout(scale).checkpoint(suite, run, seed) / name) for name in CHECKPOINT_FILES]

    def prediction_files(self, scale: str, suite: str, run: str, seed: int | str) -> list[str]:
        """Files that prediction publishes."""
        return [str(Layout(scale).predictions(suite, run, seed) / name) for name in PREDICTION_FILES]

    def training_inputs(self, wildcards: Any) -> list[str]:
        """Decoded data, partition and initial weights of a run."""
        run = self.of(wildcards.scale).resolve(wildcards.suite, wildcards.run)
        layout = Layout(wildcards.scale)
        files = self.cache_files(wildcards.scale, wildcards.suite, run.world)
        files.append(str(layout.partition(wildcards.suite, run.world, run.partition)))
        if run.init is not None:
            files.append(
                str(layout.checkpoint(wildcards.suite, run.init, wildcards.seed) / "model.safetensors")
            )
        return files

    def evaluation_inputs(self, wildcards: Any) -> list[str]:
        """Data root's manifest and decoded data of the world a run lives in."""
        world = self.world_of(wildcards.scale, wildcards.suite, wildcards.run)
        manifest = Layout(wildcards.scale).data(wildcards.suite, world) / "manifest.json"
        return [str(manifest), *self.cache_files(wildcards.scale, wildcards.suite, world)]

    def world_of(self, scale: str, suite: str, run: str) -> str:
        """World that a run, or the reference without a model, is evaluated in."""
        return "street" if run == "trivial" else self.of(scale).row(suite, run).world

    def metrics_files(
        self, scale: str, run: str, seeds: list[int] | None = None, suite: str = "nuscenes"
    ) -> list[str]:
        """Metrics of a run over the seeds; none for a run that is only declared."""
        if run != "trivial" and self.of(scale).row(suite, run).is_declared_only:
            return []
        chosen = [0] if run == "trivial" else seeds or self.seeds
        return [str(Layout(scale).metrics(suite, run, seed)) for seed in chosen]

    def paper_inputs(self, output: str, scale: str) -> list[str]:
        """Result files that a table or figure reads."""
        paper = self.of(scale).paper
        if output in ("table2", "alignment_options"):
            rows = [(row.run, list(row.seeds) if row.seeds else None) for row in getattr(paper, output).rows]
            return [file for run, seeds in rows for file in self.metrics_files(scale, run, seeds)]
        if output == "comparison":
            runs = [label.run for label in (*paper.comparison.treatments, *paper.comparison.references)]
            return [file for run in runs for file in self.metrics_files(scale, run)]
        if output == "gap_sweep":
            runs = [run for point in paper.gap_sweep.points for run in (point.full, point.baseline)]
            return [file for run in runs for file in self.metrics_files(scale, run)]
        labels = paper.collapse.runs if output == "collapse" else paper.learning_curves.runs
        return [
            str(Layout(scale).checkpoint("nuscenes", label.run, seed) / "log.csv")
            for label in labels
            for seed in self.seeds
        ]

    def _table_runs(self) -> list[str]:
        """Runs behind the tables and figures that are made without being asked for by name."""
        paper = self.main.paper
        rows = [
            row.run for row in (*paper.table2.rows, *paper.alignment_options.rows) if row.run != "trivial"
        ]
        return [run for run in dict.fromkeys(rows) if not self.main.row("nuscenes", run).is_declared_only]

    def stage_files(self, budget: str) -> list[str]:
        """Trained weights of the default scale's runs with one budget."""
        runs = [run for run in self._table_runs() if self.main.row("nuscenes", run).budget == budget]
        scale = self.main.scale_name
        return [
            file
            for run in runs
            for seed in self.seeds
            for file in self.run_files(scale, "nuscenes", run, seed)
        ]

    def stage_metrics(self) -> list[str]:
        """Metrics of the default scale's runs."""
        runs = [*self._table_runs(), "trivial"]
        return [file for run in runs for file in self.metrics_files(self.main.scale_name, run)]

    def figure6_inputs(self, wildcards: Any) -> list[str]:
        """Predictions of the two runs that Figure 6 compares, and the data behind them."""
        figure = self.of(wildcards.scale).paper.figure6
        files: list[str] = []
        for label in (figure.baseline, figure.ours):
            files += self.prediction_files(wildcards.scale, "nuscenes", label.run, figure.seed)
        return files + self.cache_files(wildcards.scale, "nuscenes", "street")
