"""Everything that the doctor looks at, in order."""

from __future__ import annotations

from pathlib import Path

from nexusflow.config.doctor.data import check_worlds
from nexusflow.config.doctor.environment import check_environment
from nexusflow.config.doctor.findings import Finding, act, ok
from nexusflow.config.doctor.marks import check_dvc, check_leftovers, check_snakemake
from nexusflow.config.doctor.results import check_results
from nexusflow.config.layout import Layout
from nexusflow.config.load import load_configuration
from nexusflow.core.errors import UserError

__all__ = ["examine"]


def _check_scale(folder: Path, scale: str, asked: bool) -> list[Finding]:
    """Check the configuration of a scale and what is there of it."""
    try:
        configuration = load_configuration(folder, scale)
        configuration.check()
    except UserError as error:
        return [act("configuration", str(error), "correct it")]
    layout = Layout(scale)
    if not asked and not layout.base.is_dir():
        return []
    findings = [ok("configuration", f"{scale}: no mistake")]
    return findings + check_worlds(configuration, layout) + check_results(configuration, layout)


def examine(folder: Path, scale: str | None) -> list[Finding]:
    """Look at the environment, the configuration, data, results and what a kill may have left.

    Args:
        folder: the config/ folder; the project is the current folder.
        scale: the scale to look at; default: every scale of which there are results.

    Returns:
        All findings.
    """
    project = Path()
    scales = [scale] if scale else sorted(path.stem for path in (folder / "scales").glob("*.yaml"))
    findings = check_environment(project)
    for name in scales:
        findings += _check_scale(folder, name, asked=scale is not None)
    return [
        *findings,
        *check_snakemake(project),
        *check_leftovers(project / "results"),
        *check_dvc(project),
    ]
