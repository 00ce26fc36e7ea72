"""The verb `features`: a run's own surrogates, or some trained afterwards and said to be."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.analysis.features import read_features
from nexusflow.config.features import build_surrogates, features_from_configuration, surrogate_section
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.core.errors import UserError
from nexusflow.core.files import sha256_file
from tests.config.toy_run import use_toy, write_run
from tests.training.toy_taps import WIDTHS


@pytest.fixture
def configuration(config_folder: Path) -> Configuration:
    return load_configuration(config_folder, "smoke")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout("smoke", tmp_path)


def test_runs_with_surrogates_keep_theirs(configuration: Configuration) -> None:
    section, post_hoc = surrogate_section(
        configuration, configuration.resolve("nuscenes", "nexusflow_depth2")
    )
    assert not post_hoc and section.depth == 2 and section.dim == 64


@pytest.mark.parametrize("run", ["baseline", "mtpsl", "jtr"])
@pytest.mark.parametrize(
    ("suite", "twin"), [("nuscenes", "nexusflow_one_stage"), ("nyuv2", "nexusflow_centre")]
)
def test_others_get_those_of_a_plain_run(
    configuration: Configuration, suite: str, twin: str, run: str
) -> None:
    section, post_hoc = surrogate_section(configuration, configuration.resolve(suite, run))
    assert post_hoc and section == configuration.resolve(suite, twin).method


def test_weights_of_another_model_are_refused(configuration: Configuration, layout: Layout) -> None:
    path = write_run(configuration, layout, "nexusflow_depth2") / "method.safetensors"
    section = surrogate_section(configuration, configuration.resolve("nuscenes", "nexusflow_depth2"))[0]
    build_surrogates(section, dict(WIDTHS), 0, "nuscenes", (path, "toy"))
    with pytest.raises(UserError, match="trained with another model configuration"):
        build_surrogates(section, dict(WIDTHS), 0, "nuscenes", (path, "other"))
    with pytest.raises(UserError, match="does not fit the model"):
        build_surrogates(section, {"track": 4, "map": 5}, 0, "nuscenes", (path, "toy"))
    path.unlink()
    with pytest.raises(UserError, match=r"method\.safetensors is missing; train the run"):
        build_surrogates(section, dict(WIDTHS), 0, "nuscenes", (path, "toy"))


def test_features_of_a_run_with_surrogates(
    configuration: Configuration, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_toy(monkeypatch)
    folder = write_run(configuration, layout, "nexusflow_two_stage")
    features_from_configuration(configuration, layout, "nuscenes", "nexusflow_two_stage", 0)
    found = read_features(layout.features("nuscenes", "nexusflow_two_stage", 0))
    assert not found.meta["post_hoc"] and found.meta["surrogates"] == {"trained": "with the run"}
    assert found.meta["provenance"]["method.safetensors"] == sha256_file(folder / "method.safetensors")
    assert found.meta["provenance"]["run"] == "print of nexusflow_two_stage"
    assert found.of("latent", "map").shape == (6, 64)


def test_features_of_a_run_without_surrogates_say_so(
    configuration: Configuration, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_toy(monkeypatch)
    write_run(configuration, layout, "baseline", seed=1)
    path = layout.features("nuscenes", "baseline", 1)
    features_from_configuration(configuration, layout, "nuscenes", "baseline", 1)
    found, first = read_features(path), path.read_bytes()
    assert found.meta["post_hoc"] and found.meta["surrogates"]["steps"] == 3
    assert found.meta["surrogates"]["trained"].startswith("post hoc")
    assert np.isfinite(found.meta["surrogates"]["last_align_loss"])
    features_from_configuration(configuration, layout, "nuscenes", "baseline", 1)
    assert path.read_bytes() == first


def test_a_run_that_was_not_trained_is_one_sentence(
    configuration: Configuration, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_toy(monkeypatch)
    with pytest.raises(UserError, match=r"provenance\.json is missing") as caught:
        features_from_configuration(configuration, layout, "nuscenes", "baseline", 0)
    assert "\n" not in str(caught.value)
