"""What the Snakefile asks about the ledger of claims and the report, which sum up everything else."""

from __future__ import annotations

import json
from pathlib import Path

from nexusflow.config.bindings.registry import BINDINGS
from nexusflow.config.contexts import suite_contexts
from nexusflow.config.fingerprint import code_fingerprint
from nexusflow.config.layout import Layout
from nexusflow.config.ledger import claim_paths, claim_settings
from nexusflow.config.outputs import PLOTS_OF_TABLES
from nexusflow.config.workflow import Pipeline
from nexusflow.paper.report.present import find_files

__all__ = ["Closing"]

_STAGES = ("pretrain", "finetune", "ablations")
_LEDGER = ("claims.csv", "claims_parts.csv", "claims.md")
_PAGE = Path("nexusflow/paper/report")


class Closing:
    """Inputs of the ledger and the report: what is there, or everything that is being made.

    Asked for by name they train nothing. Asked for with everything else they wait for it; only then do
    they name files that are not there yet.

    Args:
        pipeline: the configuration of every scale.
    """

    names = ("claims.csv", "claims.md", "report.html")

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def _expected(self, scale: str, with_all: bool) -> list[str]:
        """Files of the runs that everything else makes; it makes the default scale only."""
        if not with_all or scale != self.pipeline.main.scale_name:
            return []
        files = [file for stage in _STAGES for file in self.pipeline.stage_files(stage)]
        for output in ("table1", "figure3", "figure5"):
            files += self.pipeline.analysis_files(output, scale)
        return files + [file for suite in BINDINGS for file in self.pipeline.stage_metrics(suite)]

    def claim_inputs(self, scale: str, with_all: bool) -> list[str]:
        """Result files behind the claims."""
        expected = frozenset(self._expected(scale, with_all))
        return claim_paths(self.pipeline.of(scale), Layout(scale), self.pipeline.seeds, expected)

    def claim_settings(self, scale: str) -> str:
        """What the ledger of claims reads of the configuration, as canonical text."""
        return claim_settings(self.pipeline.of(scale))

    @staticmethod
    def claims_code() -> str:
        """Fingerprint of the code that writes the ledger of claims."""
        return code_fingerprint(("nexusflow.paper.claims",))

    def report_inputs(self, scale: str, with_all: bool) -> list[str]:
        """Everything that the report shows.

        What is there goes by absolute paths. No rule makes those, so that a file whose own inputs have
        changed is shown as it is, instead of being made again with all that it takes.
        """
        present, base = find_files(Layout(scale).base), Layout(scale).base
        expected = self._expected(scale, with_all)
        if not expected:
            return [str(path.resolve()) for path in present.paths]
        waited = [str(base / name) for name in (*self.pipeline.targets, *_LEDGER)]
        waited += [str(base / f"{name}.{ending}") for name in PLOTS_OF_TABLES for ending in ("png", "pdf")]
        waited += [file for file in expected if file.endswith(("log.csv", "provenance.json"))]
        # What was made on request. Logs and times of jobs would differ from call to call.
        further = [*present.tables.values(), *present.notes.values(), *present.figures.values()]
        return waited + [str(path.resolve()) for path in further if str(path) not in waited]

    @property
    def report_templates(self) -> list[str]:
        """Files of the package that the report is written with."""
        return [str(_PAGE / "captions.yaml"), *map(str, sorted((_PAGE / "templates").iterdir()))]

    def report_settings(self, scale: str) -> str:
        """What the report reads of the configuration, as canonical text."""
        configuration = self.pipeline.of(scale)
        contexts = suite_contexts(configuration, self.pipeline.seeds)
        content = {
            "description": configuration.scale.description,
            "sources": [context.source() for context in contexts.values()],
            "paper": configuration.paper.model_dump(mode="json", exclude={"style"}),
        }
        return json.dumps(content, sort_keys=True)

    @staticmethod
    def report_code() -> str:
        """Fingerprint of the code that writes the report."""
        return code_fingerprint(("nexusflow.paper.report.page",))
