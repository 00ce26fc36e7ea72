"""Both sides of Lemma 1 as they are read: every pair and reading; damage named."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import read_json, write_json
from nexusflow.paper.lemma_data import READINGS, factor_text, read_lemma
from tests.paper.fabricate_analyses import CONTEXT, write_lemma_of


def test_every_pair_of_every_run_has_every_reading(tmp_path: Path) -> None:
    runs = [write_lemma_of(tmp_path, "a", vacuous=True), write_lemma_of(tmp_path, "b", "nyuv2")]
    pairs = read_lemma(runs, CONTEXT)
    assert [pair.tasks for pair in pairs] == [
        ("track", "map"),
        ("segmentation", "depth"),
        ("segmentation", "normal"),
        ("depth", "normal"),
    ]
    for pair in pairs:
        assert set(pair.sides) == set(READINGS) and pair.loss == "center" and factor_text(pair) == "√2"
        np.testing.assert_allclose(pair.sides["local"].right_N, 2 * pair.left_N)
    assert pairs[0].sides["analytic"].lipschitz is None and pairs[0].sides["analytic"].vacuous
    assert pairs[1].sides["secant"].share == 0.75


@pytest.mark.parametrize(("factor", "text"), [(1.0, "1"), (8.0, "√64"), (1.1, "1.100")])
def test_factors_are_written_as_formulas(tmp_path: Path, factor: float, text: str) -> None:
    item = write_lemma_of(tmp_path, "a")
    assert item.path is not None
    content = read_json(item.path)
    content["pairs"][0]["factor"] = factor
    write_json(item.path, content)
    assert factor_text(read_lemma([item], CONTEXT)[0]) == text


@pytest.mark.parametrize("key", ["tasks", "delta", "factor", "readings"])
def test_a_damaged_pair_is_named(tmp_path: Path, key: str) -> None:
    item = write_lemma_of(tmp_path, "a", "nyuv2")
    assert item.path is not None
    content = read_json(item.path)
    del content["pairs"][1][key]
    write_json(item.path, content)
    with pytest.raises(UserError, match=rf"seed0\.json: key 'pairs\.1' .*'{key}'") as caught:
        read_lemma([item], CONTEXT)
    assert "\n" not in str(caught.value)
