"""Weights and other tensors as safetensors files whose header names the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nexusflow.core.errors import UserError
from nexusflow.core.files import atomic_path

__all__ = ["load_weights", "read_tensors", "save_weights", "write_tensors"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a header into one safetensors file, atomically.

    Args:
        path: destination file.
        tensors: tensors by name.
        header: plain data.

    Raises:
        UserError: if the disk is full or the folder cannot be written; `path` is then as it was.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(plain, temporary, metadata={"nexusflow": json.dumps(header, sort_keys=True)})
        except SafetensorError as error:
            # The library reports a full disk as an error of its own.
            raise OSError(None, str(error)) from error


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
    write_tensors(path, model.state_dict(), header)


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
