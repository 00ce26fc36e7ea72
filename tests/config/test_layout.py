"""Paths of results."""

from pathlib import Path

from nexusflow.config.layout import Layout


def test_paths_of_a_run_and_of_wildcards() -> None:
    layout = Layout("smoke", Path("elsewhere"))
    assert layout.checkpoint("nyuv2", "baseline", 3) == Path(
        "elsewhere/smoke/checkpoints/nyuv2/baseline/seed3"
    )
    assert layout.metrics("nyuv2", "baseline", 3) == Path(
        "elsewhere/smoke/runs/nyuv2/baseline/seed3/metrics.json"
    )
    partition = Layout("{scale}").partition("{suite}", "{world}", "{kind}")
    assert str(partition) == "results/{scale}/partitions/{suite}/{world}/{kind}.csv"
