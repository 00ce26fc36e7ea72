"""Lemma 1 in numbers: one line per reading, infinity empty in the CSV and plain in the Markdown."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.lemma_data import read_lemma
from nexusflow.paper.lemma_table import lemma_frame, lemma_markdown, write_lemma
from tests.paper.fabricate_analyses import CONTEXT, write_lemma_of


def test_a_line_per_run_pair_and_reading(tmp_path: Path) -> None:
    runs = [write_lemma_of(tmp_path, "a"), write_lemma_of(tmp_path, "b", "nyuv2")]
    pairs = read_lemma(runs, CONTEXT)
    frame = lemma_frame(pairs, CONTEXT)
    assert len(frame) == 3 * (1 + 3) and not frame.duplicated(["suite", "run", "tasks", "reading"]).any()
    row = frame[(frame["run"] == "b") & (frame["tasks"] == "depth-normal")].set_index("reading").loc["local"]
    assert (row["L"], row["share"], row["delta"], row["samples"]) == (2.0, 1.0, 0.5, 12)
    assert row["factor"] == pytest.approx(2**0.5)
    assert row["median left"] == pytest.approx(np.median(pairs[3].left_N))
    assert row["median right"] == pytest.approx(2 * row["median left"])


def test_infinity_is_said_plainly(tmp_path: Path) -> None:
    pairs = read_lemma([write_lemma_of(tmp_path, "a", vacuous=True)], CONTEXT)
    frame = lemma_frame(pairs, CONTEXT)
    text = lemma_markdown(pairs, frame, CONTEXT, "Lemma 1")
    analytic, local = (
        next(x for x in text.splitlines() if f"| {name}" in x) for name in ("analytic", "largest local")
    )
    assert "says nothing" in analytic and analytic.count("∞") == 2
    assert "100.0%" in local and "√2 (centre loss)" in local and "∞" not in local
    assert pd.isna(frame["L"].iloc[0]) and frame["L"].iloc[1] == 2.0


def test_all_files_are_written_and_repeat_to_the_byte(tmp_path: Path) -> None:
    runs = [write_lemma_of(tmp_path, "a")]
    written = []
    for name in ("one", "two"):
        csv, markdown, png = (tmp_path / f"{name}.{ending}" for ending in ("csv", "md", "png"))
        write_lemma(runs, CONTEXT, csv, markdown, [png], "Lemma 1", dpi=50)
        written.append([path.read_bytes() for path in (csv, markdown, png)])
    assert written[0] == written[1]
    assert len(pd.read_csv(tmp_path / "one.csv")) == 3
    assert (tmp_path / "one.md").read_text().startswith("# Lemma 1 (seed 0)\n\nScale smoke;")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    item = write_lemma_of(tmp_path, "a", format=7)
    with pytest.raises(UserError, match="key 'format' is 7"):
        write_lemma([item], CONTEXT, tmp_path / "x.csv", tmp_path / "x.md", [], "Lemma 1")
    assert not (tmp_path / "x.csv").exists()
