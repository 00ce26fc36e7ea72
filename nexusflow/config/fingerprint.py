"""Fingerprints of the code that a verb really runs, so that editing a plot never retrains a model."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path

import grimp

__all__ = ["VERB_MODULES", "code_fingerprint", "module_fingerprint"]

VERB_MODULES: dict[str, tuple[str, ...]] = {
    "data": ("nexusflow.data.worlds.street.generate",),
    "cache": ("nexusflow.data.nuscenes.cache",),
    "partition": ("nexusflow.data.partition",),
    "train": ("nexusflow.training.run", "nexusflow.suites.nuscenes.suite"),
    "predict": ("nexusflow.suites.nuscenes.predict",),
    "evaluate": ("nexusflow.evaluation.evaluate",),
    "reference": ("nexusflow.evaluation.reference",),
    "qualitative": ("nexusflow.analysis.qualitative",),
    "table2": ("nexusflow.paper.table2",),
    "alignment_options": ("nexusflow.paper.table2",),
    "comparison": ("nexusflow.paper.comparison", "nexusflow.paper.comparison_figure"),
    "gap_sweep": ("nexusflow.paper.gap_sweep",),
    "collapse": ("nexusflow.paper.collapse",),
    "learning_curves": ("nexusflow.paper.learning_curves",),
    "figure6": ("nexusflow.paper.figure6",),
}


def module_fingerprint(source: str) -> str:
    """Hash a module's syntax tree without comments, layout and docstrings.

    Args:
        source: Python source.

    Returns:
        Hexadecimal SHA-256.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Pass()
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("nexusflow", cache_dir=None)


@cache
def _module_hash(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return module_fingerprint(Path(spec.origin).read_text(encoding="utf-8"))


@cache
def code_fingerprint(verb: str) -> str:
    """Hash all modules of this package that a verb imports, directly or not.

    Args:
        verb: a key of `VERB_MODULES`.

    Returns:
        Sixteen hexadecimal digits.
    """
    graph = _import_graph()
    modules = set(VERB_MODULES[verb])
    for module in VERB_MODULES[verb]:
        modules |= graph.find_upstream_modules(module)
    digest = hashlib.sha256()
    for module in sorted(modules):
        digest.update(f"{module}:{_module_hash(module)}\n".encode())
    return digest.hexdigest()[:16]
