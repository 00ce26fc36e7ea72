"""The examples of the documentation run, and the package needs nothing but PyTorch."""

import ast
import doctest
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest
import torch

import nexusflow.alignment

MODULES = [module.name for module in pkgutil.iter_modules(nexusflow.alignment.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    torch.manual_seed(0)
    assert doctest.testmod(importlib.import_module(f"nexusflow.alignment.{name}")).failed == 0


def test_every_public_class_has_an_example():
    examples = doctest.DocTestFinder(exclude_empty=True)
    for name in ("AffineCoupling", "CouplingStack", "MLPAggregator", "NexusFlow", "CollapseMonitor"):
        public = getattr(nexusflow.alignment, name)
        assert any(test.examples for test in examples.find(public, name)), name


def test_public_names_exist():
    assert all(hasattr(nexusflow.alignment, name) for name in nexusflow.alignment.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_imports_nothing_but_torch(name):
    source = Path(nexusflow.alignment.__path__[0], f"{name}.py").read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [node.module or ""]
        else:
            continue
        for module in imported:
            root = module.split(".")[0]
            assert (
                root == "torch" or root in sys.stdlib_module_names or module.startswith("nexusflow.alignment")
            )
