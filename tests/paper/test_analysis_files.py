"""Analyses on disk: of the wanted run, finite, in shape; every mistake names file and key."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.analysis_files import (
    AnalysedRun,
    AnalysisContext,
    read_analyses,
    read_analysis,
)
from nexusflow.paper.archive import write_archive
from tests.paper.fabricate_analyses import CONTEXT, write_pictures_of


def test_the_source_says_scale_data_seed_and_frames(tmp_path: Path) -> None:
    street = read_analysis(write_pictures_of(tmp_path, "a"), CONTEXT, "pictures")
    rooms = read_analysis(write_pictures_of(tmp_path, "b", "nyuv2"), CONTEXT, "pictures")
    assert CONTEXT.source([street, street]) == (
        "Scale smoke; fabricated; seed 0; 12 validation frames of 4 scenes"
    )
    assert CONTEXT.source([rooms]).endswith("12 validation images")


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (AnalysisContext("embedded", "", 0), "key 'scale' must be embedded, not smoke"),
        (AnalysisContext("smoke", "", 3), "key 'seed' must be 3, not 0"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, context: AnalysisContext, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_analysis(write_pictures_of(tmp_path, "a"), context, "pictures")


def test_a_file_of_another_run_is_refused(tmp_path: Path) -> None:
    path = write_pictures_of(tmp_path, "a").path
    with pytest.raises(UserError, match="key 'run' must be b, not a"):
        read_analysis(AnalysedRun("nuscenes", "b", "B", path), CONTEXT, "pictures")


def test_missing_files_and_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seed0\.json is missing"):
        read_analysis(AnalysedRun("nuscenes", "a", "A", tmp_path / "seed0.json"), CONTEXT, "pictures")
    item = write_pictures_of(tmp_path, "a")
    with pytest.raises(UserError, match=r"seed0\.json has no key 'spectra'"):
        read_analysis(item, CONTEXT, "spectra")
    analysis = read_analysis(item, CONTEXT, "pictures")
    with pytest.raises(UserError, match=r"no key 'pictures\.latents'"):
        analysis.number("pictures", "latents", "mixing")
    with pytest.raises(UserError, match="no array 'latent/depth'"):
        analysis.array("latent/depth", (None, 2))


def test_arrays_that_do_not_belong_are_refused(tmp_path: Path) -> None:
    item = write_pictures_of(tmp_path, "a")
    assert item.path is not None
    meta = read_json(item.path)
    write_json(item.path, meta | {"npz_sha256": "0"})
    with pytest.raises(UserError, match="key 'npz_sha256' does not fit"):
        read_analysis(item, CONTEXT, "pictures")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[0.0, np.nan]]), "free of NaN and infinity"),
        (np.array([[0.0, np.inf]]), "free of NaN and infinity"),
        (np.zeros((3, 3)), "numbers of shape n × 2"),
        (np.array([["a", "b"]]), "numbers of shape n × 2"),
    ],
)
def test_values_that_cannot_be_drawn_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    item = write_pictures_of(tmp_path, "a")
    assert item.path is not None
    write_archive(item.path.with_suffix(".npz"), {"x": array}, read_json(item.path))
    analysis = read_analysis(item, CONTEXT, "pictures")
    with pytest.raises(UserError, match=f"array 'x' must be {message}"):
        analysis.array("x", (None, 2))


def test_infinity_is_let_through_on_request_and_nan_is_not(tmp_path: Path) -> None:
    item = write_pictures_of(tmp_path, "a")
    assert item.path is not None
    arrays = {"far": np.array([1.0, np.inf]), "broken": np.array([np.nan])}
    write_archive(item.path.with_suffix(".npz"), arrays, read_json(item.path))
    analysis = read_analysis(item, CONTEXT, "pictures")
    assert analysis.array("far", (2,), finite=False)[1] == np.inf
    with pytest.raises(UserError, match="must be free of NaN;"):
        analysis.array("broken", (None,), finite=False)


@pytest.mark.parametrize("value", [None, "0.5", True])
def test_numbers_must_be_numbers(tmp_path: Path, value: object) -> None:
    item = write_pictures_of(tmp_path, "a", perplexity=value)
    with pytest.raises(UserError, match="key 'perplexity' must be a finite number"):
        read_analysis(item, CONTEXT, "pictures").number("perplexity")


def test_declared_runs_have_no_file_but_one_run_must(tmp_path: Path) -> None:
    later = AnalysedRun("nuscenes", "later", "Later", None)
    found = read_analyses([later, write_pictures_of(tmp_path, "a")], CONTEXT, "pictures")
    assert [analysis is None for _, analysis in found] == [True, False]
    for nothing in ([later], []):
        with pytest.raises(UserError, match="No run of this figure"):
            read_analyses(nothing, CONTEXT, "pictures")
