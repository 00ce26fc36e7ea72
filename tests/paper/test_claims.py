"""The ledger: declared claims, contradictions of the printed numbers, verdicts over seeds."""

from pathlib import Path

import pandas as pd
import pytest

from nexusflow.config.load import load_configuration
from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.paper.claims import build_ledger, write_claims
from nexusflow.paper.claims_config import load_claims
from nexusflow.paper.claims_statistics import VERDICTS
from nexusflow.paper.claims_values import ClaimFiles
from nexusflow.paper.config import PaperConfig
from nexusflow.paper.rows import TableContext
from tests.paper.fabricate import write_metrics

CONTEXTS = {suite: TableContext("smoke", f"invented {suite}", (0, 1, 2)) for suite in ("nuscenes", "nyuv2")}


@pytest.fixture(scope="module")
def paper() -> PaperConfig:
    return load_configuration(Path(__file__).parents[2] / "config", "smoke").paper


def _ledger(paper: PaperConfig, files: ClaimFiles) -> pd.DataFrame:
    return build_ledger(paper, files, CONTEXTS)[0].set_index("id")


def test_without_runs_only_the_printed_numbers_speak(paper: PaperConfig) -> None:
    frame = _ledger(paper, ClaimFiles())
    assert len(frame) == len(load_claims().claims) >= 25
    assert set(frame["verdict"]) == {"impossible as printed", "not run at this scale"}
    impossible = set(frame.index[frame["verdict"] == "impossible as printed"])
    assert {"recall_table3", "amota_over_jtr", "depth_nuscenes_text", "without_over_baseline"} <= impossible
    assert not {"amota_over_baseline", "amota_over_mtpsl", "lanes_ten_points", "lowest_ids"} & impossible
    assert frame.loc["amota_over_jtr", "note"].startswith("AMOTA: the text says 0.138")
    assert frame.loc["recall_table3", "paper"] == "Recall 1.355"
    measured = frame[frame["test"].isin(["order", "equal", "stays"])]
    assert set(measured["data"]) == {"invented nuscenes", "invented nyuv2"}
    assert measured.loc["amota_over_baseline", "data"] == "invented nuscenes"


def test_the_hash_of_the_inputs_knows_the_logs(paper: PaperConfig, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    files = ClaimFiles(logs={("nuscenes", "nexusflow_two_stage"): {0: log}})
    digests = set()
    for last in (0.1, 0.2):
        log.write_text(f"step,monitor/nexusflow/track/latent_std\n2,1.0\n4,{last}\n")
        digests.update(_ledger(paper, files)["inputs sha256"])
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("seeds", "strength", "verdict"),
    [
        ((0, 1, 2), 1.6, "reproduced"),
        ((0, 1, 2), 0.4, "not reproduced"),
        ((0, 1, 2), 1.08, "within noise"),
        ((0, 1), 1.6, "within noise"),
    ],
)
def test_verdicts_follow_the_interval_and_the_seeds(
    paper: PaperConfig, tmp_path: Path, seeds: tuple[int, ...], strength: float, verdict: str
) -> None:
    files = ClaimFiles(
        {
            ("nuscenes", "nexusflow_two_stage"): write_metrics(
                tmp_path, "nexusflow_two_stage", seeds, strength
            ),
            ("nuscenes", "baseline"): write_metrics(tmp_path, "baseline", seeds),
        }
    )
    row = _ledger(paper, files).loc["amota_over_baseline"]
    assert row["verdict"] == verdict and row["seeds"] == len(seeds)
    assert ("Fewer than three seeds" in row["note"]) == (len(seeds) < 3)


def _mmd_files(folder: Path, run: str, values: dict[int, float]) -> dict[int, Path]:
    paths = {}
    for seed, value in values.items():
        head = {"scale": CONTEXTS["nyuv2"].scale, "suite": "nyuv2", "run": run, "seed": seed}
        reading = {"features": "latent", "sets": "cross_domain", "bandwidth": "data", "mmd2": value}
        paths[seed] = folder / run / f"seed{seed}.json"
        write_json(
            paths[seed], {**head, "readings": [reading | {"bandwidth": "fixed", "mmd2": 9.0}, reading]}
        )
    return paths


def test_the_distance_of_the_tasks_is_judged_by_the_declared_reading(
    paper: PaperConfig, tmp_path: Path
) -> None:
    runs = {
        "nexusflow_centre": {0: 0.10, 1: 0.11, 2: 0.12},
        "baseline": {0: 0.5, 1: 0.52, 2: 0.51},
        "mtpsl": {0: 0.4, 1: 0.41, 2: 0.43},
    }
    files = {("nyuv2", run): _mmd_files(tmp_path, run, values) for run, values in runs.items()}
    row = _ledger(paper, ClaimFiles(mmd=files)).loc["mmd_nyuv2"]
    assert row["verdict"] == "reproduced" and row["seeds"] == 3
    swapped = {("nyuv2", "nexusflow_centre"): files["nyuv2", "baseline"]}
    with pytest.raises(UserError, match="key 'run' must be nexusflow_centre"):
        _ledger(paper, ClaimFiles(mmd=swapped))


def test_the_choice_of_images_has_an_interval_of_its_own(paper: PaperConfig, tmp_path: Path) -> None:
    metrics, resampled = {}, {}
    for run, strength in (("nexusflow_two_stage", 1.6), ("baseline", 1.0)):
        metrics["nuscenes", run] = write_metrics(tmp_path, run, (0, 1, 2), strength)
        paths = {seed: tmp_path / run / f"resampled{seed}.json" for seed in (0, 1, 2)}
        for seed, path in paths.items():
            head = {"scale": "smoke", "suite": "nuscenes", "run": run, "seed": seed}
            # Every resample gives ours the same lead, however the draws differ.
            values = [50 * strength + draw for draw in range(10)]
            write_json(path, {**head, "unit": "scene", "values": {"Lanes": values}})
        resampled["nuscenes", run] = paths
    parts = build_ledger(paper, ClaimFiles(metrics, resampled=resampled), CONTEXTS)[1]
    chosen = (parts["id"] == "two_stage_over_baseline") & (parts["metric"] == "Lanes")
    row = parts[chosen].iloc[0]
    assert row["resampled low"] == pytest.approx(30) and row["resampled high"] == pytest.approx(30)
    other = (parts["id"] == "two_stage_over_baseline") & (parts["metric"] == "AMOTA")
    assert parts[other]["resampled low"].isna().all()


def test_mixing_is_judged_by_the_analyses(paper: PaperConfig, tmp_path: Path) -> None:
    mixing = {"nexusflow_two_stage": 0.4, "baseline": 0.1, "mtpsl": 0.1, "jtr": 0.1}
    files = {}
    for run, value in mixing.items():
        paths = {seed: tmp_path / run / f"seed{seed}.json" for seed in (0, 1, 2)}
        for seed, path in paths.items():
            head = {"scale": "smoke", "suite": "nuscenes", "run": run, "seed": seed}
            # Not the same step for every run, or the interval would have no width.
            noise = 0.01 * seed * (run == "baseline")
            write_json(path, {**head, "pictures": {"latent": {"mixing": value + noise}}})
        files["embedding", "nuscenes", run] = paths
    row = _ledger(paper, ClaimFiles(features=files)).loc["tsne"]
    assert row["verdict"] == "reproduced" and row["seeds"] == 3 and "mixing" in row["ours"]
    del files["embedding", "nuscenes", "jtr"]
    assert _ledger(paper, ClaimFiles(features=files)).loc["tsne", "verdict"] != "reproduced"


def test_files_are_written(paper: PaperConfig, tmp_path: Path) -> None:
    write_claims(paper, ClaimFiles(), CONTEXTS, tmp_path)
    assert set(pd.read_csv(tmp_path / "claims.csv")["verdict"]) <= set(VERDICTS)
    assert len(pd.read_csv(tmp_path / "claims_parts.csv")) > 100
    assert "not run at this scale" in (tmp_path / "claims.md").read_text()
