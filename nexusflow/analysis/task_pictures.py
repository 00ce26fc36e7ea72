"""t-SNE pictures of a run's features with all tasks in one picture.

Letters: N frames.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.embedding import embed_tasks
from nexusflow.analysis.features import KINDS, FeatureSet

__all__ = ["task_pictures"]


def task_pictures(
    features: FeatureSet, config: AnalysisConfig
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Embed the features of all tasks in one picture per kind of features, and measure their mixing.

    Folds of the classifier keep the frames of a scene together.

    Args:
        features: features of a run.
        config: perplexity, neighbours, folds, seed.

    Returns:
        Arrays `{kind}/{task}` (N, 2), without unit; and plain data: `pictures`, kind → mixing, accuracy and
        chance. A kind whose tasks have different dimensions is left out.

    Raises:
        UserError: if features are not finite or too few.
    """
    arrays: dict[str, NDArray[Any]] = {}
    numbers: dict[str, dict[str, float]] = {}
    groups = dict.fromkeys(features.tasks, features.groups_N)
    for kind in KINDS:
        if not features.has_one_width(kind):
            continue
        panel = embed_tasks(
            features.features[kind],
            groups,
            perplexity=config.perplexity,
            neighbours=config.neighbours,
            folds=config.folds,
            seed=config.seed,
        )
        arrays |= {f"{kind}/{task}": points_N2 for task, points_N2 in panel.points.items()}
        numbers[kind] = {"mixing": panel.mixing, "accuracy": panel.accuracy, "chance": panel.chance}
    return arrays, {"perplexity": config.perplexity, "neighbours": config.neighbours, "pictures": numbers}
