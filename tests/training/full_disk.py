"""Fills a small disk with resume checkpoints; `test_full_disk.py` runs it on a file system of its own.

    python full_disk.py FOLDER

Prints the error of the save that found no space, then the step that a new process would resume at.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from nexusflow.core.errors import UserError
from nexusflow.training.resume import ResumeFiles, ResumeState


def main(folder: Path) -> None:
    model = nn.Linear(64, 64)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 64)).sum().backward()
    optimizer.step()
    files = ResumeFiles(folder / "work", "one")
    files.save({"model": model}, optimizer, ResumeState(1, [{"step": 1.0}], 1.0))
    with (folder / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            filler.truncate(filler.tell() - 8 * 4096)
    try:
        files.save({"model": model}, optimizer, ResumeState(2, [{"step": 2.0}], 2.0))
    except UserError as error:
        print(error)
    state = ResumeFiles(folder / "work", "one").load({"model": model}, optimizer)
    print("resumes at", state and state.step, "with", sorted(p.name for p in (folder / "work").iterdir()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
