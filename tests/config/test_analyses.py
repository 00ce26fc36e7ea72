"""The verb `analyse`: what each kind writes, and bad input in one sentence."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.analysis.features import KINDS, read_features, write_features
from nexusflow.config.analyses import ANALYSES, analyse_from_configuration
from nexusflow.config.features import features_from_configuration
from nexusflow.config.layout import Layout
from nexusflow.config.load import Configuration, load_configuration
from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.analysis_files import FORMAT
from tests.analysis.toy_features import toy_features
from tests.config.toy_run import use_toy, write_run

RUN = ("nuscenes", "toy", 0)


@pytest.fixture
def configuration(config_folder: Path) -> Configuration:
    return load_configuration(config_folder, "smoke")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout("smoke", tmp_path)
    write_features(made.features(*RUN), toy_features())
    return made


@pytest.mark.parametrize(
    ("kind", "key", "arrays"),
    [
        ("mmd", "readings", None),
        ("embedding", "pictures", "latent/map"),
        ("spectrum", "spectra", "latent/all/shares"),
    ],
)
def test_every_kind_says_what_it_was_made_of(
    configuration: Configuration, layout: Layout, kind: str, key: str, arrays: str | None
) -> None:
    analyse_from_configuration(configuration, layout, kind, *RUN)
    path = layout.analysis(kind, *RUN)
    content = read_json(path)
    assert content["format"] == FORMAT and content[key] and content["run"] == "toy"
    assert content["features_sha256"] == read_features(layout.features(*RUN)).meta["npz_sha256"]
    assert path.with_suffix(".npz").exists() == (arrays is not None)
    if arrays is not None:
        with np.load(path.with_suffix(".npz")) as archive:
            assert np.isfinite(archive[arrays]).all()
    first = path.read_bytes()
    analyse_from_configuration(configuration, layout, kind, *RUN)
    assert path.read_bytes() == first


@pytest.fixture
def extracted(configuration: Configuration, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Features of a run with surrogates; the folder of its weights."""
    use_toy(monkeypatch)
    folder = write_run(configuration, layout, "nexusflow_two_stage")
    features_from_configuration(configuration, layout, "nuscenes", "nexusflow_two_stage", 0)
    return folder


def test_lemma_1_uses_the_weights_of_the_run(
    configuration: Configuration, layout: Layout, extracted: Path
) -> None:
    run = ("nuscenes", "nexusflow_two_stage", 0)
    analyse_from_configuration(configuration, layout, "lemma", *run)
    content = read_json(layout.analysis("lemma", *run))
    assert content["pairs"][0]["tasks"] == ["track", "map"] and content["loss"] == "center"
    assert content["pairs"][0]["readings"]["analytic"]["share"] == 1
    (extracted / "method.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match="not what the features were made with; extract them again"):
        analyse_from_configuration(configuration, layout, "lemma", *run)


def test_lemma_1_needs_surrogates_of_the_run(configuration: Configuration, layout: Layout) -> None:
    write_features(layout.features(*RUN), toy_features(post_hoc=True))
    with pytest.raises(UserError, match=r"Run toy has no surrogates of its own.*`lemma.runs`"):
        analyse_from_configuration(configuration, layout, "lemma", *RUN)


def test_an_unknown_kind_is_named(configuration: Configuration, layout: Layout) -> None:
    with pytest.raises(
        UserError, match="no analysis `umap`; the analyses are mmd, embedding, spectrum, lemma"
    ):
        analyse_from_configuration(configuration, layout, "umap", *RUN)


@pytest.mark.parametrize("kind", ANALYSES)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", r"seed0\.json is missing"),
        ("key", "has no key 'tasks'"),
        ("nan", "'h/map' holds NaN or infinity"),
    ],
)
def test_bad_features_are_one_sentence(
    configuration: Configuration, layout: Layout, kind: str, damage: str, message: str
) -> None:
    path = layout.features(*RUN)
    if damage == "missing":
        path.with_suffix(".json").unlink()
    elif damage == "key":
        content = read_json(path.with_suffix(".json"))
        del content["tasks"]
        write_json(path.with_suffix(".json"), content)
    else:
        features = toy_features()
        for name in KINDS:
            features.features[name]["map"][0, 0] = np.nan
        write_features(path, features)
    with pytest.raises(UserError, match=message) as caught:
        analyse_from_configuration(configuration, layout, kind, *RUN)
    assert "\n" not in str(caught.value) and str(path.with_suffix("")) in str(caught.value)
    assert not layout.analysis(kind, *RUN).exists()
