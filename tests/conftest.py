"""What every test starts with, whichever ran before it in the same process."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import hypothesis
import pytest

# A busy machine is no mistake of the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _deterministic_algorithms_as_found() -> Iterator[None]:
    """Training switches them on for the whole process, and PyTorch's own unpooling is not among them."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.use_deterministic_algorithms(False)
