"""Results that belong to other code, another configuration or other data are stale."""

from pathlib import Path

import pytest

from nexusflow.config.assemble import run_identity
from nexusflow.config.doctor.results import check_results, why_stale
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.core.files import read_json, write_json

RUN = ("nuscenes", "baseline", 0)


@pytest.fixture
def scale(config_folder: Path, tmp_path: Path) -> tuple[Configuration, Layout]:
    """A trained run of the smoke scale, as far as the doctor reads it."""
    configuration, layout = load_configuration(config_folder, "smoke"), Layout("smoke", tmp_path / "results")
    write_json(layout.cache("nuscenes", "street") / "index.json", {"frames": 4})
    table = layout.partition("nuscenes", "street", "s_geo")
    table.parent.mkdir(parents=True)
    table.write_text("scene,track,map\n")
    identity = run_identity(configuration, layout, configuration.resolve("nuscenes", "baseline"), 0)
    record = {**vars(identity), "fingerprint": identity.fingerprint}
    write_json(layout.checkpoint(*RUN) / "provenance.json", record)
    write_json(layout.run(*RUN) / "provenance.json", record)
    return configuration, layout


def test_a_fresh_run(scale: tuple[Configuration, Layout]) -> None:
    assert [finding.level for finding in check_results(*scale)] == ["ok"]


@pytest.mark.parametrize(
    ("change", "word"),
    [("code", "code"), ("settings", "configuration"), ("data", "data"), ("predictions", "predictions")],
)
def test_a_stale_run(scale: tuple[Configuration, Layout], change: str, word: str) -> None:
    configuration, layout = scale
    path = layout.checkpoint(*RUN) / "provenance.json"
    if change == "data":
        layout.partition("nuscenes", "street", "s_geo").write_text("scene,track,map\nscene-0001,1,0\n")
    elif change == "predictions":
        path = layout.run(*RUN) / "provenance.json"
        write_json(path, read_json(path) | {"fingerprint": "other"})
    else:
        write_json(path, read_json(path) | {change: "other"})
    (finding,) = check_results(configuration, layout)
    assert finding.level == "act" and word in finding.text and "snakemake" in finding.advice


def test_damaged_and_unknown_runs(scale: tuple[Configuration, Layout]) -> None:
    configuration, layout = scale
    (layout.checkpoint(*RUN) / "provenance.json").write_text("{")
    write_json(layout.checkpoint("nuscenes", "forgotten", 0) / "provenance.json", {})
    assert [finding.level for finding in check_results(configuration, layout)] == ["act", "note"]


def test_nothing_trained(scale: tuple[Configuration, Layout]) -> None:
    assert check_results(scale[0], Layout("smoke", Path("nowhere"))) == []


def test_a_record_of_another_kind_is_stale() -> None:
    assert why_stale(["x"], {}) == ["provenance"]
