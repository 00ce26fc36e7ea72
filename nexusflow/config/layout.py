"""Where every artefact lies; the workflow and the command line share these paths.

Arguments may be workflow wildcards such as "{run}", so that one definition serves rules and verbs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["CHECKPOINT_FILES", "Layout"]

CHECKPOINT_FILES = ("model.safetensors", "method.safetensors", "log.csv", "provenance.json")


@dataclass(frozen=True)
class Layout:
    """Paths below results/ of one scale.

    Attributes:
        scale: name of the scale.
        root: the results folder.
    """

    scale: str
    root: Path = Path("results")

    @property
    def base(self) -> Path:
        """Folder of the scale."""
        return self.root / self.scale

    def _path(self, *parts: str) -> Path:
        # One path instead of one per part: the workflow asks for tens of thousands.
        return self.root.joinpath(self.scale, *parts)

    def data(self, suite: str, world: str) -> Path:
        """Data root of a world."""
        return self._path("data", suite, world)

    def cache(self, suite: str, world: str) -> Path:
        """Folder of the decoded, memory-mapped data of a world."""
        return self._path("cache", suite, world)

    def partition(self, suite: str, world: str, kind: str) -> Path:
        """Partition table of a world."""
        return self._path("partitions", suite, world, f"{kind}.csv")

    def checkpoint(self, suite: str, run: str, seed: int | str) -> Path:
        """Folder of what training leaves, apart from what is made of it, to be versioned alone."""
        return self._path("checkpoints", suite, run, f"seed{seed}")

    def run(self, suite: str, run: str, seed: int | str) -> Path:
        """Folder of the predictions and metrics of one run with one seed."""
        return self._path("runs", suite, run, f"seed{seed}")

    def predictions(self, suite: str, run: str, seed: int | str) -> Path:
        """Folder of a run's predictions on the validation split."""
        return self.run(suite, run, seed) / "predictions"

    def metrics(self, suite: str, run: str, seed: int | str) -> Path:
        """Metrics file of one run with one seed."""
        return self.run(suite, run, seed) / "metrics.json"

    def resampled(self, suite: str, run: str, seed: int | str) -> Path:
        """Scores of one run on resampled images or scenes."""
        return self.run(suite, run, seed) / "resampled.json"

    def features(self, suite: str, run: str, seed: int | str) -> Path:
        """Features of a trained run on validation frames; a .json of the same stem lies beside it."""
        return self._path("features", suite, run, f"seed{seed}.npz")

    def analysis(self, kind: str, suite: str, run: str, seed: int | str) -> Path:
        """Result of an analysis of a run's features; arrays, if any, lie in a .npz of the same stem."""
        return self._path("analyses", kind, suite, run, f"seed{seed}.json")

    def outline(self, suite: str) -> Path:
        """What a suite's model is made of: parts, shapes, numbers of parameters."""
        return self._path("outlines", f"{suite}.json")

    def cost(self, suite: str) -> Path:
        """Measured time and memory of a suite's training steps."""
        return self._path("cost", f"{suite}.json")

    def log(self, rule: str, *parts: str) -> str:
        """Log file of a rule, as a workflow pattern."""
        return str(self.base / "logs" / rule / ("_".join(parts) + ".log"))

    def benchmark(self, rule: str, *parts: str) -> str:
        """Benchmark file of a rule, as a workflow pattern."""
        return str(self.base / "benchmarks" / rule / ("_".join(parts) + ".tsv"))
