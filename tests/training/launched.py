"""A tiny training as two ranks in processes of their own: `python -m tests.training.launched FOLDER [N]`.

With N the last rank ends by a mistake of its own at that step.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from nexusflow.core.errors import UserError
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.training.config import TrainingConfig
from nexusflow.training.interruption import Interrupted
from nexusflow.training.launch import die_with_launcher, launch
from nexusflow.training.run import RunIdentity, train_run
from tests.training.small_suites import bev_suite

CONFIG = TrainingConfig(
    steps=14,
    batch_size=4,
    devices=2,
    learning_rate=0.001,
    warmup_steps=2,
    log_every=1,
    checkpoint_every=1,
    precision="32-true",
)


def _rank(folder: Path, mistaken_at: int | None) -> None:
    torch.set_num_threads(1)
    die_with_launcher(os.environ)
    suite = bev_suite((0, 0, 1, 1))
    load = suite.batch

    def batch(step: int, *part: Any) -> Any:
        if step == mistaken_at and os.environ["RANK"] == "1":
            raise UserError("Frame 7 is missing.")
        return load(step, *part)

    suite.batch = batch  # type: ignore[method-assign]
    identity = RunIdentity("smoke", "nuscenes", "tiny", 0, "code", {}, "data")
    train_run(identity, suite, NexusFlowConfig(dim=8, hidden=8, depth=2), CONFIG, folder)


def main() -> None:
    """Launch two ranks, or be one, and end as the command line does."""
    arguments = sys.argv[1:]
    try:
        if "RANK" in os.environ:
            _rank(Path(arguments[0]), int(arguments[1]) if arguments[1:] else None)
        else:
            launch([sys.executable, "-m", "tests.training.launched", *arguments], CONFIG.devices)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except Interrupted as stop:
        raise SystemExit(128 + stop.signum) from None


if __name__ == "__main__":
    main()
