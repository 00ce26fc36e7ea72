"""Table 1: every reading, seeds averaged, the paper's value beside ours, other runs' files refused."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.core.files import write_json
from nexusflow.paper.table1 import MMDRow, build_table1, table1_markdown


def analysis(path: Path, run: str, value: float, post_hoc: bool = False) -> Path:
    numbers = dict.fromkeys(("mmd2", "mmd2_std", "null_mmd2", "null_mmd2_std", "unbiased_mmd2"), value)
    reading = {"features": "latent", "sets": "cross_domain", "bandwidth": "data", **numbers, "p_value": 0.5}
    content = {"scale": "smoke", "suite": "nuscenes", "run": run, "post_hoc": post_hoc, "subset_size": 4}
    write_json(path, {**content, "readings": [reading]})
    return path


def test_seeds_are_averaged_and_the_paper_stands_beside(tmp_path: Path) -> None:
    files = tuple(analysis(tmp_path / f"{value}.json", "ours", value) for value in (1.0, 2.0))
    frame = build_table1([MMDRow("nuscenes", "ours", "Ours", "Ours", files)], "smoke")
    row = frame.iloc[0]
    assert (row["mmd2"], row["paper"], row["n"]) == (1.5, "1.56 ± 0.47", 2)
    assert row["mmd2 std over seeds"] == pytest.approx(0.5**0.5)


def test_surrogates_of_another_training_are_marked(tmp_path: Path) -> None:
    rows = [
        MMDRow("nuscenes", "a", "A", None, (analysis(tmp_path / "a.json", "a", 1.0, post_hoc=True),)),
        MMDRow("nuscenes", "b", "B", None, (analysis(tmp_path / "b.json", "b", 1.0),)),
    ]
    text = table1_markdown(build_table1(rows, "smoke"), "Table 1", "Scale `smoke`")
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert "(post hoc)" in lines["A"] and "(post hoc)" not in lines["B"]


def test_files_of_another_run_are_refused(tmp_path: Path) -> None:
    path = analysis(tmp_path / "a.json", "a", 1.0)
    with pytest.raises(UserError, match="key 'run' must be b"):
        build_table1([MMDRow("nuscenes", "b", "B", None, (path,))], "smoke")
    with pytest.raises(UserError, match="No run of Table 1"):
        build_table1([MMDRow("nuscenes", "b", "B", None)], "smoke")
