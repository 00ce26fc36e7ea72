"""Tables B.1 and B.2: the paper's layout, its columns beside ours, settings that wait."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from nexusflow.core.errors import UserError
from nexusflow.paper.config import AblationTableConfig, PaperConfig
from nexusflow.paper.rows import MethodRow, TableContext, rows_from_config
from nexusflow.paper.table_b import ablation_frame, build_table_b, write_table_b
from tests.paper.fabricate_dense import write_dense_metrics

CONTEXT = TableContext("smoke", "fabricated rooms", (0, 1, 2), embedded=True)
PATH = Path(__file__).parents[2] / "config" / "paper.yaml"


@pytest.fixture(params=["tableB1", "tableB2"])
def section(request: Any) -> AblationTableConfig:
    content = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    found = getattr(PaperConfig.model_validate(content), request.param)
    assert isinstance(found, AblationTableConfig)
    return found


def _rows(section: AblationTableConfig, folder: Path, waiting: tuple[str, ...] = ()) -> list[MethodRow]:
    files = {
        row.run: write_dense_metrics(folder, row.run, gain=0.02 * (row.value or 0))
        for row in section.rows
        if row.id not in waiting
    }
    return rows_from_config(section, files)


def test_metrics_are_rows_and_settings_are_columns(section: AblationTableConfig, tmp_path: Path) -> None:
    table = build_table_b(_rows(section, tmp_path), CONTEXT, section.paper_table)
    frame = ablation_frame(table)
    assert list(frame["metric"][:3]) == ["Seg IoU", "Depth aErr", "Norm mErr"]
    assert list(frame["better"][:3]) == ["up", "down", "down"]
    settings = table.frame.set_index("method")
    for label in ("Baseline", *"123456"):
        for metric in ("Seg IoU", "Norm <30"):
            cell = frame.set_index("metric").loc[metric]
            assert cell[label] == settings.loc[label, metric]
            assert cell[f"{label} std"] == settings.loc[label, f"{metric} std"]
            assert cell[f"{label} n"] == 3
    best = {"tableB1": "3", "tableB2": "4"}[section.paper_table]
    assert frame[f"{best} paper"][0] == "31.70"
    assert frame["Baseline paper"][1] == "0.6511"
    assert pd.isna(frame["1 paper"].iloc[-1])


@pytest.mark.parametrize("waiting", [("mlp2", "couplings2"), "all"])
def test_written_files(section: AblationTableConfig, tmp_path: Path, waiting: Any) -> None:
    ids = tuple(row.id for row in section.rows) if waiting == "all" else waiting
    rows = _rows(section, tmp_path, ids)
    paths = [tmp_path / f"{name}.{ending}" for name in "ab" for ending in ("csv", "md", "png")]
    for csv_path, md_path, png_path in (paths[:3], paths[3:]):
        write_table_b(section, rows, CONTEXT, csv_path, md_path, [png_path], dpi=50, width_in=9.0)
    for first, second in zip(paths[:3], paths[3:], strict=True):
        assert first.read_bytes() == second.read_bytes()
    frame, text = pd.read_csv(paths[0]), paths[1].read_text()
    assert len(frame) == 10 and frame["2 n"].eq(0).all() and frame["2"].isna().all()
    assert f"Numbers above the columns: {section.axis}." in text
    lines = [line.split("|") for line in text.splitlines() if line.startswith(("| seeds", "| Seg IoU"))]
    seeds, iou = lines[:2]
    assert seeds[4].strip() == "–"
    assert iou[4].strip().startswith("– [")
    assert "Not yet run: there is no result to report." in text
    assert ("± " in iou[3]) == (waiting != "all")


def test_setting_that_the_paper_does_not_have(section: AblationTableConfig, tmp_path: Path) -> None:
    rows = [*_rows(section, tmp_path), MethodRow("zero", "0", "zero", suite="nyuv2")]
    content = section.model_dump()
    content["rows"] = [*content["rows"], {"id": "zero", "label": "0", "run": "zero", "value": 0}]
    more = AblationTableConfig.model_validate(content)
    paths = [tmp_path / f"z.{ending}" for ending in ("csv", "md", "png")]
    write_table_b(more, rows, CONTEXT, paths[0], paths[1], [paths[2]], dpi=50, width_in=9.0)
    assert "| 0 (not in the paper)" in paths[1].read_text().replace("  ", "")


def test_unknown_column_of_the_paper_is_named(section: AblationTableConfig) -> None:
    with pytest.raises(
        UserError, match=r"known columns: Baseline, 1, 2, 3, 4, 5, 6; correct the `paper` key"
    ):
        build_table_b([MethodRow("x", "X", "x", "7", suite="nyuv2")], CONTEXT, section.paper_table)
