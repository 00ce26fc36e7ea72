"""Resume checkpoints of a run: the last two, each with its own checksum, in the working folder of the run.

A run that was killed at any moment, also while it was saving, goes on from the newest checkpoint that is
whole and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nexusflow.core.errors import UserError
from nexusflow.training.checkpoint import read_tensors, write_tensors
from nexusflow.training.determinism import random_state, restore_random_state

__all__ = ["ResumeFiles", "ResumeState"]

_NAME = "resume_step{step:09d}.safetensors"
_PATTERN = re.compile(r"resume_step(\d{9})\.safetensors")


@dataclass
class ResumeState:
    """How far an interrupted run has come, apart from weights, optimiser and random generators.

    Attributes:
        step: steps done.
        rows: finished rows of the log.
        seconds: seconds trained so far.
        open_row: sums and counts of the row under way.
    """

    step: int
    rows: list[dict[str, float]]
    seconds: float
    open_row: dict[str, dict[str, float]] = field(default_factory=dict)


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """Hash everything that is loaded from a checkpoint."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    slots = optimizer.state_dict()["state"]
    return {f"optimizer/{index}/{name}": x for index, slot in slots.items() for name, x in slot.items()}


def _fill_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            slots.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    # Files hold tensors row by row. The fused optimiser runs through memory, so that its state must lie there
    # as the parameter does, channels last for instance.
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


class ResumeFiles:
    """The resume checkpoints of one run.

    Args:
        folder: where they lie.
        fingerprint: hash of everything the run depends on; checkpoints of another one are not used.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self._newest: Path | None = None

    def save(
        self, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, state: ResumeState
    ) -> None:
        """Write a checkpoint, then remove all but it and the one before.

        Args:
            modules: every module with weights of its own, by name.
            optimizer: AdamW over those modules.
            state: progress and log.

        Raises:
            UserError: if the disk is full or the folder cannot be written; earlier checkpoints stay.
        """
        tensors = {
            f"{part}/{name}": value
            for part, module in modules.items()
            for name, value in module.state_dict().items()
        }
        random_tensors, generators = random_state()
        tensors |= _optimizer_tensors(optimizer)
        tensors |= {f"random/{name}": value for name, value in random_tensors.items()}
        header = {**vars(state), "fingerprint": self.fingerprint, "generators": generators}
        path = self.folder / _NAME.format(step=state.step)
        write_tensors(path, tensors, header | {"checksum": _checksum(tensors, header)})
        kept, self._newest = {path, self._newest}, path
        # Half-written ones of killed attempts as well.
        for other in (*self.folder.glob("resume_*"), *self.folder.glob(".resume_*")):
            if other not in kept:
                other.unlink(missing_ok=True)

    def load(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        step: int | None = None,
    ) -> ResumeState | None:
        """Load the newest whole checkpoint of this very run, if there is one.

        Args:
            modules: the modules to fill, as they were saved.
            optimizer: the optimiser to fill.
            step: only the checkpoint after so many steps will do; None for the newest.

        Returns:
            Progress and log, or None when there is nothing of this run to go on from.
        """
        for path in self._present(step):
            try:
                tensors, header = self._read(path)
            except UserError as error:
                print(f"warning: {error}", file=sys.stderr)
                continue
            if header.pop("fingerprint") != self.fingerprint:
                continue
            for part, module in modules.items():
                prefix = f"{part}/"
                module.load_state_dict(
                    {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                )
            _fill_optimizer(optimizer, tensors)
            prefix = "random/"
            found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            restore_random_state(found, header.pop("generators"))
            self._newest = path
            return ResumeState(**header)
        return None

    def _present(self, step: int | None) -> list[Path]:
        """Checkpoints from the newest to the oldest, or the one after so many steps."""
        present = self.folder.iterdir() if self.folder.is_dir() else ()
        found = sorted((path for path in present if _PATTERN.fullmatch(path.name)), reverse=True)
        return [path for path in found if step is None or path.name == _NAME.format(step=step)]

    @staticmethod
    def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        try:
            tensors, header = read_tensors(path)
            whole = header.pop("checksum", None) == _checksum(tensors, header)
        except UserError:
            whole = False
        if not whole:
            raise UserError(
                f"{path} is damaged and passed over; training goes on from what was saved before it."
            )
        return tensors, header

    def remove(self) -> None:
        """Remove the folder, when the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)
