"""The smoke scale through the whole workflow, as a user would run it."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from nexusflow.paper.published import published_cells

ROOT = Path(__file__).resolve().parents[1]
TARGETS = [
    "results/smoke/table2.csv",
    "results/smoke/comparison.csv",
    "results/smoke/figure2.png",
    "results/smoke/figure6.png",
    "results/smoke/video.gif",
    "results/smoke/collapse.png",
    "results/smoke/learning_curves.png",
    "results/smoke/rivals_nuscenes.png",
    "results/smoke/rivals_nyuv2.png",
    "results/smoke/table4.csv",
    "results/smoke/table5.csv",
    "results/smoke/figure7.png",
    "results/smoke/figure3_v1.png",
    "results/smoke/figure4.png",
    "results/smoke/lemma.csv",
    "results/smoke/partitions/nyuv2/rooms/clusters_sdn.gap.json",
]

REGIONS = {"all": "overall", "boston": "boston", "singapore": "singapore"}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name in ("workflow", "profiles", "config"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    # A rule names a data file of the package as its input.
    (folder / "nexusflow").symlink_to(ROOT / "nexusflow", target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def finished(project: Path) -> Path:
    result = snakemake(project, *TARGETS)
    assert result.returncode == 0, result.stderr[-3000:]
    return project


@pytest.mark.slow
def test_every_target_is_made(finished: Path) -> None:
    assert all((finished / target).stat().st_size > 0 for target in TARGETS)


@pytest.mark.slow
def test_table_two_has_the_papers_rows_and_invents_nothing(finished: Path) -> None:
    table = pd.read_csv(finished / TARGETS[0])
    assert {"all", "boston", "singapore"} <= set(table["region"])
    overall = table[table["region"] == "all"].set_index("id")
    ours = ["AMOTA", "AMOTP", "Recall", "IDS", "Lanes", "Drivable", "Divider", "Crossing", "Contour"]
    assert overall["status"].eq("measured").all() and not overall[ours].isna().any(axis=None)
    assert overall.loc["two_stage", "AMOTA paper"] == 0.329
    for row, run in (("full", "full"), ("two_stage", "nexusflow_two_stage")):
        metrics = json.loads((finished / f"results/smoke/runs/nuscenes/{run}/seed0/metrics.json").read_text())
        assert overall.loc[row, "Drivable"] == pytest.approx(
            metrics["metrics"]["overall"]["Drivable"], rel=1e-5
        )
    assert 0 <= overall.loc["trivial", "Lanes"] <= 100


@pytest.mark.slow
def test_table_four_comes_from_metrics_files(finished: Path) -> None:
    table = pd.read_csv(finished / "results/smoke/table4.csv").set_index("id")
    assert table["status"].eq("measured").all() and pd.isna(table.loc["jtr", "Seg IoU paper"])
    assert table.loc["centre", "Seg IoU paper"] == 31.70
    for row, run in (("full", "full"), ("centre", "nexusflow_centre"), ("trivial", "trivial")):
        metrics = json.loads((finished / f"results/smoke/runs/nyuv2/{run}/seed0/metrics.json").read_text())
        for name in ("Seg IoU", "Depth aErr", "Norm mErr"):
            assert table.loc[row, name] == pytest.approx(metrics["metrics"]["overall"][name], rel=1e-5)


def _derived(results: Path, suite: str, row: pd.Series, column: str) -> float:
    """A cell of a table of methods, from the files of its run alone."""
    values = []
    for seed in map(int, str(row["seeds"]).split()):
        if column in ("train seconds", "steps", "peak memory MiB"):
            path = results / f"checkpoints/{suite}/{row['run']}/seed{seed}/provenance.json"
            names = {"train seconds": "train_seconds", "peak memory MiB": "peak_memory_mib", "steps": "steps"}
            values.append(json.loads(path.read_text())[names[column]])
        else:
            metrics = json.loads((results / f"runs/{suite}/{row['run']}/seed{seed}/metrics.json").read_text())
            values.append(metrics["metrics"][REGIONS[row.get("region", "all")]][column.removesuffix(" std")])
    return statistics.stdev(values) if column.endswith(" std") else statistics.fmean(values)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "suite", "least"), [("table2", "nuscenes", 150), ("table4", "nyuv2", 80)])
def test_every_number_of_a_table_is_derived_from_its_files(
    finished: Path, name: str, suite: str, least: int
) -> None:
    results = finished / "results" / "smoke"
    table = pd.read_csv(results / f"{name}.csv")
    known = {
        "id",
        "method",
        "group",
        "run",
        "region",
        "status",
        "n",
        "seeds",
        "scale",
        "data",
        "inputs sha256",
    }
    rows = yaml.safe_load((finished / "config" / "paper.yaml").read_text())[name]["rows"]
    papers = {row["id"]: row.get("paper") for row in rows}
    derived = 0
    for _, row in table.iterrows():
        for column in table.columns.difference(
            [*known, "inputs sha256", *(c for c in table if c.startswith("best "))]
        ):
            if column.endswith(" paper"):
                region = row.get("region", "all")
                label = papers.get(row["id"]) if region == "all" else None
                cell = published_cells().get((name, str(label), column.removesuffix(" paper")))
                assert pd.isna(row[column]) if cell is None else row[column] == cell.value
            elif pd.notna(row[column]):
                assert row[column] == pytest.approx(_derived(results, suite, row, column), rel=1e-4), column
                derived += 1
    assert derived >= least


@pytest.mark.slow
def test_the_cost_of_training_was_measured(finished: Path) -> None:
    cost = json.loads((finished / "results/smoke/cost/nyuv2.json").read_text())
    assert {row["run"] for row in cost["rows"]} == {"full", "baseline", "nexusflow_centre", "mtpsl", "jtr"}
    assert all(row["seconds_per_step"] > 0 and row["peak_memory_mib"] > 0 for row in cost["rows"])


@pytest.mark.slow
def test_a_second_call_has_nothing_to_do(finished: Path) -> None:
    result = snakemake(finished, *TARGETS)
    assert result.returncode == 0
    assert "Nothing to be done" in result.stderr + result.stdout


def _trained(planned: str) -> set[str]:
    """Runs that a dry run would train."""
    jobs = planned.split("\nrule ")
    return {job.split("run=")[1].split(",")[0] for job in jobs if job.startswith("train:")}


def _raise_weight(scale: Path) -> None:
    """Give the alignment another weight in a scale's file."""
    text = scale.read_text()
    scale.write_text(text.replace("nexusflow: { dim: 64", "nexusflow: { lambda_align: 5.0, dim: 64"))
    assert scale.read_text() != text


@pytest.mark.slow
def test_results_restored_elsewhere_are_up_to_date(finished: Path, tmp_path: Path) -> None:
    nexusflow = Path(sys.executable).parent / "nexusflow"
    subprocess.run([nexusflow, "seal", "--scale", "smoke"], cwd=finished, check=True)
    clone = tmp_path / "clone"
    for name in ("workflow", "config"):
        shutil.copytree(ROOT / name, clone / name)
    (clone / "nexusflow").symlink_to(ROOT / "nexusflow", target_is_directory=True)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, clone)
    shutil.copytree(
        finished / "results", clone / "results", ignore=shutil.ignore_patterns("logs", "benchmarks")
    )
    subprocess.run([nexusflow, "restore", "--no-pull", "--scale", "smoke"], cwd=clone, check=True)
    result = snakemake(clone, "--dry-run", *TARGETS)
    assert "Nothing to be done" in result.stderr + result.stdout
    scale = clone / "config" / "scales" / "smoke.yaml"
    scale.write_text(
        scale.read_text().replace("nexusflow: { dim: 64", "nexusflow: { lambda_align: 5.0, dim: 64")
    )
    result = snakemake(clone, "--dry-run", TARGETS[0])
    assert _trained(result.stdout) == {"nexusflow_one_stage", "nexusflow_two_stage"}


@pytest.mark.slow
def test_another_weight_of_the_alignment_keeps_phase_one(finished: Path) -> None:
    scale = finished / "config" / "scales" / "smoke.yaml"
    text = scale.read_text()
    _raise_weight(scale)
    result = snakemake(finished, "--dry-run", TARGETS[0])
    scale.write_text(text)
    assert result.returncode == 0
    assert _trained(result.stdout) == {"nexusflow_one_stage", "nexusflow_two_stage"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_metrics_file(finished: Path) -> None:
    metrics = finished / "results/smoke/runs/nuscenes/baseline/seed0/metrics.json"
    before = metrics.read_bytes()
    result = snakemake(
        finished, "--forcerun", "train", "--until", "evaluate", "--", str(metrics.relative_to(finished))
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert metrics.read_bytes() == before


@pytest.mark.slow
def test_lemma_1_holds_under_the_analytic_bound(finished: Path) -> None:
    table = pd.read_csv(finished / "results/smoke/lemma.csv")
    assert len(table) == 3 * (1 + 3)
    assert (table.loc[table["reading"] == "analytic", "share"] == 1).all()


def test_figures_of_features_need_the_analyses_of_their_runs(project: Path) -> None:
    outputs = ("table1.csv", "figure3.png", "figure3_v1.png", "figure4.png", "figure5.png", "lemma.csv")
    # Some of them may have been made by now.
    result = snakemake(project, "--dry-run", "--forceall", *(f"results/smoke/{name}" for name in outputs))
    planned = result.stdout + result.stderr
    assert result.returncode == 0, planned[-3000:]
    written = set(planned.replace(",", " ").split())
    assert {f"results/smoke/{name}" for name in outputs} <= written
    for kind, suite, run in (
        ("mmd", "nuscenes", "full"),
        ("embedding", "nuscenes", "jtr"),
        ("embedding", "nyuv2", "nexusflow_centre"),
        ("spectrum", "nuscenes", "nexusflow_mlp_depth0"),
        ("lemma", "nyuv2", "nexusflow_centre"),
    ):
        assert f"results/smoke/analyses/{kind}/{suite}/{run}/seed0.json" in written
        assert f"results/smoke/features/{suite}/{run}/seed0.npz" in written
    assert "results/smoke/analyses/spectrum/nuscenes/jtr/seed0.json" not in written


@pytest.mark.parametrize(
    ("table", "runs"),
    [
        (
            "matching",
            {
                "matching_mmd",
                "baseline_finetuned_encoder",
                "nexusflow_two_stage_encoder",
                "matching_mmd_encoder",
                "matching_moments",
                "matching_both",
                "matching_both_nexusflow",
            },
        ),
        (
            "taps_nuscenes",
            {
                "nexusflow_tap_memory",
                "baseline_finetuned_encoder",
                "nexusflow_two_stage_encoder",
                "nexusflow_tap_bev",
            },
        ),
        (
            "taps_nyuv2",
            {
                "nexusflow_centre",
                "baseline_mtan",
                "nexusflow_mtan_n1",
                "nexusflow_mtan_n2",
                "nexusflow_mtan_n3",
            },
        ),
    ],
)
def test_a_table_on_request_plans_its_runs(project: Path, table: str, runs: set[str]) -> None:
    result = snakemake(project, "--dry-run", "--forceall", f"results/smoke/{table}.csv")
    assert result.returncode == 0, result.stderr[-3000:]
    jobs = result.stdout.split("\nrule ")
    trained = [job.split("run=")[1].split(",")[0] for job in jobs if job.startswith("train:")]
    shared = (
        {"baseline"} if table == "taps_nyuv2" else {"baseline", "baseline_finetuned", "nexusflow_two_stage"}
    )
    # Each once: phase 1 is shared.
    assert sorted(trained) == sorted(runs | shared)


def test_new_statistics_of_batchnorm_need_no_training(project: Path) -> None:
    result = snakemake(project, "--dry-run", "--forceall", "results/smoke/normalisation_nyuv2.csv")
    assert result.returncode == 0, result.stderr[-3000:]
    jobs = result.stdout.split("\nrule ")
    runs = {
        rule: [job.split("run=")[1].split(",")[0] for job in jobs if job.startswith(f"{rule}:")]
        for rule in ("train", "nyuv2_predict")
    }
    assert runs["train"] == ["baseline"]
    predicted = ["baseline", "baseline_renormalised", "baseline_renormalised_per_domain"]
    assert sorted(runs["nyuv2_predict"]) == predicted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: [0]", "seeds: [0, 0]", "different whole numbers"),
        ("scale: embedded", "scale: vast", "no scale `vast`"),
    ],
)
def test_a_wrong_configuration_plans_nothing(project: Path, old: str, new: str, message: str) -> None:
    path = project / "config" / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace(old, new))
    result = snakemake(project, "--dry-run", "results/table2.csv")
    path.write_text(text)
    assert result.returncode != 0
    assert message in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
