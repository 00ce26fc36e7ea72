"""What the rules are told: inputs of figures of analyses, of the suites that a scale has."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from nexusflow.config.contexts import nuscenes_context
from nexusflow.config.paper_runs import ANALYSIS_BEHIND
from nexusflow.config.workflow import Pipeline

ROOT = Path(__file__).parents[2]
FOUR = ("baseline", "mtpsl", "jtr", "nexusflow_two_stage")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline({"scale": "embedded", "seeds": [4, 5]}, ROOT / "config")


def files(
    kind: str, suite: str, runs: tuple[str, ...], seeds: tuple[int, ...], endings: tuple[str, ...]
) -> set[str]:
    folder = f"results/smoke/analyses/{kind}/{suite}"
    return {f"{folder}/{run}/seed{seed}.{ending}" for run in runs for seed in seeds for ending in endings}


@pytest.mark.parametrize(
    ("output", "kind", "suite", "runs"),
    [
        ("figure3", "embedding", "nuscenes", FOUR),
        ("figure3_v1", "embedding", "nuscenes", FOUR),
        ("figure4", "embedding", "nyuv2", ("baseline", "mtpsl", "nexusflow_centre")),
        ("figure5", "spectrum", "nuscenes", ("baseline", "nexusflow_mlp_depth0", "nexusflow_two_stage")),
    ],
)
def test_figures_read_their_own_seed(
    pipeline: Pipeline, output: str, kind: str, suite: str, runs: tuple[str, ...]
) -> None:
    assert set(pipeline.analysis_files(output, "smoke")) == files(kind, suite, runs, (0,), ("json", "npz"))


def test_lemma_1_reads_a_run_of_each_suite(pipeline: Pipeline) -> None:
    found = pipeline.analysis_files("lemma", "smoke")
    wanted = files("lemma", "nuscenes", ("nexusflow_two_stage",), (0,), ("json", "npz"))
    assert set(found) == wanted | files("lemma", "nyuv2", ("nexusflow_centre",), (0,), ("json", "npz"))


def test_table_1_reads_all_seeds_and_no_arrays(pipeline: Pipeline) -> None:
    found = pipeline.analysis_files("table1", "smoke")
    assert files("mmd", "nuscenes", ("full", *FOUR), (4, 5), ("json",)) <= set(found)
    assert files("mmd", "nyuv2", ("nexusflow_centre", "jtr"), (4, 5), ("json",)) <= set(found)
    assert all(name.endswith(".json") for name in found)


def test_suites_that_a_scale_lacks_are_left_out(dense_folder: Path) -> None:
    pipeline = Pipeline({"scale": "embedded", "seeds": [4, 5]}, dense_folder)
    for output in ANALYSIS_BEHIND:
        assert not any("/nuscenes/" in name for name in pipeline.analysis_files(output, "full"))
    assert pipeline.analysis_files("figure4", "full") and pipeline.analysis_files("lemma", "full")


def test_the_stage_of_analyses_makes_them_all(pipeline: Pipeline) -> None:
    made = pipeline.stage_analyses()
    assert {name.split("/")[3] for name in made} == {"mmd", "embedding", "spectrum", "lemma"}
    assert len(set(made)) == len(made)


def test_outputs_of_analyses_are_made_without_being_asked_for(pipeline: Pipeline) -> None:
    wanted = {
        "table1.csv",
        "figure3.png",
        "figure3_v1.pdf",
        "figure4.png",
        "figure5.png",
        "lemma.csv",
        "lemma.png",
    }
    assert wanted <= set(pipeline.targets)


def test_weights_of_others_are_inputs_of_the_first_phase(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    path = tmp_path / "config" / "scales" / "full.yaml"
    drawn = "frozen_stages: -1, weights: { source: none }"
    text = path.read_text(encoding="utf-8")
    assert drawn in text
    loaded = "frozen_stages: 4, weights: { source: uniad, file: uniad.safetensors }"
    path.write_text(text.replace(drawn, loaded).replace("norm: batch", "norm: frozen"), encoding="utf-8")
    pipeline = Pipeline({"scale": "embedded", "seeds": [0]}, tmp_path / "config")

    def inputs(scale: str, run: str) -> list[str]:
        return pipeline.training_inputs(SimpleNamespace(scale=scale, suite="nuscenes", run=run, seed="0"))

    assert "uniad.safetensors" in inputs("full", "baseline")
    assert "uniad.safetensors" not in inputs("full", "nexusflow_two_stage") + inputs("embedded", "baseline")
    assert nuscenes_context(pipeline.of("full"), (0,)).initialisation == "uniad"
