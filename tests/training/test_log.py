"""The training log."""

from pathlib import Path

from nexusflow.training.log import TrainingLog


def test_rows_are_means_and_columns_a_union(tmp_path: Path) -> None:
    log = TrainingLog(every=2)
    log.add({"loss/map": 1.0})
    log.add({"loss/map": 3.0, "loss/track": 5.0})
    log.close_row(2, {"learning_rate": 0.5})
    log.add({"loss/map": 7.0})
    log.close_row(3, {})
    log.write(tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text().splitlines() == [
        "step,learning_rate,loss/map,loss/track",
        "2,0.5,2,5",
        "3,,7,",
    ]


def test_rows_of_an_interrupted_part_come_first() -> None:
    log = TrainingLog(every=1, rows=[{"step": 1.0, "a": 0.0}])
    log.add({"a": 2.0})
    log.close_row(2, {})
    assert [row["step"] for row in log.rows] == [1.0, 2.0]
