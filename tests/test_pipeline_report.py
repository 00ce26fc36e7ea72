"""The workflow makes the report of what is there, and trains nothing for it."""

import re
from pathlib import Path

import pytest

from tests.paper.report.fabricate import write_results
from tests.test_pipeline import project, snakemake  # noqa: F401


def planned(output: str) -> set[str]:
    return set(re.findall(r"^(?:local)?rule (\w+):", output, flags=re.MULTILINE))


@pytest.mark.slow
def test_by_name_the_report_is_the_only_job(project: Path) -> None:  # noqa: F811
    write_results(project / "results" / "smoke")
    result = snakemake(project, "--dry-run", "results/smoke/report.html")
    assert result.returncode == 0, result.stderr[-3000:]
    assert planned(result.stdout + result.stderr) == {"report_page"}


@pytest.mark.slow
def test_with_everything_the_report_comes_after_everything(project: Path) -> None:  # noqa: F811
    result = snakemake(project, "--dry-run", "--config", "scale=smoke")
    assert result.returncode == 0, result.stderr[-3000:]
    output = result.stdout + result.stderr
    rules = re.findall(r"^(?:local)?rule (\w+):", output, flags=re.MULTILINE)
    assert {"train", "table", "claims", "report_page", "publish"} <= set(rules)
    page = output[output.index("rule report_page:") :].split("output:")[0]
    for name in ("table2.csv", "figure6.png", "claims.csv"):
        assert f"results/smoke/{name}" in page
