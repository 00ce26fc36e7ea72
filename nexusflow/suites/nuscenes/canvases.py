"""Tracking and map of the last frame of every clip as canvases over the BEV grid.

Letters: B clips, T frames, Q queries, G truth boxes, K map classes, C channels of a canvas, F feature
channels, H × W cells.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.bev.boxes import boxes_to_code
from nexusflow.bev.canvas import GridMotion, average_masks, render_boxes, render_map
from nexusflow.bev.config import BEVModelConfig
from nexusflow.bev.types import ModelOutput, TrackFrameOutput, TrackTruth
from nexusflow.core.views import CanvasSpec, ChannelGroup, DenseView, ViewPlan

__all__ = ["BEVCanvases"]

# Rough mean and standard deviation of log length and log width (metres) over the boxes of the seven tracking
# classes of nuScenes (car 4.6 × 2.0, pedestrian 0.7 × 0.7, bus 11.1 × 3.0, …); they only set the scale.
_LOG_SIZE_MEAN = (1.12, 0.41)
_LOG_SIZE_STD = (0.89, 0.52)
# As many as UniAD reports; the small size has fewer queries.
_MAX_BOXES = 300


def _last_frames(x: Tensor, clips: int) -> Tensor:
    """Keep the last frame of every clip of (B·frames, …), frames ordered clip by clip."""
    return x.unflatten(0, (clips, -1))[:, -1]


def _draw_motion(generator: np.random.Generator) -> GridMotion:
    """Draw one of the eight symmetries of a square."""
    turns, mirrored = divmod(int(generator.integers(8)), 2)
    return GridMotion(mirrored=bool(mirrored), quarter_turns=turns)


def _moved(view: DenseView, motion: GridMotion) -> DenseView:
    """Move all images of a view alike; which cells are valid is the same everywhere on a canvas."""

    def move(canvases: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"track": motion.move_boxes(canvases["track"]), "map": motion.move_grid(canvases["map"])}

    return DenseView(
        predictions=move(view.predictions),
        labels=move(view.labels),
        valid=view.valid,
        visible=view.visible,
        features_BFhw=motion.move_grid(view.features_BFhw),
    )


class BEVCanvases:
    """Shows tracking and map as images over the BEV grid.

    The canvases have as many cells as the BEV grid. "track" holds a heat map per class, log length and log
    width, sine and cosine of the yaw, see `render_boxes`; "map" holds the masks of all map classes.

    Args:
        model_config: the model section of a scale.

    Attributes:
        spec: what the canvases look like.

    Source: MTPSL and JTR compare tasks as images; these images are an adaptation to tracking and map.
    """

    def __init__(self, model_config: BEVModelConfig) -> None:
        self._cells, self._half_m = model_config.bev_cells, model_config.bev_half_m
        self._classes = model_config.num_classes
        self.spec = CanvasSpec(
            groups={
                "track": (
                    ChannelGroup("probability", self._classes),
                    ChannelGroup("measure", 2, mean=_LOG_SIZE_MEAN, std=_LOG_SIZE_STD),
                    ChannelGroup("signed", 2),
                ),
                "map": (ChannelGroup("probability", model_config.map_classes),),
            },
            feature_channels=model_config.encoder.channels,
        )

    def make_views(
        self,
        output: ModelOutput,
        truth: TrackTruth,
        map_BKHW: Tensor,
        visible: Mapping[str, Tensor],
        plan: ViewPlan,
        seed: int,
        step: int,
    ) -> list[DenseView]:
        """Show the last frame of every clip; see `BEVViewMaker`.

        The first view is the batch as it is; each further one is the same canvases and features, mirrored and
        turned by quarters, all clips alike. Colours stay, as all views come from one pass of the model.
        """
        view = self._show(output, truth, map_BKHW, visible)
        # A stream of its own: other parts of a run draw from (seed, step) too.
        generator = np.random.Generator(np.random.PCG64([seed, step, 1]))
        further = [_moved(view, _draw_motion(generator)) for _ in range(plan.extra - 1)]
        return [view, *further][: plan.extra]

    def _show(
        self, output: ModelOutput, truth: TrackTruth, map_BKHW: Tensor, visible: Mapping[str, Tensor]
    ) -> DenseView:
        clips = len(map_BKHW)
        hidden = {task: ~visible[task].view(-1, 1, 1, 1) for task in self.spec.groups}
        logits_BKHW = _last_frames(output.outputs["map"].logits_FKHW, clips)
        labels = {"track": self._true_boxes(truth), "map": average_masks(map_BKHW, self._cells)}
        return DenseView(
            predictions={
                "track": self._predicted_boxes(output.outputs["track"].frames[-1], clips),
                "map": render_map(logits_BKHW, self._cells),
            },
            labels={task: labels[task].masked_fill(hidden[task], 0.0) for task in labels},
            valid={task: ~hidden[task].expand(-1, 1, self._cells, self._cells) for task in labels},
            visible=dict(visible),
            features_BFhw=_last_frames(output.bev_BCHW, clips),
        )

    def _predicted_boxes(self, frame: TrackFrameOutput, clips: int) -> Tensor:
        """Draw detections and carried tracks; denoising queries, which hold truth, stay out."""
        live = frame.detections + frame.slots
        return render_boxes(
            _last_frames(frame.codes_LBQ10[-1, :, :live], clips),
            _last_frames(frame.logits_LBQK[-1, :, :live], clips).float().sigmoid(),
            _last_frames(frame.valid_BQ[:, :live], clips),
            self._half_m,
            self._cells,
            _MAX_BOXES,
        )

    @torch.no_grad()
    def _true_boxes(self, truth: TrackTruth) -> Tensor:
        """Draw the visible boxes inside the grid, each with probability one."""
        last = truth.masked(self._half_m).frame(-1)
        probs_BGK = F.one_hot(last.labels_BG.clamp(min=0), self._classes).float()
        code_BG10 = boxes_to_code(last.boxes_BG9)
        return render_boxes(code_BG10, probs_BGK, last.valid_BG, self._half_m, self._cells)
