"""Boxes, arrows and small pictures of tensors for diagrams; all places in inches."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path as Outline

from nexusflow.paper.bev_panel import halo
from nexusflow.paper.style import INK, MUTED

__all__ = ["HATCH", "HATCH_COLOUR", "Box", "arrow", "ball", "elbow", "label", "slabs", "stacked_map", "tint"]

HATCH, HATCH_COLOUR = "////", "#B4B4B4"
_SMALL = 8.0


def tint(colour: str, share: float) -> tuple[float, float, float]:
    """Mix a colour with white.

    Args:
        colour: the colour.
        share: how much of it stays, 0 to 1.

    Returns:
        Red, green and blue, 0 to 1.
    """
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def label(
    axes: Axes, x: float, y: float, text: str, size: float = _SMALL, bold: bool = False, colour: str = INK
) -> None:
    """Write centred text that can be read on any ground.

    Args:
        axes: the panel.
        x: centre, inches.
        y: centre, inches.
        text: one or more lines.
        size: letters, points.
        bold: whether it is bold.
        colour: of the letters.
    """
    axes.text(
        x,
        y,
        text,
        fontsize=size,
        fontweight="bold" if bold else "normal",
        ha="center",
        va="center",
        color=colour,
        linespacing=1.25,
        path_effects=halo("white", 2.8),
        zorder=6,
    )


class Box:
    """A rounded box with a title and lines below it.

    Args:
        axes: the panel.
        left: left edge, inches.
        middle: centre of the height, inches.
        width: width, inches.
        height: height, inches.
        colour: of the edge; the inside is a tint of it.
        hatched: whether it is hatched.
    """

    def __init__(
        self,
        axes: Axes,
        left: float,
        middle: float,
        width: float,
        height: float,
        colour: str = MUTED,
        hatched: bool = False,
    ) -> None:
        self.axes, self.left, self.middle, self.width, self.height = axes, left, middle, width, height
        axes.add_patch(
            FancyBboxPatch(
                (left, middle - height / 2),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.07",
                facecolor=tint(colour, 0.13),
                edgecolor=colour,
                linewidth=1.4,
                zorder=3,
            )
        )
        if hatched:
            # Of its own, since a hatch takes the colour of the edge.
            axes.add_patch(
                FancyBboxPatch(
                    (left, middle - height / 2),
                    width,
                    height,
                    boxstyle="round,pad=0,rounding_size=0.07",
                    facecolor="none",
                    edgecolor=HATCH_COLOUR,
                    hatch=HATCH,
                    linewidth=0,
                    zorder=4,
                )
            )

    @property
    def right(self) -> tuple[float, float]:
        """Middle of the right edge."""
        return self.left + self.width, self.middle

    @property
    def centre(self) -> float:
        """Middle of the width."""
        return self.left + self.width / 2

    @property
    def top(self) -> tuple[float, float]:
        """Middle of the upper edge."""
        return self.centre, self.middle + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        """Middle of the lower edge."""
        return self.centre, self.middle - self.height / 2

    def write(self, title: str, lines: Sequence[str] = (), size: float = 9.5) -> None:
        """Write a title and small lines into the box.

        Args:
            title: in bold letters.
            lines: below it.
            size: letters of the title, points.
        """
        step = 0.155
        y = self.middle + step * len(lines) / 2
        label(self.axes, self.centre, y, title, size, bold=True)
        for index, line in enumerate(lines, start=1):
            label(self.axes, self.centre, y - 0.01 - step * index, line)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = INK,
    both: bool = False,
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    """Draw an arrow.

    Args:
        axes: the panel.
        start: x and y of its start, inches.
        end: x and y of its end, inches.
        colour: of the line.
        both: whether it has a head at either end.
        bend: how far it is bent, as a share of its length.
        dashed: whether the line is dashed.
    """
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="<|-|>" if both else "-|>",
            mutation_scale=10,
            shrinkA=0,
            shrinkB=0,
            linewidth=1.4,
            linestyle=(0, (2.5, 1.5)) if dashed else "solid",
            color=colour,
            connectionstyle=f"arc3,rad={bend}",
            zorder=2,
        )
    )


def elbow(axes: Axes, start: tuple[float, float], x_turn: float, end: tuple[float, float]) -> None:
    """Draw an arrow that goes sideways, up or down, and sideways again.

    Args:
        axes: the panel.
        start: x and y of its start, inches.
        x_turn: where it goes up or down, inches.
        end: x and y of its end, inches.
    """
    points = [start, (x_turn, start[1]), (x_turn, end[1])]
    axes.add_patch(PathPatch(Outline(points), facecolor="none", edgecolor=INK, linewidth=1.4, zorder=2))
    arrow(axes, points[-1], end)


def ball(axes: Axes, x: float, y: float, radius: float, text: str, colour: str, filled: bool = True) -> None:
    """Draw a vector as a ball with its name.

    Args:
        axes: the panel.
        x: centre, inches.
        y: centre, inches.
        radius: inches.
        text: its name.
        colour: of the edge.
        filled: whether the inside is a tint of it, else white.
    """
    inside = tint(colour, 0.25) if filled else (1.0, 1.0, 1.0)
    axes.add_patch(Circle((x, y), radius, facecolor=inside, edgecolor=colour, linewidth=1.4, zorder=4))
    label(axes, x, y, text, 11)


def slabs(
    axes: Axes, left: float, bottom: float, width: float, height: float, count: int, colour: str
) -> None:
    """Draw coupling layers as slabs; the half that a layer changes is filled, the other is kept.

    Args:
        axes: the panel.
        left: left edge, inches.
        bottom: lower edge, inches.
        width: width of all of them, inches.
        height: height, inches.
        count: number of layers; the last one changes the second half.
        colour: of the changed half.
    """
    pitch = width / count
    for index in range(count):
        low = 0 if (count - 1 - index) % 2 == 0 else height / 2
        place, size = left + index * pitch + 0.12 * pitch, 0.76 * pitch
        halves: list[tuple[float, str | tuple[float, float, float]]] = [
            (low, tint(colour, 0.65)),
            (height / 2 - low, "white"),
        ]
        for shift, inside in halves:
            axes.add_patch(
                Rectangle(
                    (place, bottom + shift),
                    size,
                    height / 2,
                    facecolor=inside,
                    edgecolor=INK,
                    linewidth=0.8,
                    zorder=5,
                )
            )


def stacked_map(axes: Axes, x: float, y: float, side: float) -> None:
    """Draw a feature map as three sheets with a grid on the foremost.

    Args:
        axes: the panel.
        x: centre, inches.
        y: centre, inches.
        side: side of a sheet, inches.
    """
    left, bottom, shift = x - side / 2, y - side / 2, 0.07
    for sheet in (2, 1, 0):
        move = (sheet - 1) * shift
        corner = (left + move, bottom + move)
        axes.add_patch(
            Rectangle(corner, side, side, facecolor="#F2F2F2", edgecolor=INK, linewidth=1.0, zorder=3)
        )
    for line in range(1, 4):
        at = line * side / 4 - shift
        style = {"color": MUTED, "linewidth": 0.7, "zorder": 3}
        axes.plot([left + at] * 2, [bottom - shift, bottom - shift + side], **style)  # type: ignore[arg-type]
        axes.plot([left - shift, left - shift + side], [bottom + at] * 2, **style)  # type: ignore[arg-type]
