"""The BEV model: images of a camera rig in, tracks and map masks out; clips to train, streams to predict.

Letters: B clips or scenes, T frames, N cameras, C channels, H/W image or grid, h/w feature rows/columns, K
classes, G truth boxes, S slots.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nexusflow.bev.backbones import build_backbone
from nexusflow.bev.boxes import code_to_boxes, ego_motion
from nexusflow.bev.config import BEVModelConfig, TrackerThresholds
from nexusflow.bev.encoder import build_encoder, warp_grid
from nexusflow.bev.layers import levels_of
from nexusflow.bev.mapping.build import build_map_former, losses_of_map, predict_map
from nexusflow.bev.noise import BatchNoise
from nexusflow.bev.taps import collect_taps
from nexusflow.bev.tracking.association import anchor_tracks
from nexusflow.bev.tracking.former import TrackFormer
from nexusflow.bev.tracking.interaction import propagate_slots
from nexusflow.bev.tracking.lifecycle import carry_by_truth, update_tracks
from nexusflow.bev.tracking.losses import track_losses
from nexusflow.bev.types import (
    FramePrediction,
    ModelOutput,
    TrackerState,
    TrackFrameOutput,
    TrackOutput,
    TrackSlots,
    TrackTruth,
)
from nexusflow.core.parts import BatchPart, PoolCounts

__all__ = ["BEVModel"]


class BEVModel(nn.Module):
    """UniAD-style model for tracking and online mapping.

    Args:
        config: every size and switch.

    Examples:
        >>> model = BEVModel(BEVModelConfig())
        >>> model.set_step(0)  # noise of this training step follows from (seed, step) alone
        >>> output = model(images, ego2img, ego2global, timestamps, truth)  # doctest: +SKIP
        >>> sum(model.losses(output, truth, masks, map_visible).values()).backward()  # doctest: +SKIP

    Source: UniAD stage 1 (track and map), Hu et al. 2023.
    """

    mean_C11: Tensor
    std_C11: Tensor

    def __init__(self, config: BEVModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        # Every convolution with a stride rounds up.
        rows, columns = (
            -(-size // config.backbone.strides[0]) for size in (config.image_height, config.image_width)
        )
        self.camera = nn.Parameter(torch.zeros(config.cameras, config.backbone.neck_channels, 1, 1))
        self.encoder = build_encoder(config, config.backbone.neck_channels, (rows, columns))
        self.track = TrackFormer(config)
        self.map = build_map_former(config)
        self.register_buffer(
            "mean_C11", torch.tensor(self.backbone.pixel_mean)[:, None, None], persistent=False
        )
        self.register_buffer(
            "std_C11", torch.tensor(self.backbone.pixel_std)[:, None, None], persistent=False
        )
        self.set_step(0)
        self._frozen_encoder = False
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def set_step(self, step: int, part: BatchPart | None = None) -> None:
        """Seed the training-time noise from (config seed, step): resuming needs no generator state.

        Args:
            step: number of the training step.
            part: which samples of the step's batch the next forward pass sees; None for all.
        """
        self._noise = BatchNoise((self.config.seed * 1_000_003 + step) % 2**62, part)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of backbone, neck and BEV encoder."""
        yield from self.backbone.parameters()
        yield self.camera
        yield from self.encoder.parameters()

    def freeze_encoder(self) -> None:
        """Stop the gradient of backbone, neck and BEV encoder for good; the formers stay trainable."""
        for parameter in self.encoder_parameters():
            parameter.requires_grad_(False)
        self._frozen_encoder = True
        # A backbone with statistics of the batch uses the stored ones from now on.
        self.backbone.train(self.backbone.training)

    def _features(self, images_FNCHW: Tensor) -> list[Tensor]:
        """Return camera features (F, N, C, h, w) of F frames, one tensor for each level."""
        frames, cameras = images_FNCHW.shape[:2]
        images = (images_FNCHW.flatten(0, 1).float() - self.mean_C11) / self.std_C11
        features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        return [level.unflatten(0, (frames, cameras)) + self.camera for level in levels_of(features)]

    def _bev(
        self, levels: list[Tensor], ego2img_BN44: Tensor, previous: tuple[Tensor, Tensor, Tensor] | None
    ) -> Tensor:
        """Return the BEV grid; `previous` holds the last grid, its ego pose, and the current ego pose."""
        warped = None
        if previous is not None:
            grid_BCHW, old_B44, new_B44 = previous
            warped = warp_grid(grid_BCHW, ego_motion(new_B44, old_B44), self.config.bev_half_m)
        return self.encoder(tuple(levels), ego2img_BN44, warped)

    def _encode(self, images_BTNCHW: Tensor, ego2img_BTN44: Tensor, ego2global_BT44: Tensor) -> list[Tensor]:
        """Return the BEV grids of all frames of the clips, each fused with the one before."""
        batch, length = images_BTNCHW.shape[:2]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen_encoder):
            features = [x.unflatten(0, (batch, length)) for x in self._features(images_BTNCHW.flatten(0, 1))]
            grids: list[Tensor] = []
            for t in range(length):
                previous = None
                if t:
                    kept = grids[-1] if self.config.encoder.history == "gradient" else grids[-1].detach()
                    previous = (kept, ego2global_BT44[:, t - 1], ego2global_BT44[:, t])
                grids.append(self._bev([level[:, t] for level in features], ego2img_BTN44[:, t], previous))
        return grids

    def forward(
        self,
        images_BTNCHW: Tensor,
        ego2img_BTN44: Tensor,
        ego2global_BT44: Tensor,
        timestamps_BT: Tensor,
        truth: TrackTruth | None,
        single_frame: bool = False,
    ) -> ModelOutput:
        """Run clips of T frames.

        Args:
            images_BTNCHW: uint8 RGB images.
            ego2img_BTN44: projections of ego points to (u·d, v·d, d, 1) (pixels, metres).
            ego2global_BT44: ego poses (metres), float64.
            timestamps_BT: times (seconds), float64.
            truth: tracking labels; None to predict only (then no track is carried).
            single_frame: treat every frame as a clip of its own, without history and carried tracks.

        Returns:
            Task outputs, taps and BEV grid of the last frame (of every frame if `single_frame`).
        """
        clip_length = images_BTNCHW.shape[1]
        if truth is not None:
            truth = truth.masked(self.config.bev_half_m)
        if single_frame:
            images_BTNCHW, ego2img_BTN44, ego2global_BT44, timestamps_BT = (
                x.flatten(0, 1)[:, None]
                for x in (images_BTNCHW, ego2img_BTN44, ego2global_BT44, timestamps_BT)
            )
            truth = None if truth is None else truth.as_single_frames()
        grids = self._encode(images_BTNCHW, ego2img_BTN44, ego2global_BT44)
        frames = self._track_clip(grids, ego2global_BT44, timestamps_BT, truth)
        track = TrackOutput(frames, truth, single_frame)
        if single_frame:
            mapping = self.map(grids[-1], clip_length)
        elif self.config.map.frames == "all":
            mapping = self.map(torch.stack(grids, 1).flatten(0, 1), clip_length)
        else:
            mapping = self.map(grids[-1], 1)
        taps = collect_taps(self.config.tap, frames[-1], mapping, grids[-1], self.config.bev_half_m)
        return ModelOutput({"track": track, "map": mapping}, taps, grids[-1])

    def _track_clip(
        self, grids: list[Tensor], ego2global_BT44: Tensor, timestamps_BT: Tensor, truth: TrackTruth | None
    ) -> list[TrackFrameOutput]:
        """Track through the frames of a clip, carrying queries by truth."""
        rng = self._noise if self.training else None
        frames: list[TrackFrameOutput] = []
        slots: TrackSlots | None = None
        for t, bev in enumerate(grids):
            if slots is not None:
                motion = ego_motion(ego2global_BT44[:, t - 1], ego2global_BT44[:, t])
                slots = propagate_slots(slots, motion, timestamps_BT[:, t] - timestamps_BT[:, t - 1])
            now = None if truth is None else truth.frame(t)
            frame = self.track(bev, slots, now, rng)
            frames.append(frame)
            if now is not None and t + 1 < len(grids):
                slots = self.track.remember(carry_by_truth(frame, now, self.config.track, self._noise))
        return frames

    def losses(
        self,
        output: ModelOutput,
        truth: TrackTruth,
        map_BKHW: Tensor,
        map_visible_B: Tensor,
        pool_counts: PoolCounts | None = None,
    ) -> dict[str, Tensor]:
        """Compute all task losses.

        Args:
            output: what `forward` returned for this batch and truth.
            truth: the tracking labels given to `forward` (matched there; kept in the output).
            map_BKHW: 0/1 masks of the last frame, or (B, T, K, H, W) of all frames; numbers of instances
                where `map.queries` is instance.
            map_visible_B: clips whose map labels may be used.
            pool_counts: where this is a part of a batch, gives the counts of the whole batch.

        Returns:
            Named weighted scalars `track/…` and `map/…`. A hidden sample contributes exactly zero gradient.
        """
        assert output.outputs["track"].truth is not None, "forward was called without a truth"
        config = self.config
        cells, half_m = config.bev_cells, config.bev_half_m
        losses = track_losses(output.outputs["track"], config.track, cells, half_m, pool_counts)
        mapping = output.outputs["map"]
        losses.update(losses_of_map(self.map, mapping, map_BKHW, map_visible_B, config.map, pool_counts))
        return losses

    @torch.no_grad()
    def predict_batch(
        self,
        images_BNCHW: Tensor,
        ego2img_BN44: Tensor,
        ego2global_B44: Tensor,
        timestamps_B: Tensor,
        state: TrackerState | None,
        thresholds: TrackerThresholds | None = None,
        bev_BCHW: Tensor | None = None,
        with_map: bool = True,
    ) -> tuple[list[FramePrediction], TrackerState]:
        """Predict one frame of several scenes in lock step.

        Args:
            images_BNCHW: uint8 RGB images.
            ego2img_BN44: projections (pixels, metres).
            ego2global_B44: ego poses (metres), float64.
            timestamps_B: times (seconds), float64.
            state: what the previous frame returned; None at the first frame of the scenes.
            thresholds: life-cycle rules; the config's by default.
            bev_BCHW: the BEV grid of these very frames, kept from the state of an earlier call; it does not
                depend on thresholds. Encoded from the images by default.
            with_map: whether the map is wanted; it does not change the tracks.

        Returns:
            One prediction per scene, and the state for the next frame.
        """
        thresholds = thresholds or self.config.thresholds
        batch, device = len(images_BNCHW), images_BNCHW.device
        if bev_BCHW is None:
            previous = None if state is None else (state.bev_BCHW, state.ego2global_B44, ego2global_B44)
            bev_BCHW = self._bev(self._features(images_BNCHW), ego2img_BN44, previous)
        if state is None:
            slots = self.track.empty(batch, thresholds.slots, device)
            next_id = torch.zeros(batch, dtype=torch.int64, device=device)
        else:
            motion = ego_motion(state.ego2global_B44, ego2global_B44)
            slots = propagate_slots(state.slots, motion, timestamps_B - state.timestamps_B)
            next_id = state.next_id_B
        frame = self.track(bev_BCHW, slots, None, None)
        if thresholds.association == "detection":
            frame = anchor_tracks(frame, slots, thresholds)
        kept, reported_BS, next_id = update_tracks(frame, slots, next_id, thresholds)
        no_maps = bev_BCHW.new_zeros(batch, 0, 0, 0)
        maps = predict_map(self.map, bev_BCHW) if with_map else no_maps
        boxes_BS9 = code_to_boxes(kept.code_BS10)
        scores_BS, labels_BS = kept.probs_BSK.max(-1)
        predictions = [
            FramePrediction(boxes_BS9[b, on], labels_BS[b, on], scores_BS[b, on], kept.ids_BS[b, on], maps[b])
            for b, on in enumerate(reported_BS)
        ]
        slots = self.track.remember(kept)
        return predictions, TrackerState(bev_BCHW, ego2global_B44, timestamps_B, slots, next_id)

    def predict_step(
        self,
        images_NCHW: Tensor,
        ego2img_N44: Tensor,
        ego2global_44: Tensor,
        timestamp: Tensor | float,
        state: TrackerState | None,
        thresholds: TrackerThresholds | None = None,
    ) -> tuple[FramePrediction, TrackerState]:
        """Predict one frame of one scene; see `predict_batch`."""
        time_B = torch.as_tensor(timestamp, dtype=torch.float64, device=images_NCHW.device).reshape(1)
        predictions, state = self.predict_batch(
            images_NCHW[None], ego2img_N44[None], ego2global_44[None], time_B, state, thresholds
        )
        return predictions[0], state
