"""Builds a method from its configuration."""

from importlib import import_module

import torch

from nexusflow.methods.base import BuildContext, Method
from nexusflow.methods.section import MethodSection

__all__ = ["build_method"]


def build_method(config: MethodSection, context: BuildContext) -> Method:
    """Builds a method with networks of its own seed.

    The global random state is left as it was, so that a model has the same initial weights whichever method
    trains it.

    Args:
        config: the method's section.
        context: what the suite offers, and the seed.

    Returns:
        The method, untrained.

    Raises:
        UserError: if the suite does not offer what the method needs.
    """
    module = import_module(config.module)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(context.seed)
        method = module.build(config, context)
    assert isinstance(method, Method)
    return method
