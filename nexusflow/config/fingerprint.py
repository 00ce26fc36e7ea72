"""Fingerprints of the code that a verb really runs, so that editing a plot never retrains a model."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

import grimp

from nexusflow.config.fingerprint_memory import FingerprintMemory

__all__ = [
    "ANALYSIS_MODULES",
    "PAPER_MODULES",
    "QUALITATIVE_MODULES",
    "code_fingerprint",
    "module_fingerprint",
]

PACKAGE = Path(__file__).resolve().parent.parent

PAPER_MODULES: dict[str, tuple[str, ...]] = {
    "table1": ("nexusflow.paper.table1",),
    "table2": ("nexusflow.paper.table2",),
    "table3": ("nexusflow.paper.table2",),
    "tableA1": ("nexusflow.paper.table2",),
    "tableA2": ("nexusflow.paper.table2",),
    "alignment_settings": ("nexusflow.paper.table2",),
    "alignment_options": ("nexusflow.paper.table2",),
    "compute_matched": ("nexusflow.paper.table2",),
    "weights_nuscenes": ("nexusflow.paper.table2",),
    "weights_nyuv2": ("nexusflow.paper.table4",),
    "matching": ("nexusflow.paper.table2",),
    "taps_nuscenes": ("nexusflow.paper.table2",),
    "taps_nyuv2": ("nexusflow.paper.table4",),
    "normalisation_nyuv2": ("nexusflow.paper.table4",),
    "table4": ("nexusflow.paper.table4",),
    "table5": ("nexusflow.paper.table5",),
    "tableB1": ("nexusflow.paper.table_b",),
    "tableB2": ("nexusflow.paper.table_b",),
    "comparison": ("nexusflow.paper.comparison", "nexusflow.paper.comparison_figure"),
    "gap_sweep": ("nexusflow.paper.gap_sweep",),
    "collapse": ("nexusflow.paper.collapse",),
    "learning_curves": ("nexusflow.paper.learning_curves",),
    "rivals_nuscenes": ("nexusflow.paper.learning_curves",),
    "rivals_nyuv2": ("nexusflow.paper.learning_curves",),
    "figure2": ("nexusflow.paper.figure2",),
    "figure6": ("nexusflow.paper.figure6",),
    "figure7": ("nexusflow.paper.figure7",),
    "video": ("nexusflow.paper.video",),
    "figure3": ("nexusflow.paper.pictures",),
    "figure3_v1": ("nexusflow.paper.pictures",),
    "figure4": ("nexusflow.paper.pictures",),
    "figure5": ("nexusflow.paper.scree",),
    "lemma": ("nexusflow.paper.lemma_table",),
}

QUALITATIVE_MODULES: dict[str, tuple[str, ...]] = {
    "figure6": ("nexusflow.analysis.qualitative",),
    "figure7": ("nexusflow.analysis.qualitative_dense",),
    "video": ("nexusflow.analysis.qualitative_video",),
}

ANALYSIS_MODULES: dict[str, tuple[str, ...]] = {
    "mmd": ("nexusflow.analysis.mmd_readings",),
    "embedding": ("nexusflow.analysis.task_pictures",),
    "spectrum": ("nexusflow.analysis.task_spectra",),
    "lemma": ("nexusflow.analysis.task_lemma", "nexusflow.methods.nexusflow"),
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
def _memory() -> FingerprintMemory:
    return FingerprintMemory(module_fingerprint, Path(__file__))


@cache
def _module_hash(module: str) -> str:
    # By name alone: asking Python for the module would import its package, and with it torch.
    path = PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return _memory()(path.read_bytes())


@cache
def code_fingerprint(entries: tuple[str, ...]) -> str:
    """Hash all modules of this package that some modules import, directly or not.

    Args:
        entries: the modules that a verb runs.

    Returns:
        Sixteen hexadecimal digits.
    """
    graph = _import_graph()
    modules = set(entries)
    for module in entries:
        modules |= graph.find_upstream_modules(module)
    digest = hashlib.sha256()
    for module in sorted(modules):
        digest.update(f"{module}:{_module_hash(module)}\n".encode())
    return digest.hexdigest()[:16]
