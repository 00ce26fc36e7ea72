"""Our numbers behind the claims: metric of a run, one value per seed; what is not there is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, sha256_file
from nexusflow.paper.claims_config import ClaimsConfig, FeaturesClaim, MMDReading
from nexusflow.paper.config import PaperConfig, TableConfig
from nexusflow.paper.metrics import RunMetrics, load_run
from nexusflow.paper.rows import TableContext

__all__ = [
    "ClaimFiles",
    "LabelKey",
    "RunKey",
    "RunValues",
    "first_and_last",
    "read_analysis",
    "read_mmd",
    "read_resampled",
    "read_values",
    "runs_of_labels",
]

LabelKey = tuple[str, str | None, str]
"""Table of the paper, printed row where its columns are the methods, label."""
RunKey = tuple[str, str]
"""Suite and run."""

# Metric of a printed table → cost of a run, by the names of `RunMetrics.cost`.
_COSTS = {"Training time": "train seconds", "GPU memory": "peak memory MiB"}


@dataclass(frozen=True)
class ClaimFiles:
    """Result files that are there.

    Args:
        metrics: suite and run → one metrics.json per seed.
        logs: suite and run → seed → log.csv.
        resampled: suite and run → seed → resampled.json.
        mmd: suite and run → seed → result of `nexusflow analyse mmd`.
        features: analysis, suite and run → seed → result of `nexusflow analyse {analysis}`.
    """

    metrics: Mapping[RunKey, Sequence[Path]] = field(default_factory=dict)
    logs: Mapping[RunKey, Mapping[int, Path]] = field(default_factory=dict)
    resampled: Mapping[RunKey, Mapping[int, Path]] = field(default_factory=dict)
    mmd: Mapping[RunKey, Mapping[int, Path]] = field(default_factory=dict)
    features: Mapping[tuple[str, str, str], Mapping[int, Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunValues:
    """Numbers of one run.

    Args:
        values: metric → seed → value; cost goes by the names of the printed table.
        hashes: sha256 of every file that was read.
        resampled: metric → seed → values on resampled images or scenes, the same draws for every run.
    """

    values: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    hashes: tuple[str, ...] = ()
    resampled: Mapping[str, Mapping[int, Sequence[float]]] = field(default_factory=dict)

    def __or__(self, other: RunValues) -> RunValues:
        """Join the numbers of two kinds of files of one run."""
        return RunValues(
            {**self.values, **other.values},
            (*self.hashes, *other.hashes),
            {**self.resampled, **other.resampled},
        )

    def of(self, metric: str) -> Mapping[int, float]:
        """Give one metric.

        Args:
            metric: metric name.

        Returns:
            Seed → value, empty if the run has none.
        """
        return self.values.get(metric, {})


def runs_of_labels(paper: PaperConfig, claims: ClaimsConfig) -> dict[LabelKey, RunKey]:
    """Say which run stands behind each label of a printed table.

    Args:
        paper: content of config/paper.yaml; rows that the paper does not have go by our label.
        claims: the ledger's declarations, with the tables that have no section there.

    Returns:
        Table, block and label → suite and run.
    """
    found: dict[LabelKey, RunKey] = {}
    for name in type(paper).model_fields:
        section = getattr(paper, name)
        if isinstance(section, TableConfig) and getattr(section, "paper_table", None) == name:
            for row in section.rows:
                found[name, None, row.paper or row.label] = (row.suite, row.run)
    for further in claims.rows:
        for label, run in further.runs.items():
            found[further.table, further.block, label] = (further.suite, run)
    return found


def _values(files: Sequence[RunMetrics]) -> dict[str, dict[int, float]]:
    values: dict[str, dict[int, float]] = {}
    for file in files:
        named = dict(file.values["all"])
        named |= {name: file.cost[key] for name, key in _COSTS.items() if key in file.cost}
        for metric, value in named.items():
            values.setdefault(metric, {})[file.seed] = value
    return values


def read_values(paths: Sequence[Path], key: RunKey, context: TableContext) -> RunValues:
    """Read the metrics files of one run.

    Args:
        paths: one metrics.json per seed; may be empty.
        key: suite and run that every file must carry.
        context: scale and domain gap that every file must carry, and the seeds that were asked for.

    Returns:
        The numbers of the whole validation split, and the cost of training.

    Raises:
        UserError: naming the file and key if a file is malformed, of another run, suite, scale, domain gap
            or seed.
    """
    suite, run = key
    files = load_run(paths, run, context.scale, context.domain_gap, suite)
    for file in files:
        if file.seed not in context.seeds:
            raise UserError(
                f"{file.path}: key 'seed' is {file.seed}, not one of {list(context.seeds)}; check the paths."
            )
    return RunValues(_values(files), tuple(file.sha256 for file in files))


def read_resampled(paths: Mapping[int, Path], key: RunKey, scale: str) -> RunValues:
    """Read the scores of a run on resampled images or scenes.

    Args:
        paths: seed → resampled.json.
        key: suite and run that every file must carry.
        scale: scale that every file must carry.

    Returns:
        The resampled values.

    Raises:
        UserError: naming the file and key if a file is of another run, scale or seed.
    """
    found: dict[str, dict[int, Sequence[float]]] = {}
    for seed, path in paths.items():
        for metric, values in _of_run(path, key, scale, seed)["values"].items():
            found.setdefault(metric, {})[seed] = values
    return RunValues(hashes=tuple(sha256_file(path) for path in paths.values()), resampled=found)


def read_mmd(paths: Mapping[int, Path], key: RunKey, scale: str, reading: MMDReading) -> RunValues:
    """Read one reading of the MMD between a run's tasks.

    Args:
        paths: seed → result of `nexusflow analyse mmd`.
        key: suite and run that every file must carry.
        scale: scale that every file must carry.
        reading: features, sets and bandwidth.

    Returns:
        MMD² under the metric `MMD`; seeds without that reading are left out.

    Raises:
        UserError: naming the file and key if a file is of another run, scale or seed.
    """
    found: dict[int, float] = {}
    for seed, path in paths.items():
        for entry in _of_run(path, key, scale, seed)["readings"]:
            if all(entry[name] == value for name, value in reading.model_dump().items()):
                found[seed] = float(entry["mmd2"])
    return RunValues({"MMD": found}, tuple(sha256_file(path) for path in paths.values()))


def read_analysis(paths: Mapping[int, Path], claim: FeaturesClaim, run: str, scale: str) -> RunValues:
    """Read what a claim about features compares.

    Args:
        paths: seed → result of the claim's analysis.
        claim: names features and value.
        run: run that every file must be of.
        scale: scale that every file must carry.

    Returns:
        The value under its name in the claim.

    Raises:
        UserError: naming the file and key if a file is of another run, scale or seed.
    """
    found: dict[int, float] = {}
    for seed, path in paths.items():
        content = _of_run(path, (claim.suite, run), scale, seed)
        if claim.analysis == "embedding":
            found[seed] = float(content["pictures"][claim.features][claim.value])
        else:
            found[seed] = float(content["spectra"][claim.features]["all"][claim.value])
    return RunValues({claim.value: found}, tuple(sha256_file(path) for path in paths.values()))


def _of_run(path: Path, key: RunKey, scale: str, seed: int) -> dict[str, Any]:
    content = read_json(path)
    assert isinstance(content, dict)
    for name, value in {"scale": scale, "suite": key[0], "run": key[1], "seed": seed}.items():
        if content.get(name) != value:
            raise UserError(f"{path}: key '{name}' must be {value}; make the file again.")
    return content


def first_and_last(paths: Mapping[int, Path], column: str) -> tuple[RunValues, RunValues]:
    """Read the first and the last logged value of a column, of the one that shrank most.

    Args:
        paths: seed → log.csv.
        column: glob of columns.

    Returns:
        Values under the metric `column`: first and last; seeds whose log has no such column are left out.

    Raises:
        UserError: if a log is malformed.
    """
    from nexusflow.paper.logs import read_log  # planning needs names of files only, not pandas

    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for seed, path in paths.items():
        log = read_log(path)
        curves = [log[name].dropna() for name in log.columns if fnmatchcase(name, column)]
        ends = [(float(c.iloc[0]), float(c.iloc[-1])) for c in curves if len(c) > 1 and c.iloc[0] > 0]
        if ends:
            first[seed], last[seed] = min(ends, key=lambda pair: pair[1] / pair[0])
    hashes = tuple(sha256_file(path) for path in paths.values())
    return RunValues({column: first}, hashes), RunValues({column: last}, hashes)
