"""Every key of a scale is changed once; the jobs that notice it are those that docs/parameters.md names."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import re
import types
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

from nexusflow.config.outputs import FIGURES, TABLES, VIDEOS
from nexusflow.config.schema import ScaleConfig
from nexusflow.config.workflow import Pipeline
from nexusflow.core.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
# Keys that take another value only together with another key.
COUPLED = {
    "nuscenes.budgets.finetune.validate_every",
    "nuscenes.budgets.pretrain.validate_every",
    "nuscenes.budgets.pretrain_long.validate_every",
    "nuscenes.methods.nexusflow.aggregator.type",
    "nyuv2.model.norm",
    "nyuv2.model.tap",
    "nyuv2.worlds",
}


@dataclasses.dataclass
class Plan:
    """Jobs of the smoke scale, and the globals of the Snakefile that made them."""

    jobs: list[Any]
    names: dict[str, Any]

    def settings(self, pipeline: Pipeline) -> dict[Any, str]:
        """What each job reads of a configuration."""
        self.names["pipeline"] = pipeline
        found = {}
        for job in self.jobs:
            read = job.rule.params.get("settings")
            if isinstance(read, types.MethodType):
                read = getattr(pipeline, read.__name__)
            found[job] = read(job.wildcards)
        return found


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("plan")
    for name in ("config", "nexusflow"):
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    outputs = [f"{name}.csv" for name in TABLES] + [f"{name}.png" for name in FIGURES]
    outputs += [f"{name}.gif" for name in VIDEOS]
    targets = {f"results/smoke/{name}" for name in outputs}
    targets.add("results/smoke/partitions/nyuv2/rooms/clusters_sdn.gap.json")
    with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config={"scale": "smoke"}),
            snakefile=ROOT / "Snakefile",
            workdir=folder,
        )
        dag = workflow.dag(DAGSettings(targets=targets, forceall=True))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            dag.execute_workflow(executor="dryrun")
        made = workflow._workflow
        return Plan([job for job in made.dag.jobs if job.rule.params.get("settings")], made.globals)


def _declared() -> list[tuple[str, str, set[str]]]:
    rows = []
    for line in (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\| (scale|paper) `([^`]+)` \| ([^|]+) \|", line):
            names = {name.strip() for name in found[3].split(",")}
            rows.append((found[1], found[2], names - {"nothing"}))
    return rows


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _leaves(value, (*path, str(key)))
    else:
        yield path, content


def _words(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (word for word in schema.get("enum", []) if isinstance(word, str))
        for value in schema.values():
            yield from _words(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _words(value)


WORDS = sorted(set(_words(ScaleConfig.model_json_schema())))


def _others(value: Any) -> Iterator[Any]:
    """Values that the key might take instead."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value * 2, value - 1, value / 2, value * 1.5 + 0.01)
    elif isinstance(value, str):
        yield from (*WORDS, "another text")
    elif isinstance(value, list):
        yield from (
            [2 * part for part in value if isinstance(part, int | float)],
            value[:-1],
            [*value, *value[:1]],
        )
        yield [part + 1 for part in value if isinstance(part, int)]
    elif value == {}:
        yield from ({"track": 2.0}, {"depth": 2.0})
    else:
        yield from (1, 2, 0.5)


def _changed(scale: dict[str, Any], path: tuple[str, ...], value: Any) -> ScaleConfig | None:
    content = copy.deepcopy(scale)
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    try:
        return ScaleConfig.model_validate(content)
    except ValidationError:
        return None


def _rules_that_notice(
    plan: Plan, pipeline: Pipeline, scale: ScaleConfig, before: dict[Any, str]
) -> set[str] | None:
    """Rules whose jobs read something else; None if no run could be made of the scale."""
    main = dataclasses.replace(pipeline.main, scale=scale)
    try:
        main.check()
    except UserError:
        return None
    changed = copy.copy(pipeline)
    changed.main, changed._scales = main, {**pipeline._scales, "smoke": main}
    after = plan.settings(changed)
    return {job.rule.name for job in plan.jobs if after[job] != before[job]}


def test_every_key_of_a_scale_runs_again_what_the_table_says(plan: Plan) -> None:
    pipeline = plan.names["pipeline"]
    before, scale = plan.settings(pipeline), pipeline.main.scale.model_dump(mode="json")
    wrong, unchanged = [], set()
    rows = [(pattern, names) for file, pattern, names in _declared() if file == "scale"]
    used = set()
    for path, value in _leaves(scale):
        key = ".".join(path)
        others = (_changed(scale, path, other) for other in _others(value) if other != value)
        noticed = (_rules_that_notice(plan, pipeline, other, before) for other in others if other is not None)
        found = next((rules for rules in noticed if rules is not None), None)
        if found is None:
            unchanged.add(key)
            continue
        pattern, names = next((row for row in rows if fnmatchcase(key, row[0])), ("no row", {"no row"}))
        used.add(pattern)
        if found != names:
            wrong.append(f"{key}: {sorted(found)}, but `{pattern}` says {sorted(names)}")
    plan.names["pipeline"] = pipeline
    assert not wrong, "\n".join(wrong)
    assert unchanged == COUPLED
    assert used == {pattern for pattern, _ in rows}


def _runs_that_train(plan: Plan, pipeline: Pipeline, path: str, value: Any) -> set[str]:
    """Runs whose training reads a changed key."""
    before, scale = plan.settings(pipeline), pipeline.main.scale.model_dump(mode="json")
    changed = copy.copy(pipeline)
    content = _changed(scale, tuple(path.split(".")), value)
    assert content is not None
    changed.main = dataclasses.replace(pipeline.main, scale=content)
    changed._scales = {**pipeline._scales, "smoke": changed.main}
    after = plan.settings(changed)
    plan.names["pipeline"] = pipeline
    return {job.wildcards.run for job in plan.jobs if job.rule.name == "train" and after[job] != before[job]}


def test_phase_one_stays_when_phase_two_changes(plan: Plan) -> None:
    pipeline = plan.names["pipeline"]
    second = _runs_that_train(plan, pipeline, "nuscenes.budgets.finetune.learning_rate", 1e-5)
    first = _runs_that_train(plan, pipeline, "nuscenes.budgets.pretrain.learning_rate", 1e-5)
    assert {"nexusflow_two_stage", "baseline_finetuned"} <= second and "baseline" in first
    assert not first & second


@pytest.mark.parametrize("output", ["figure6", "table3", "lemma", "video"])
def test_a_section_of_the_paper_makes_its_own_output_again_and_no_other(plan: Plan, output: str) -> None:
    pipeline = plan.names["pipeline"]
    before, paper = plan.settings(pipeline), pipeline.main.paper
    part = getattr(paper, output)
    name, value = ("title", "Another title") if hasattr(part, "title") else ("score_threshold", 0.5)
    changed = copy.copy(pipeline)
    other = paper.model_copy(update={output: part.model_copy(update={name: value})})
    changed.main = dataclasses.replace(pipeline.main, paper=other)
    changed._scales = {**pipeline._scales, "smoke": changed.main}
    after = plan.settings(changed)
    plan.names["pipeline"] = pipeline
    made = {Path(file).stem for job in plan.jobs if after[job] != before[job] for file in job.output}
    assert made == {output}


def test_the_style_of_figures_draws_figures_again_and_nothing_else(plan: Plan) -> None:
    pipeline = plan.names["pipeline"]
    before, paper = plan.settings(pipeline), pipeline.main.paper
    changed = copy.copy(pipeline)
    other = paper.model_copy(update={"style": paper.style.model_copy(update={"dpi": 90})})
    changed.main = dataclasses.replace(pipeline.main, paper=other)
    changed._scales = {**pipeline._scales, "smoke": changed.main}
    after = plan.settings(changed)
    plan.names["pipeline"] = pipeline
    made = {job.rule.name for job in plan.jobs if after[job] != before[job]}
    assert {"figure6", "figure7", "figure2", "lemma", "curves", "video"} <= made
    assert not made & {"train", "data", "partition", "evaluate", "features", "analyse", "cost"}
