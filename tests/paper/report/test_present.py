"""The report finds what is there and nothing else."""

from pathlib import Path

from nexusflow.core.files import write_json
from nexusflow.paper.report.present import PresentFiles, find_files


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert find_files(tmp_path / "nowhere") == PresentFiles()


def test_files_are_found_by_their_kind(results: Path) -> None:
    found = find_files(results)
    assert list(found.tables) == ["table2", "tableB1"]
    assert list(found.notes) == ["table2"]
    assert list(found.figures) == ["figure6", "surprise", "video"]
    assert found.claims == results / "claims.csv" and found.claim_parts == results / "claims_parts.csv"
    assert len(found.provenance) == len(found.logs) == len(found.benchmarks) == 3
    assert len(found.paths) == len(set(found.paths)) == 17
    assert all(path.exists() for path in found.paths)


def test_a_run_is_counted_once_and_known_without_its_weights(tmp_path: Path) -> None:
    for folder, run in (("runs", "full"), ("checkpoints", "full"), ("runs", "baseline")):
        write_json(tmp_path / folder / "nuscenes" / run / "seed0" / "provenance.json", {})
    found = [path.relative_to(tmp_path).parts[:3] for path in find_files(tmp_path).provenance]
    assert found == [("runs", "nuscenes", "baseline"), ("checkpoints", "nuscenes", "full")]
