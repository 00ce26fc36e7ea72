"""Reading metrics.json: complete values in, errors that name file and key out."""

from pathlib import Path
from typing import Any

import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file, write_json
from nexusflow.paper.metrics import load_run, read_metrics
from tests.paper.fabricate import metrics_content, write_metrics
from tests.paper.fabricate_dense import dense_metrics_content, write_dense_metrics


def test_values_and_cost_are_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    content = metrics_content("full", 3, domain_gap=0.25)
    write_json(path, content)
    file = read_metrics(path)
    assert (file.run, file.seed, file.scale, file.domain_gap) == ("full", 3, "smoke", 0.25)
    assert file.value("all", "AMOTA") == content["metrics"]["overall"]["AMOTA"]
    assert file.value("singapore", "Lanes") == content["metrics"]["singapore"]["Lanes"]
    assert file.value("boston", "unheard of") is None
    assert file.cost == {"train seconds": 103.0, "steps": 400.0, "peak memory MiB": 1024.5}
    assert file.sha256 == sha256_file(path)


def test_cost_falls_back_to_provenance(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, metrics_content("full", 0, training=None))
    assert read_metrics(path).cost == {}
    write_json(tmp_path / "provenance.json", {"train_seconds": 7.5, "steps": 12, "peak_memory_mib": 99})
    assert read_metrics(path).cost == {"train seconds": 7.5, "steps": 12.0, "peak memory MiB": 99.0}


@pytest.mark.parametrize("key", ["run", "suite", "seed", "scale", "metrics"])
def test_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "metrics.json"
    content = metrics_content("full", 0)
    del content[key]
    write_json(path, content)
    with pytest.raises(UserError, match=rf"metrics\.json has no key '{key}'"):
        read_metrics(path)


@pytest.mark.parametrize("region", ["overall", "boston", "singapore"])
def test_missing_region_is_named(tmp_path: Path, region: str) -> None:
    path = tmp_path / "metrics.json"
    content = metrics_content("full", 0)
    del content["metrics"][region]
    write_json(path, content)
    with pytest.raises(UserError, match=rf"no key 'metrics\.{region}'"):
        read_metrics(path)


@pytest.mark.parametrize("value", ["0.3", True, [1]])
def test_value_of_wrong_type_is_named(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "metrics.json"
    content = metrics_content("full", 0)
    content["metrics"]["boston"]["AMOTA"] = value
    write_json(path, content)
    with pytest.raises(UserError, match=r"'metrics\.boston\.AMOTA' must be a finite number"):
        read_metrics(path)


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, metrics_content("full", 0))
    path.write_text(path.read_text().replace('"AMOTA": 0', '"AMOTA": NaN, "x": 0'))
    with pytest.raises(UserError, match="finite number"):
        read_metrics(path)


def test_null_means_absent(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    content = metrics_content("trivial", 0)
    content["metrics"]["overall"]["AMOTP"] = None
    write_json(path, content)
    assert read_metrics(path).value("all", "AMOTP") is None


def test_files_of_another_run_scale_gap_or_seed_are_refused(tmp_path: Path) -> None:
    paths = write_metrics(tmp_path, "full", (2, 0))
    assert [file.seed for file in load_run(paths, "full")] == [0, 2]
    with pytest.raises(UserError, match="key 'run' is full, but the row needs baseline"):
        load_run(paths, "baseline")
    with pytest.raises(UserError, match="key 'scale' is smoke, not embedded"):
        load_run(paths, "full", "embedded")
    with pytest.raises(UserError, match="repeats seed 0"):
        load_run([*paths, paths[1]], "full")
    write_json(paths[0], metrics_content("full", 2, domain_gap=0.5))
    with pytest.raises(UserError, match=r"key 'domain_gap' is 0.5, not 0.25"):
        load_run(paths, "full", "smoke", 0.25)


def test_nyuv2_has_one_region_and_the_best_validation(tmp_path: Path) -> None:
    (path,) = write_dense_metrics(tmp_path, "full", (2,))
    file = read_metrics(path)
    assert set(file.values) == {"all"}
    invented = dense_metrics_content("full", 2)["metrics"]["overall"]
    assert file.value("all", "Norm <11.25") == invented["Norm <11.25"]
    assert file.best["step"] == 1200
    assert file.best["Seg IoU"] > file.value("all", "Seg IoU")
    assert file.cost["train seconds"] == 82.0
    (reference,) = write_dense_metrics(tmp_path, "trivial", (0,), trained=False)
    assert read_metrics(reference).best == {}


@pytest.mark.parametrize("best", [[1], {"step": "x"}])
def test_malformed_best_validation_is_named(tmp_path: Path, best: Any) -> None:
    (path,) = write_dense_metrics(tmp_path, "full", (0,))
    write_json(path.with_name("provenance.json"), {"best_validation": best})
    with pytest.raises(UserError, match=r"provenance\.json: key 'best_validation"):
        read_metrics(path)


def test_unknown_suite_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, metrics_content("full", 0, suite="kitti"))
    with pytest.raises(UserError, match="key 'suite' is kitti; the suites are nuscenes, nyuv2"):
        read_metrics(path)
