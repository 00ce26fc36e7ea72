"""Every size and switch of the BEV model; the small size is the default, the paper's size is another file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nexusflow.bev.backbone_config import AnyBackboneConfig, BackboneConfig, ResNetDCNConfig
from nexusflow.bev.mapping.instance_config import InstanceMapConfig

__all__ = [
    "BEVModelConfig",
    "BackboneConfig",
    "EncoderConfig",
    "MapConfig",
    "ResNetDCNConfig",
    "TrackConfig",
    "TrackLossConfig",
    "TrackerThresholds",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderConfig(_Section):
    """Camera features to BEV grid, and fusion with the previous BEV grid."""

    kind: Literal["lift_unet", "bevformer"] = Field(
        default="lift_unet",
        description="lift_unet: precomputed bilinear lifting and a small U-Net; bevformer: layers of "
        "temporal "
        "self-attention, spatial cross-attention and feed-forward, as in the paper's model.",
    )
    channels: int = Field(default=64, gt=0, description="Channels of the BEV grid.")
    heights_m: tuple[float, ...] = Field(
        default=(0.0, 0.8, 1.8),
        min_length=1,
        description="Heights above ground sampled per BEV cell (metres).",
    )
    unet_widths: tuple[int, ...] = Field(
        default=(64, 96, 128), min_length=1, description="lift_unet: channels per scale."
    )
    unet_depths: tuple[int, ...] = Field(
        default=(1, 2, 1), min_length=1, description="lift_unet: blocks per scale."
    )
    layers: int = Field(default=3, gt=0, description="bevformer: number of layers.")
    heads: int = Field(default=4, gt=0, description="bevformer: attention heads.")
    points: int = Field(
        default=2, gt=0, description="bevformer: sampled points per head and height, in the cameras."
    )
    temporal_points: int = Field(
        default=2, gt=0, description="bevformer: sampled points per head in each of the two grids in time."
    )
    ffn_channels: int = Field(
        default=128, gt=0, description="bevformer: hidden channels of the feed-forward part."
    )
    min_depth_m: float = Field(
        default=0.3, gt=0, description="Points nearer to a camera plane than this are not seen (metres)."
    )
    history: Literal["gradient", "cached"] = Field(
        default="gradient",
        description="What a frame of a clip sees of the frame before: gradient: its BEV grid, which learns "
        "from this; cached: that grid without gradient, as in the paper's model.",
    )
    cached_rigs: int = Field(
        default=256, ge=0, description="lift_unet: calibrations whose lifting weights are kept."
    )

    @model_validator(mode="after")
    def _consistent(self) -> EncoderConfig:
        if len(self.unet_widths) != len(self.unet_depths):
            raise ValueError("encoder.unet_widths and encoder.unet_depths must be equally long")
        if self.kind == "bevformer" and self.channels % self.heads:
            raise ValueError("encoder.channels must be a multiple of encoder.heads")
        return self


class TrackLossConfig(_Section):
    """Weights and matching costs of the tracking losses."""

    heat: float = Field(
        default=1.0, ge=0, description="Weight of the heat-map loss (heatmap initialisation only)."
    )
    classification: float = Field(default=2.0, ge=0, description="Weight of the sigmoid focal loss.")
    box: float = Field(default=0.25, ge=0, description="Weight of the L1 loss on the box code.")
    denoising: float = Field(default=1.0, ge=0, description="Factor on the denoising queries' losses.")
    code_weights: tuple[float, ...] = Field(
        default=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2),
        min_length=10,
        max_length=10,
        description="Weight per code slot: x, y, log l, log w, z, log h, sin yaw, cos yaw, vx, vy.",
    )
    cost_classification: float = Field(default=2.0, ge=0, description="Matching cost of classification.")
    cost_box: float = Field(default=0.25, ge=0, description="Matching cost of the first eight code slots.")
    focal_alpha: float = Field(default=0.25, gt=0, lt=1, description="Focal loss: weight of positives.")
    focal_gamma: float = Field(default=2.0, ge=0, description="Focal loss: exponent.")


class TrackConfig(_Section):
    """Tracking former: queries, decoder, training-time propagation."""

    dim: int = Field(default=64, gt=0, description="Channels of a query.")
    heads: int = Field(default=4, gt=0, description="Attention heads.")
    layers: int = Field(default=2, gt=0, description="Decoder layers with iterative refinement.")
    ffn_channels: int = Field(default=128, gt=0, description="Hidden channels of the feed-forward parts.")
    query_init: Literal["heatmap", "learned"] = Field(
        default="heatmap",
        description="heatmap: detection queries start at the peaks of a BEV heat map; learned: "
        "embeddings with "
        "learned reference points, as in the paper's model.",
    )
    detection_queries: int = Field(default=30, gt=0, description="Fresh detection queries per frame.")
    train_slots: int = Field(
        default=24, gt=0, description="Track queries carried to the next frame in training (padded)."
    )
    cross_attention: Literal["pattern", "deformable"] = Field(
        default="pattern",
        description="pattern: concatenated 3×3 BEV samples with learned offsets; deformable: "
        "softmax-weighted "
        "points, as in the paper's model.",
    )
    pattern_spacing_m: float = Field(
        default=1.0, gt=0, description="Distance of the 3×3 pattern's samples (metres)."
    )
    points: int = Field(default=4, gt=0, description="deformable: points per head.")
    refinement: Literal["metric", "sigmoid"] = Field(
        default="metric",
        description="metric: centres move by metres; sigmoid: in inverse-sigmoid space of the range, as "
        "in the paper's model.",
    )
    z_range_m: tuple[float, float] = Field(
        default=(-3.0, 5.0), description="Range of centre heights (metres)."
    )
    detection_targets: Literal["all", "newborn"] = Field(
        default="all",
        description="all: detection queries are matched to all truth and do not see track queries; "
        "newborn: only "
        "to objects that no track query carries, as in the paper's model.",
    )
    denoising_queries: int = Field(
        default=20, ge=0, description="Pseudo-track queries from jittered truth (0 = off)."
    )
    denoising_noise_m: float = Field(
        default=1.0, ge=0, description="Standard deviation of their centres (metres)."
    )
    denoising_negatives: float = Field(
        default=0.2, ge=0, le=1, description="Share of them placed where nothing is."
    )
    propagation_noise_m: float = Field(
        default=0.6, ge=0, description="Jitter on propagated references in training (metres)."
    )
    carry_distance_m: float = Field(
        default=3.0, gt=0, description="Matched queries farther from truth are not carried on (metres)."
    )
    drop_probability: float = Field(
        default=0.1, ge=0, le=1, description="Share of carried tracks dropped in training."
    )
    false_positive_probability: float = Field(
        default=0.3, ge=0, le=1, description="False positives added per carried track."
    )
    hidden_propagation: Literal["none", "scores"] = Field(
        default="none",
        description="Samples without visible labels: none carries no track; scores carries queries by "
        "their own scores.",
    )
    memory: int = Field(
        default=0,
        ge=0,
        description="Past embeddings that a track attends to, the paper's model: 4 (0 = none).",
    )
    memory_every: int = Field(
        default=3, gt=0, description="At test time an embedding is saved in every so many frames."
    )
    heat_min_sigma_cells: float = Field(
        default=0.8, gt=0, description="Smallest standard deviation of a heat-map peak (cells)."
    )
    loss: TrackLossConfig = TrackLossConfig()

    @model_validator(mode="after")
    def _consistent(self) -> TrackConfig:
        if self.dim % self.heads or self.dim % 4:
            raise ValueError("track.dim must be a multiple of track.heads and of 4")
        return self


class MapConfig(_Section):
    """Mapping former: queries, memory and mask losses."""

    dim: int = Field(default=64, gt=0, description="Channels of a query and of the map memory.")
    heads: int = Field(default=4, gt=0, description="Attention heads.")
    layers: int = Field(default=2, gt=0, description="Decoder layers.")
    ffn_channels: int = Field(default=128, gt=0, description="Hidden channels of the feed-forward parts.")
    mask_channels: int = Field(
        default=32, gt=0, description="Channels of the features that queries are multiplied with."
    )
    queries: Literal["class", "instance"] = Field(
        default="class",
        description="class: a fixed number of queries per map class; instance: thing queries with boxes and "
        "masks of their own and a stuff query, as in the paper's model. Of the other keys of this section it "
        "reads dim, heads, layers (of the location decoder), ffn_channels, frames and instance.",
    )
    instance: InstanceMapConfig = InstanceMapConfig()
    queries_per_class: int = Field(
        default=1, gt=0, description="Queries per class; a class mask is their smooth maximum."
    )
    frames: Literal["last", "all"] = Field(
        default="last", description="Frames of a training clip whose masks are predicted."
    )
    focal: float = Field(default=12.0, ge=0, description="Weight of the focal loss.")
    dice: float = Field(default=1.0, ge=0, description="Weight of the dice loss.")
    focal_alpha: float = Field(default=0.5, gt=0, lt=1, description="Focal loss: weight of positives.")
    focal_gamma: float = Field(default=2.0, ge=0, description="Focal loss: exponent.")

    @model_validator(mode="after")
    def _consistent(self) -> MapConfig:
        if self.dim % self.heads:
            raise ValueError("map.dim must be a multiple of map.heads")
        if self.queries == "instance" and self.dim % 4:
            raise ValueError("map.dim must be a multiple of 4 where map.queries is instance")
        return self


class TrackerThresholds(_Section):
    """Life cycle of tracks at test time."""

    birth: float = Field(
        default=0.35, ge=0, le=1, description="A detection query with at least this score starts a track."
    )
    keep: float = Field(
        default=0.2, ge=0, le=1, description="Below this score a track misses; at or above it is reported."
    )
    max_misses: int = Field(default=3, gt=0, description="A track with this many misses in a row ends.")
    suppression_m: float = Field(
        default=1.5,
        ge=0,
        description="No birth nearer than this to a live track or a stronger birth (metres).",
    )
    duplicate_m: float = Field(
        default=0.8, ge=0, description="Of two tracks of one class nearer than this the weaker ends (metres)."
    )
    association: Literal["none", "detection"] = Field(
        default="detection",
        description="detection: tracks take over the detection query of their object, which ends drift after "
        "training on short clips; none: track queries alone, as in the paper's model.",
    )
    association_m: float = Field(
        default=4.0, gt=0, description="Largest distance of track and detection (metres)."
    )
    association_score: float = Field(
        default=0.6, ge=0, description="Least score of such a detection, as a multiple of `keep`."
    )
    unmatched_penalty: float = Field(
        default=1.5, ge=0, description="How much the logits of a track without detection are lowered."
    )
    slots: int = Field(default=48, gt=0, description="Live tracks per scene at most.")


class BEVModelConfig(_Section):
    """The whole BEV model."""

    image_height: int = Field(default=64, gt=0, description="Height of an input image (pixels).")
    image_width: int = Field(default=112, gt=0, description="Width of an input image (pixels).")
    cameras: int = Field(default=6, gt=0, description="Cameras per rig.")
    bev_half_m: float = Field(default=25.0, gt=0, description="Half-width of the square BEV grid (metres).")
    bev_cells: int = Field(default=50, gt=0, description="BEV cells per side.")
    map_cells: int = Field(default=100, gt=0, description="Map canvas cells per side.")
    num_classes: int = Field(default=7, gt=0, description="Tracking classes.")
    map_classes: int = Field(default=4, gt=0, description="Map classes.")
    norm_groups: int = Field(
        default=1, gt=0, description="Groups of the group normalisations; 1 is fastest on a CPU."
    )
    tap: Literal["queries", "memory", "bev"] = Field(
        default="queries",
        description="Tensors handed to methods: final queries of both formers; track queries and map "
        "memory; the BEV grid.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the training-time noise inside the model.")
    recompute: bool = Field(
        default=False,
        description="Compute activations of backbone, bevformer layers and mapping former with instance "
        "queries again in the backward pass instead of keeping them: less memory, more time, the same "
        "gradients.",
    )
    backbone: AnyBackboneConfig = Field(
        default=BackboneConfig(), description="The image backbone; its key `kind` says which."
    )
    encoder: EncoderConfig = EncoderConfig()
    track: TrackConfig = TrackConfig()
    map: MapConfig = MapConfig()
    thresholds: TrackerThresholds = TrackerThresholds()

    @model_validator(mode="after")
    def _norm_divides(self) -> BEVModelConfig:
        widths = (
            *self.backbone.normed_channels,
            self.encoder.channels,
            *self.encoder.unet_widths,
            self.map.dim,
            self.map.mask_channels,
        )
        if any(width % self.norm_groups for width in widths):
            raise ValueError("norm_groups must divide every channel number of backbone, encoder and map")
        if self.map.queries == "instance" and self.map_classes < 2:
            raise ValueError("map_classes must be at least 2 where map.queries is instance: things and stuff")
        stride = self.backbone.largest_stride
        if self.image_height < stride or self.image_width < stride:
            raise ValueError(
                f"image_height and image_width must be at least the backbone's stride ({stride})"
            )
        if self.backbone.num_levels > 1 and self.encoder.kind != "bevformer":
            raise ValueError("backbone.num_levels must be 1 where encoder.kind is not bevformer")
        return self
