"""A plan adds up what was measured, prefers the nearest measurement, and invents nothing."""

from pathlib import Path

import pytest

from nexusflow.config.layout import CHECKPOINT_FILES, Layout
from nexusflow.config.load import load_configuration
from nexusflow.config.plan import PlannedRun, plan_data, plan_runs
from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json, write_text


def planned(folder: Path, root: Path, scale: str, *outputs: str, seeds: tuple[int, ...] = (0,)) -> dict:
    runs = plan_runs(load_configuration(folder, scale), Layout(scale, root), outputs, seeds)
    return {(run.suite, run.run, run.seed): run for run in runs}


def finish(layout: Layout, suite: str, run: str, seed: int, steps: int, device: str | None = None) -> None:
    machine = {"device": device} if device else {}
    folder = layout.checkpoint(suite, run, seed)
    for name in CHECKPOINT_FILES:
        write_text(folder / name, "x" * 2**20)
    record = {"steps": steps, "train_seconds": 7200.0, "peak_memory_mib": 100.0, "machine": machine}
    write_json(folder / "provenance.json", record)


def test_full_scale_knows_published_numbers_and_says_what_is_unknown(
    config_folder: Path, tmp_path: Path
) -> None:
    runs = planned(config_folder, tmp_path, "full", "table2", "table4")
    baseline = runs["nuscenes", "baseline", 0]
    assert (baseline.device, baseline.hours, baseline.samples) == ("gpu", pytest.approx(384.0), 168_780)
    assert baseline.basis.startswith("published: UniAD") and not baseline.done
    two_stage = runs["nuscenes", "nexusflow_two_stage", 0]
    assert (two_stage.hours, two_stage.device, two_stage.basis) == (None, None, "not measured")
    assert runs["nyuv2", "mtpsl", 0].hours == pytest.approx(10.0)
    order = list(runs)
    assert order.index(("nuscenes", "baseline", 0)) < order.index(("nuscenes", "nexusflow_two_stage", 0))
    assert not any(run == "trivial" for _, run, _ in runs)


def test_a_finished_training_beats_every_other_number(config_folder: Path, tmp_path: Path) -> None:
    layout = Layout("full", tmp_path)
    finish(layout, "nuscenes", "baseline", 1, 42_195, "gpu: NVIDIA X")
    finish(layout, "nuscenes", "full", 0, 17)  # with other settings
    runs = planned(config_folder, tmp_path, "full", "table2", seeds=(0, 1))
    first, second = runs["nuscenes", "baseline", 0], runs["nuscenes", "baseline", 1]
    assert (first.hours, first.device, first.done, first.disk_mib) == (2.0, "gpu", False, None)
    assert second.done and second.disk_mib == pytest.approx(3.0, abs=0.01) and second.memory_mib == 100.0
    assert runs["nuscenes", "full", 0].basis.startswith("published")


def test_measured_steps_come_before_the_table(config_folder: Path, tmp_path: Path) -> None:
    layout = Layout("full", tmp_path)
    row = {"run": "baseline", "seconds_per_step": 0.5, "peak_memory_mib": 3000.0}
    write_json(layout.cost("nyuv2"), {"device": "NVIDIA X", "batch_size": 4, "rows": [row]})
    run = planned(config_folder, tmp_path, "full", "table4")["nyuv2", "baseline", 0]
    assert (run.device, run.hours) == ("gpu", pytest.approx(0.5 / 4 * 158_800 / 3600))
    assert run.basis == str(layout.cost("nyuv2"))


def test_benchmarks_of_scoring_are_read(config_folder: Path, tmp_path: Path) -> None:
    for verb, seconds in (("predict", 1800), ("evaluate", 5400)):
        path = tmp_path / f"smoke/benchmarks/{verb}/nuscenes_full_seed0.tsv"
        write_text(path, f"s\th:m:s\n{seconds}\t0:00:01\n")
    runs = planned(config_folder, tmp_path, "smoke", "table2")
    assert runs["nuscenes", "full", 0].scoring_hours == 2.0
    assert runs["nuscenes", "baseline", 0].scoring_hours is None


def test_everything_but_what_is_made_on_request(config_folder: Path, tmp_path: Path) -> None:
    everything = planned(config_folder, tmp_path, "smoke")
    assert ("nyuv2", "nexusflow_centre", 0) in everything
    assert not any(run.endswith("_gap000") for _, run, _ in everything)
    assert all(isinstance(run, PlannedRun) for run in everything.values())


def test_disk_is_arithmetic(config_folder: Path) -> None:
    archives, decoded = plan_data(load_configuration(config_folder, "full"))
    assert archives.gib == pytest.approx(300e9 / 2**30) and decoded.what == "decoded data"
    assert decoded.gib == pytest.approx(34_149 * (6 * 3 * 896 * 1600 + 3 * 4 * 200**2) / 2**30)
    (generated,) = plan_data(load_configuration(config_folder, "smoke"))
    assert generated.basis.startswith("48 generated key frames")


def test_unknown_outputs_and_broken_files_are_one_sentence(config_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no output `table9`"):
        planned(config_folder, tmp_path, "smoke", "table9")
    write_json(Layout("smoke", tmp_path).checkpoint("nuscenes", "full", 0) / "provenance.json", {})
    with pytest.raises(UserError, match=r"provenance\.json is no provenance"):
        planned(config_folder, tmp_path, "smoke", "table2")
