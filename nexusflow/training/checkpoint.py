"""Resume state and published weights, both as safetensors files whose header names the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path

__all__ = ["ResumeState", "load_resume", "load_weights", "read_tensors", "save_resume", "save_weights"]


@dataclass
class ResumeState:
    """What an interrupted run needs in order to end as if it had never been interrupted.

    Attributes:
        step: steps done.
        rows: rows of the log so far.
        seconds: seconds trained so far.
    """

    step: int
    rows: list[dict[str, float]]
    seconds: float


def _save(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header into one safetensors file, atomically."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata={"nexusflow": json.dumps(header, sort_keys=True)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a safetensors file and its header.

    Args:
        path: a file written by this module.

    Returns:
        Tensors by name, and the header.

    Raises:
        UserError: if the file is missing, truncated or of another program.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["nexusflow"])
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; train the run that makes it.") from error
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path} is no checkpoint of this project or is damaged; delete it and train again."
        ) from error


def save_weights(path: Path, model: nn.Module, header: Mapping[str, Any]) -> None:
    """Publish a model's weights.

    Args:
        path: destination file.
        model: the model.
        header: run, seed and architecture hash, checked on loading.
    """
    _save(path, model.state_dict(), header)


def load_weights(path: Path, model: nn.Module, architecture: str) -> dict[str, Any]:
    """Load published weights into a model of the same architecture.

    Args:
        path: a file written by `save_weights`.
        model: receives the weights.
        architecture: hash of the model's configuration.

    Returns:
        The header.

    Raises:
        UserError: if the checkpoint belongs to another architecture.
    """
    tensors, header = read_tensors(path)
    if header.get("architecture") != architecture:
        raise UserError(
            f"{path} was trained with another model configuration (key `model` of the scale); "
            "train its run again or restore the configuration."
        )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the model: {str(error).splitlines()[0]}") from error
    return header


def _flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer/{index}/{name}": value for index, slots in state.items() for name, value in slots.items()
    }


def save_resume(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    state: ResumeState,
    fingerprint: str,
) -> None:
    """Save the resume state of a run.

    Args:
        path: destination file.
        modules: every module with weights of its own, by name.
        optimizer: AdamW over those modules.
        state: progress and log.
        fingerprint: hash of everything the run depends on; another one is not resumed.
    """
    tensors = {
        f"{part}/{name}": value
        for part, module in modules.items()
        for name, value in module.state_dict().items()
    }
    tensors |= _flatten_optimizer(optimizer)
    tensors["rng"] = torch.get_rng_state()
    header = {"fingerprint": fingerprint, "step": state.step, "rows": state.rows, "seconds": state.seconds}
    _save(path, tensors, header)


def load_resume(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, fingerprint: str
) -> ResumeState | None:
    """Load the resume state of the same run, if there is one.

    Args:
        path: file written by `save_resume`; may be missing.
        modules: the modules to fill, as they were saved.
        optimizer: the optimiser to fill.
        fingerprint: hash of everything the run depends on.

    Returns:
        Progress and log, or None when there is nothing of this very run to go on from.
    """
    if not path.exists():
        return None
    try:
        tensors, header = read_tensors(path)
    except UserError:
        return None
    if header.get("fingerprint") != fingerprint:
        return None
    for part, module in modules.items():
        prefix = f"{part}/"
        module.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            slots.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    torch.set_rng_state(tensors["rng"])
    return ResumeState(step=header["step"], rows=header["rows"], seconds=header["seconds"])
