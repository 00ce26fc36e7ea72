"""What the Snakefile asks: which files a rule needs, and which settings and code it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from nexusflow.config.bindings.registry import BINDINGS
from nexusflow.config.fingerprint import (
    ANALYSIS_MODULES,
    PAPER_MODULES,
    QUALITATIVE_MODULES,
    code_fingerprint,
)
from nexusflow.config.layout import CHECKPOINT_FILES, Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.config.outputs import ABLATIONS, FIGURES, TABLES, VIDEOS, is_on_request
from nexusflow.config.paper_runs import ANALYSIS_BEHIND, runs_behind
from nexusflow.config.sections import paper_section, section
from nexusflow.config.workflow_pictures import PictureInputs
from nexusflow.core.errors import UserError

__all__ = ["Pipeline"]


class Pipeline(PictureInputs):
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
        """Every table, figure and video that is published under results/ without being asked for by name."""
        tables = [f"{name}.{ending}" for name in TABLES if self._offered(name) for ending in ("csv", "md")]
        figures = [f"{name}.{ending}" for name in FIGURES if self._offered(name) for ending in ("png", "pdf")]
        return tables + figures + [f"{name}.gif" for name in VIDEOS if self._offered(name)]

    def _offered(self, output: str) -> bool:
        """Whether an output needs no request by name, and the default scale has a suite that it shows."""
        suites = {item.suite for item in runs_behind(self.main.paper, output)}
        return not is_on_request(output) and any(getattr(self.main.scale, suite) for suite in suites)

    def of(self, scale: str) -> Configuration:
        """Configuration of a scale."""
        return self._scales[scale]

    @property
    def suite_pattern(self) -> str:
        """Regular expression of the suites."""
        return "|".join(sorted(BINDINGS))

    def settings(self, verb: str, wildcards: Any, **more: str) -> str:
        """Everything in the configuration that a verb reads for these wildcards, as canonical text."""
        values = {**dict(wildcards.items()), **more}
        return section(self.of(values["scale"]), verb, values)

    def paper_settings(self, output: str, wildcards: Any) -> str:
        """Everything in the configuration that a table or figure reads, as canonical text."""
        return paper_section(self.of(wildcards.scale), output)

    @staticmethod
    def code(verb: str, suite: str) -> str:
        """Fingerprint of the code that a verb runs."""
        return code_fingerprint(BINDINGS[suite].modules[verb])

    def prediction_code(self, wildcards: Any, suite: str) -> str:
        """Fingerprint of the code that predicts with a run."""
        modules = BINDINGS[suite].modules
        again = self.of(wildcards.scale).row(suite, wildcards.run).reestimate_normalisation is not None
        return code_fingerprint((*modules["predict"], *(modules["reestimate"] if again else ())))

    def training_code(self, wildcards: Any) -> str:
        """Fingerprint of the code that trains a run."""
        run = self.of(wildcards.scale).resolve(wildcards.suite, wildcards.run)
        return code_fingerprint(BINDINGS[wildcards.suite].training_modules(run.method))

    def cost_code(self, wildcards: Any, suite: str) -> str:
        """Fingerprint of the code whose training steps are measured."""
        configuration, binding = self.of(wildcards.scale), BINDINGS[suite]
        methods = [configuration.resolve(suite, run).method for run in self._cost_runs(configuration, suite)]
        modules = {name for method in methods for name in binding.training_modules(method)}
        return code_fingerprint((*binding.modules["cost"], *sorted(modules)))

    @staticmethod
    def _cost_runs(configuration: Configuration, suite: str) -> list[str]:
        rows = [item for item in runs_behind(configuration.paper, "table5") if item.suite == suite]
        return [item.run for item in rows if not configuration.row(suite, item.run).is_declared_only]

    @staticmethod
    def paper_code(output: str) -> str:
        """Fingerprint of the code that writes a table or figure."""
        return code_fingerprint(PAPER_MODULES[output])

    def cache_names(self, suite: str) -> tuple[str, ...]:
        """Names of the files of a suite's decoded data."""
        return BINDINGS[suite].cache_files

    def prediction_names(self, suite: str) -> tuple[str, ...]:
        """Names of the files of a suite's predictions."""
        return BINDINGS[suite].prediction_files

    def scored_names(self, suite: str) -> tuple[str, ...]:
        """Names of the prediction files that scoring reads."""
        return BINDINGS[suite].scored_files

    @staticmethod
    def qualitative_code(figure: str) -> str:
        """Fingerprint of the code that collects what a qualitative figure draws."""
        return code_fingerprint(QUALITATIVE_MODULES[figure])

    def cache_files(self, scale: str, suite: str, world: str) -> list[str]:
        """Files of the decoded data of a world."""
        folder = Layout(scale).cache(suite, world)
        return [f"{folder}/{name}" for name in self.cache_names(suite)]

    def default_cache_files(self, wildcards: Any, suite: str) -> list[str]:
        """Files of the decoded data of the world that runs use by default."""
        return self.cache_files(wildcards.scale, suite, self.of(wildcards.scale).suite(suite).default_world)

    @property
    def checkpoint_names(self) -> tuple[str, ...]:
        """Names of the files that training publishes."""
        return CHECKPOINT_FILES

    def run_files(self, scale: str, suite: str, run: str, seed: int | str) -> list[str]:
        """Files that training publishes."""
        folder = Layout(scale).checkpoint(suite, run, seed)
        return [f"{folder}/{name}" for name in CHECKPOINT_FILES]

    def weights_inputs(self, wildcards: Any, suite: str) -> list[str]:
        """Weights that a run predicts with, its own or those that its row names, and where they come from."""
        source = self.of(wildcards.scale).weights_of(suite, wildcards.run)
        folder = Layout(wildcards.scale).checkpoint(suite, source, wildcards.seed)
        return [str(folder / name) for name in ("model.safetensors", "provenance.json")]

    def prediction_files(self, scale: str, suite: str, run: str, seed: int | str) -> list[str]:
        """Files that prediction publishes."""
        folder = Layout(scale).predictions(suite, run, seed)
        return [f"{folder}/{name}" for name in self.prediction_names(suite)]

    def training_inputs(self, wildcards: Any, suite: str | None = None) -> list[str]:
        """Decoded data, partition and initial weights of a run."""
        name = suite or wildcards.suite
        run = self.of(wildcards.scale).resolve(name, wildcards.run)
        files = [*self._run_data(wildcards.scale, name, wildcards.run), *run.weights_files]
        if run.init is not None:
            start = Layout(wildcards.scale).checkpoint(name, run.init, wildcards.seed)
            files.append(str(start / "model.safetensors"))
        return files

    def _run_data(self, scale: str, suite: str, run: str) -> list[str]:
        resolved = self.of(scale).resolve(suite, run)
        table = Layout(scale).partition(suite, resolved.world, resolved.partition)
        return [*self.cache_files(scale, suite, resolved.world), str(table)]

    def features_inputs(self, wildcards: Any) -> list[str]:
        """Decoded data, the partition that names the domains, and weights of a run."""
        scale, suite = wildcards.scale, wildcards.suite
        world, layout = self.world_of(scale, suite, wildcards.run), Layout(scale)
        table = layout.partition(suite, world, self.of(scale).suite(suite).default_partition)
        weights = self.run_files(scale, suite, wildcards.run, wildcards.seed)
        return [*self.cache_files(scale, suite, world), str(table), *weights]

    def analysis_inputs(self, wildcards: Any) -> list[str]:
        """Features that an analysis reads, and for Lemma 1 the surrogates themselves."""
        layout, run = Layout(wildcards.scale), (wildcards.suite, wildcards.run, wildcards.seed)
        features = layout.features(*run)
        files = [str(features), str(features.with_suffix(".json"))]
        if wildcards.kind == "lemma":
            files.append(str(layout.checkpoint(*run) / "method.safetensors"))
        return files

    def analysis_files(self, output: str, scale: str) -> list[str]:
        """Analyses of the runs behind a table or figure, of the suites that the scale has."""
        configuration, kind = self.of(scale), ANALYSIS_BEHIND[output]
        paths = [
            Layout(scale).analysis(kind, item.suite, item.run, seed)
            for item in runs_behind(configuration.paper, output)
            if getattr(configuration.scale, item.suite) is not None
            if not configuration.row(item.suite, item.run).is_declared_only
            for seed in item.seeds or self.seeds
        ]
        arrays = [] if kind == "mmd" else [path.with_suffix(".npz") for path in paths]
        return [str(path) for path in (*paths, *arrays)]

    def analysis_settings(self, wildcards: Any) -> str:
        """Everything in the configuration that an analysis of features reads, as canonical text."""
        return self.of(wildcards.scale).scale.analysis.model_dump_json()

    @staticmethod
    def analysis_code(kind: str) -> str:
        """Fingerprint of the code of an analysis of features."""
        return code_fingerprint(ANALYSIS_MODULES[kind])

    def cost_inputs(self, wildcards: Any) -> list[str]:
        """Data of the runs whose training steps are measured."""
        found = [
            file
            for run in self._cost_runs(self.of(wildcards.scale), "nyuv2")
            for file in self._run_data(wildcards.scale, "nyuv2", run)
        ]
        return list(dict.fromkeys(found))

    def evaluation_inputs(self, wildcards: Any) -> list[str]:
        """Data root's manifest, decoded data and predictions of a run."""
        world = self.world_of(wildcards.scale, wildcards.suite, wildcards.run)
        manifest = Layout(wildcards.scale).data(wildcards.suite, world) / "manifest.json"
        files = [str(manifest), *self.cache_files(wildcards.scale, wildcards.suite, world)]
        folder = Layout(wildcards.scale).predictions(wildcards.suite, wildcards.run, wildcards.seed)
        return files + [str(folder / name) for name in self.scored_names(wildcards.suite)]

    def world_of(self, scale: str, suite: str, run: str) -> str:
        """World that a run, or the reference without a model, is evaluated in."""
        return BINDINGS[suite].world_of(self.of(scale), run)

    def metrics_files(self, scale: str, suite: str, run: str, seeds: list[int] | None = None) -> list[str]:
        """Metrics of a run over the seeds; none for a run that is only declared."""
        if run != "trivial" and self.of(scale).row(suite, run).is_declared_only:
            return []
        chosen = [0] if run == "trivial" else seeds or self.seeds
        return [str(Layout(scale).metrics(suite, run, seed)) for seed in chosen]

    def paper_inputs(self, output: str, scale: str) -> list[str]:
        """Metrics files that a table or figure reads."""
        return [
            file
            for item in runs_behind(self.of(scale).paper, output)
            for file in self.metrics_files(scale, item.suite, item.run, list(item.seeds or self.seeds))
        ]

    def log_inputs(self, output: str, scale: str) -> list[str]:
        """Training logs that a figure reads."""
        return [
            str(Layout(scale).checkpoint(item.suite, item.run, seed) / "log.csv")
            for item in runs_behind(self.of(scale).paper, output)
            for seed in self.seeds
        ]

    def qualitative_inputs(self, output: str, wildcards: Any) -> list[str]:
        """Predictions of the runs that a qualitative figure shows, and the data behind them."""
        part = getattr(self.of(wildcards.scale).paper, output)
        items = runs_behind(self.of(wildcards.scale).paper, output)
        files = self.default_cache_files(wildcards, items[0].suite)
        for item in items:
            files += self.prediction_files(wildcards.scale, item.suite, item.run, part.seed)
        return files

    def _table_runs(self, suite: str, without: tuple[str, ...] = ()) -> list[str]:
        """Runs of a suite behind the tables that are made without being asked for by name."""
        found = [
            item.run
            for output in TABLES
            if not is_on_request(output) and output not in without
            for item in runs_behind(self.main.paper, output)
            if item.suite == suite and item.run != "trivial"
        ]
        return [run for run in dict.fromkeys(found) if not self.main.row(suite, run).is_declared_only]

    def stage_partitions(self, suite: str) -> list[str]:
        """Partition tables of the default scale's runs in the default world."""
        layout, runs = Layout(self.main.scale_name), self._table_runs(suite)
        resolved = [self.main.resolve(suite, run) for run in runs]
        tables = [str(layout.partition(suite, run.world, run.partition)) for run in resolved]
        return list(dict.fromkeys(tables))

    def stage_runs(self, stage: str, suite: str) -> list[str]:
        """Runs that a stage of dvc.yaml trains: a budget of the main tables' runs, or `ablations`."""
        main = self._table_runs(suite, without=ABLATIONS)
        if stage == "ablations":
            return [run for run in self._table_runs(suite) if run not in main]
        return [run for run in main if self.main.row(suite, run).budget == stage]

    def stage_files(self, stage: str) -> list[str]:
        """Trained weights of the default scale's runs of a stage."""
        scale = self.main.scale_name
        return [
            file
            for suite in BINDINGS
            for run in self.stage_runs(stage, suite)
            for seed in self.seeds
            for file in self.run_files(scale, suite, run, seed)
        ]

    def stage_analyses(self) -> list[str]:
        """Analyses of features behind the default scale's tables and figures."""
        scale = self.main.scale_name
        files = [file for output in ANALYSIS_BEHIND for file in self.analysis_files(output, scale)]
        return list(dict.fromkeys(files))

    def stage_metrics(self, suite: str) -> list[str]:
        """Metrics of the default scale's runs."""
        runs = [*self._table_runs(suite), "trivial"]
        scale = self.main.scale_name
        return [file for run in runs for file in self.metrics_files(scale, suite, run)]
