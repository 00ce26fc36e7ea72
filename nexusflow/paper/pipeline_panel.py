"""One suite's strip of Figure 2: shared parts, branches, surrogates, alignment loss; all places in inches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from nexusflow.core.outline import BranchOutline, PartOutline, PipelineOutline, SurrogateOutline
from nexusflow.paper.diagram import Box, arrow, ball, elbow, label, slabs, stacked_map
from nexusflow.paper.style import INK, MUTED, TASK_COLOURS

__all__ = ["count_text", "draw_strip", "strip_height"]

_PITCH, _HEAD = 1.16, 0.68
_BOX = 0.68
# Left edges or centres of the columns, and widths.
_TRUNK, _TRUNK_WIDTH = 0.12, 1.85
_MAP, _MAP_SIDE = 3.0, 0.78
_BRANCH, _BRANCH_WIDTH = 4.0, 1.5
_SURROGATE, _SURROGATE_WIDTH = 6.42, 1.72
_FLOW, _FLOW_WIDTH = 8.62, 1.42
_LATENT, _CENTRE, _RADIUS = 10.62, 11.45, 0.2
_WIDTH = 12.0


def count_text(number: int) -> str:
    """Shorten a number of parameters.

    Args:
        number: the number.

    Returns:
        Three digits or so, with k for thousands and M for millions.
    """
    for unit, letter in ((1_000_000, " M"), (1_000, " k")):
        if number >= unit:
            value = number / unit
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}{letter}"
    return str(number)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _size(part: PartOutline) -> str:
    text = f"{count_text(part.parameters)} parameters"
    if 0 < part.frozen < part.parameters:
        text += f", {count_text(part.frozen)} frozen"
    return text


def strip_height(outline: PipelineOutline) -> float:
    """Height that a strip needs.

    Args:
        outline: the model and its surrogates.

    Returns:
        Inches, its heading included.
    """
    return _HEAD + _PITCH * max(len(outline.model.branches), 1 + len(outline.model.trunk) * 0.75)


def _trunk(axes: Axes, outline: PipelineOutline, low: float, high: float) -> None:
    """Draw the input and the shared parts from top to bottom, then the shared map beside them."""
    parts = outline.model.trunk
    box = Box(axes, _TRUNK, high - 0.3, _TRUNK_WIDTH, 0.46, INK)
    box.write(outline.model.input, [_shape(outline.model.input_shape)])
    pitch = (high - low - 0.64) / len(parts)
    for index, part in enumerate(parts):
        below = Box(
            axes,
            _TRUNK,
            high - 0.64 - (index + 0.5) * pitch - 0.1,
            _TRUNK_WIDTH,
            min(_BOX - 0.1, pitch - 0.25),
            INK,
            hatched=0 < part.parameters == part.frozen,
        )
        below.write(part.name, [_size(part)], size=9.0)
        arrow(axes, box.bottom, below.top)
        if index:
            x, y = (box.bottom[0], (box.bottom[1] + below.top[1]) / 2)
            label(axes, x + 0.5, y, _shape(parts[index - 1].shape), 7.5)
        box = below
    middle, last = (low + high) / 2, parts[-1]
    left = _MAP - _MAP_SIDE / 2 - 0.1
    elbow(axes, box.right, (box.right[0] + left) / 2, (left, middle))
    stacked_map(axes, _MAP, middle, _MAP_SIDE)
    label(axes, _MAP, middle - _MAP_SIDE / 2 - 0.24, last.output, 8.5, bold=True)
    label(axes, _MAP, middle - _MAP_SIDE / 2 - 0.41, _shape(last.shape))


def _branch(
    axes: Axes, branch: BranchOutline, index: int, y: float, middle: float, colour: str
) -> tuple[float, float]:
    """Draw a task's head with its predictions; returns where the tapped features leave it."""
    head = branch.head
    hatched = 0 < head.parameters == head.frozen
    box = Box(axes, _BRANCH, y, _BRANCH_WIDTH, _BOX, colour, hatched)
    box.write(branch.task, [head.name, _size(head)])
    arrow(axes, (_MAP + _MAP_SIDE / 2 + 0.12, middle), (_BRANCH, y))
    x, low = box.bottom
    arrow(axes, (x - 0.55, low), (x - 0.55, low - 0.2), colour)
    predicted = ", ".join(f"{name} {_shape(shape)}" for name, shape in branch.predictions.items())
    axes.text(x - 0.46, low - 0.12, predicted, fontsize=7.5, va="center", color=INK)
    end = (_SURROGATE, y)
    arrow(axes, box.right, end, colour)
    label(axes, (box.right[0] + end[0]) / 2, y + 0.14, f"$h_{index}$", 11)
    label(axes, (box.right[0] + end[0]) / 2 - 0.06, y - 0.13, _shape(head.shape), 7.5)
    return end


def _surrogate(axes: Axes, surrogate: SurrogateOutline, index: int, y: float, colour: str) -> None:
    """Draw a task's aggregator, coupling layers and latent."""
    box = Box(axes, _SURROGATE, y, _SURROGATE_WIDTH, _BOX, colour)
    layers = f"{surrogate.aggregator_layers} layer" + "s" * (surrogate.aggregator_layers != 1)
    box.write(
        surrogate.aggregator, [layers, f"{count_text(surrogate.aggregator_parameters)} parameters"], size=8.6
    )
    flow = Box(axes, _FLOW, y, _FLOW_WIDTH, _BOX, colour)
    arrow(axes, box.right, (_FLOW, y), colour)
    gap = (box.right[0] + _FLOW) / 2
    label(axes, gap, y + 0.15, f"$h'_{index}$", 11)
    label(axes, gap, y - 0.13, str(surrogate.dim), 7.5)
    count = surrogate.couplings
    if count:
        slabs(axes, _FLOW + 0.14, y - 0.01, _FLOW_WIDTH - 0.28, 0.26, count, colour)
        name = f"{count} coupling layer" + "s" * (count != 1)
        label(axes, flow.centre, y - 0.105, name)
        label(axes, flow.centre, y - 0.245, f"{count_text(surrogate.coupling_parameters)} parameters")
    else:
        flow.write("no coupling layers")
    end = (_LATENT - _RADIUS, y)
    arrow(axes, flow.right, end, colour)
    label(axes, (flow.right[0] + end[0]) / 2, y - 0.13, str(surrogate.latent_dim), 7.5)
    ball(axes, _LATENT, y, _RADIUS, f"$z_{index}$", colour)


def _loss(axes: Axes, outline: PipelineOutline, rows: Sequence[float], low: float) -> None:
    """Draw what the alignment loss draws together."""
    middle = sum(rows) / len(rows)
    if outline.loss == "center":
        ball(axes, _CENTRE, middle, _RADIUS + 0.03, r"$\bar{z}$", INK, filled=False)
        for y in rows:
            across, up = _CENTRE - _LATENT, middle - y
            length = (across**2 + up**2) ** 0.5
            one, two = _RADIUS / length, 1 - (_RADIUS + 0.03) / length
            start = (_LATENT + across * one, y + up * one)
            arrow(axes, start, (_LATENT + across * two, y + up * two), INK, both=True, dashed=True)
        formula = r"$L=\sum_i\,\Vert z_i-\bar{z}\Vert^2$"
    else:
        for (first, y), (second, other) in combinations(enumerate(rows), 2):
            start, end = (_LATENT + _RADIUS, y), (_LATENT + _RADIUS, other)
            arrow(axes, start, end, INK, both=True, bend=0.45 if second - first == 1 else 0.6, dashed=True)
        formula = r"$L=\sum_{i<j}\,\Vert z_i-z_j\Vert^2$"
    label(axes, 11.15, low + 0.25, formula, 10)
    label(axes, 11.15, low + 0.01, rf"weight $\lambda$ = {outline.weight:g}")


def draw_strip(axes: Axes, outline: PipelineOutline, title: str, bottom: float) -> None:
    """Draw one suite's pipeline.

    Args:
        axes: panel over the whole figure, in inches.
        outline: the model and its surrogates.
        title: name of the suite.
        bottom: lower edge of the strip, inches.

    Source:
        Figure 2 of the paper.
    """
    high = bottom + strip_height(outline) - _HEAD
    middle, tasks = (bottom + high) / 2, len(outline.surrogates)
    axes.text(_TRUNK, high + 0.48, title, fontsize=11.5, fontweight="bold", va="center", color=INK)
    axes.text(_TRUNK, high + 0.27, _note(outline), fontsize=8.5, va="center", color=MUTED)
    frame = FancyBboxPatch(
        (_SURROGATE - 0.13, bottom - 0.08),
        _WIDTH - _SURROGATE + 0.05,
        high - bottom + 0.12,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor="none",
        edgecolor=MUTED,
        linewidth=1.0,
        linestyle=(0, (4, 2)),
        zorder=1,
    )
    axes.add_patch(frame)
    axes.text(
        _SURROGATE + 0.05,
        high + 0.04,
        " surrogates, dropped at inference ",
        fontsize=8.5,
        va="center",
        color=MUTED,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
    _trunk(axes, outline, bottom, high)
    rows = [middle + ((tasks - 1) / 2 - index) * _PITCH + 0.08 for index in range(tasks)]
    for index, (branch, surrogate) in enumerate(zip(outline.model.branches, outline.surrogates, strict=True)):
        colour = TASK_COLOURS[index % len(TASK_COLOURS)]
        _branch(axes, branch, index + 1, rows[index], middle, colour)
        _surrogate(axes, surrogate, index + 1, rows[index], colour)
    _loss(axes, outline, rows, bottom)


def _note(outline: PipelineOutline) -> str:
    """Say what was built, how large it is, and what phase 2 leaves alone."""
    surrogates = sum(x.aggregator_parameters + x.coupling_parameters for x in outline.surrogates)
    parts = (*outline.model.trunk, *(branch.head for branch in outline.model.branches))
    frozen = sum(part.frozen for part in parts)
    note = f"Run {outline.run}, labels of partition {outline.partition}. "
    note += f"Model {count_text(outline.model.parameters)} parameters; "
    note += f"surrogates {count_text(surrogates)}, in training only. "
    if frozen:
        start = f" from {outline.starts_from}" if outline.starts_from else ""
        return note + f"Phase 2{start}: {count_text(frozen)} parameters are frozen."
    return note + "Trained in one phase: nothing is frozen."
