"""Mistakes that show only when method, model, partition and budget of a run are seen together."""

from __future__ import annotations

from pathlib import Path

from nexusflow.config.schema import NuScenesRun, NYUv2Run, ResolvedRun
from nexusflow.core.errors import UserError
from nexusflow.methods.combined_config import CombinedConfig
from nexusflow.methods.matching_config import MatchingConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.methods.section import MethodSection

__all__ = ["check_run", "check_weights", "parts_of"]


def parts_of(method: MethodSection) -> tuple[MethodSection, ...]:
    """List the methods of a run.

    Args:
        method: the section of a run.

    Returns:
        The sections of its parts, or itself.
    """
    return method.parts if isinstance(method, CombinedConfig) else (method,)


def check_run(run: ResolvedRun, path: Path) -> None:
    """Refuse runs whose method cannot act.

    Args:
        run: the run.
        path: the table of runs, for messages.

    Raises:
        UserError: for the first mistake found.
    """
    where, frozen = f"{path}: key `{run.suite}.{run.run}", run.training.freeze_encoder
    parts = parts_of(run.method)
    for part in parts:
        if isinstance(part, MatchingConfig):
            if run.partition == "full":
                raise UserError(
                    f"{where}.partition`: matching tells domains apart by their hidden labels, and `full` "
                    "hides none; choose another partition."
                )
            if part.moments_weight and frozen:
                raise UserError(
                    f"{where}.method.moments_weight`: shared features cannot move in a frozen encoder; add "
                    "`training: { freeze_encoder: false }` or set the weight to 0."
                )
    reads_taps = any(isinstance(part, NexusFlowConfig | MatchingConfig) for part in parts)
    if isinstance(run, NuScenesRun) and run.model.tap == "bev" and frozen and reads_taps:
        raise UserError(
            f"{where}.model.tap`: the BEV grid cannot move in a frozen encoder; add "
            "`training: { freeze_encoder: false }` or choose the tap queries or memory."
        )


def check_weights(run: ResolvedRun, source: ResolvedRun | None, path: Path) -> None:
    """Refuse a row without training whose weights do not fit, or have no BatchNorm.

    Args:
        run: the row.
        source: the run whose weights it uses; None if it names none, or one without training.
        path: the table of runs, for messages.

    Raises:
        UserError: for the first mistake found.
    """
    where = f"{path}: key `{run.suite}.{run.run}.weights`"
    if not isinstance(run, NYUv2Run):
        raise UserError(f"{where}: the BEV model has no BatchNorm, so its rows are trained; remove the key.")
    if not isinstance(source, NYUv2Run):
        raise UserError(f"{where}: name a run that is trained, whose weights the row shall use.")
    if source.model != run.model or source.world != run.world:
        raise UserError(f"{where}: `{source.run}` has another model or world; give the row the same.")
    if run.model.norm != "batch":
        raise UserError(f"{where}: the model has no BatchNorm (`model.norm`); remove the row.")
