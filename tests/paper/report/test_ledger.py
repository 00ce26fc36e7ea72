"""Claims know their topic and suite."""

from pathlib import Path

import pytest

from nexusflow.core.errors import UserError
from nexusflow.paper.claims_config import load_claims
from nexusflow.paper.report.ledger import count_verdicts, read_ledger
from tests.paper.report.fabricate import source


def test_every_claim_is_there_with_topic_and_suite(results: Path) -> None:
    rows = read_ledger(results / "claims.csv", results / "claims_parts.csv", source().paper)
    found = {row.cells["id"]: row for row in rows}
    assert list(found) == [claim.id for claim in load_claims().claims]
    places = {name: (found[name].topic, found[name].suite) for name in ("coupling_bijection", "tsne")}
    assert places == {
        "coupling_bijection": ("Method", "the paper's words"),
        "tsne": ("Figures", "the paper's words"),
    }
    assert (found["amota_over_mtpsl"].topic, found["amota_over_mtpsl"].suite) == ("Table 2", "nuScenes")
    assert (found["mmd_nyuv2"].topic, found["mmd_nyuv2"].suite) == ("Table 1", "NYUv2")
    assert (found["b1_and_b2_agree"].topic, found["b1_and_b2_agree"].suite) == ("Table B.1", "NYUv2")
    parts = found["partition_hurts"].parts
    assert parts is not None and len(parts.rows) == 8 and found["coupling_bijection"].parts is None
    assert "amota" in found["amota_over_mtpsl"].words


def test_verdicts_are_counted(results: Path) -> None:
    rows = read_ledger(results / "claims.csv", None, source().paper)
    counts = count_verdicts(rows)
    assert list(counts) == ["impossible as printed", "not run at this scale"]
    assert sum(counts.values()) == len(rows)


def test_a_ledger_without_a_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text("id,where\na,b\n")
    with pytest.raises(UserError, match=r"claims\.csv has no column 'statement'"):
        read_ledger(tmp_path / "claims.csv", None, source().paper)
