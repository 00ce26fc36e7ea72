"""Fixtures of all tests: the same random numbers on every run."""

import random

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Networks built without a seed of their own must not differ from run to run."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
