"""A training step with matched cities: who learns from it, with a frozen encoder and without."""

from pathlib import Path

import pytest
import torch

from nexusflow.bev.config import BEVModelConfig
from nexusflow.data.nuscenes.batch import ClipBatch, collate_clips
from nexusflow.data.nuscenes.cache import NuScenesCache
from nexusflow.data.partition import build_partition
from nexusflow.methods.base import BuildContext
from nexusflow.methods.build import build_method
from nexusflow.methods.matching_config import MatchingConfig
from nexusflow.suites.nuscenes.canvases import BEVCanvases
from nexusflow.suites.nuscenes.suite import BatchPlan, NuScenesSuite
from nexusflow.training.config import TrainingConfig
from nexusflow.training.loop import fit
from nexusflow.training.resume import ResumeFiles

MODEL = BEVModelConfig()


class BothCities(NuScenesSuite):
    """Shows two clips of each city at every step; the MMD of two samples is a constant."""

    def batch(self, step: int) -> ClipBatch:
        scenes = [scene for scene in self.cache.scenes if scene.split == "train"]
        assert {scene.city for scene in scenes} == {"boston", "singapore"}
        starts = [scene.first_frame + shift for scene in scenes for shift in (0, 1)]
        clips = [[start, start + 1] for start in starts]
        visible = {
            task: [self._visible_by_frame[clip[0]][task] for clip in clips] for task in ("track", "map")
        }
        return collate_clips(self.cache, clips, visible).hide_labels()


@pytest.fixture(scope="module")
def suite_of(tiny_cache: NuScenesCache):
    table = build_partition(tiny_cache.scenes, "s_geo", seed=0)
    partition = {row.scene: {"track": bool(row.track), "map": bool(row.map)} for row in table.itertuples()}
    return lambda: BothCities(tiny_cache, partition, MODEL, BatchPlan(2, 4, 0), BEVCanvases(MODEL))


def moved_by(suite: NuScenesSuite, config: MatchingConfig) -> dict[str, bool]:
    """Which part of the model gets a gradient from the method alone."""
    method = build_method(config, BuildContext(suite.tap_channels, 0, suite.canvas_spec))
    suite.provide_views(method.view_plan)
    result = suite.forward(suite.batch(0), 0, single_frame=False)
    losses = method.extra_losses(result.taps, result.outputs, result.visible, 0, result.views)
    assert all(loss.item() > 0 for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    return {
        name: any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
        for name, part in suite.network.named_children()
    }


def test_pooled_queries_move_the_formers_of_a_frozen_encoder(suite_of) -> None:
    suite = suite_of()
    suite.freeze_encoder()
    moved = moved_by(suite, MatchingConfig(mmd_weight=1.0))
    assert moved == {"backbone": False, "encoder": False, "track": True, "map": True}


def test_cells_move_the_encoder_alone(suite_of) -> None:
    moved = moved_by(suite_of(), MatchingConfig(moments_weight=1.0))
    assert moved == {"backbone": True, "encoder": True, "track": False, "map": False}


def test_a_few_steps_bring_the_cells_together(suite_of, tmp_path: Path) -> None:
    suite = suite_of()
    config = MatchingConfig(mmd_weight=1.0, moments_weight=20.0)
    method = build_method(config, BuildContext(suite.tap_channels, 0, suite.canvas_spec))
    training = TrainingConfig(
        steps=8, batch_size=4, learning_rate=1e-3, warmup_steps=0, log_every=1, checkpoint_every=8
    )
    rows = fit(suite, method, training, 0, ResumeFiles(tmp_path / "work", "matching"), "matching").log.rows
    assert rows[-1]["loss/matching/moments"] < 0.7 * rows[0]["loss/matching/moments"]
    assert {"loss/matching/mmd_track", "loss/matching/mmd_map"} < set(rows[0])
    assert rows[-1]["monitor/matching/one_domain"] == 0
