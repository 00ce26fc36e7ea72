"""The alignment in configurations of MMDetection3D and MMDetection, trained for some steps by MMEngine."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch.utils.data import Dataset

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parents[2]
RANGE_M = [-12.8, -12.8, -5.0, 12.8, 12.8, 3.0]


def imported(name: str) -> Any:
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def _needs_mmdet3d(monkeypatch):
    pytest.importorskip("mmdet3d", exc_type=ImportError)
    # MMEngine reads its own checkpoints in the way that newer releases of PyTorch no longer default to.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    yield
    logging.shutdown()


class Sweeps(Dataset[Any]):
    """Random points, and a car and a truck in each sweep."""

    metainfo: ClassVar[dict[str, Any]] = {"classes": ("car", "truck")}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        structures = imported("mmdet3d.structures")
        points_PC = torch.rand(600, 5, generator=generator) * 20 - 10
        centres_GC = torch.rand(2, 2, generator=generator) * 16 - 8
        rest_GC = torch.tensor([[-1.0, 4.0, 2.0, 1.5, 0.3, 0.0, 0.0], [-1.0, 6.0, 2.5, 3.0, 1.0, 0.0, 0.0]])
        boxes = structures.LiDARInstance3DBoxes(torch.cat((centres_GC, rest_GC), 1), box_dim=9)
        sample = structures.Det3DDataSample()
        sample.set_metainfo({"box_type_3d": structures.LiDARInstance3DBoxes})
        instances = imported("mmengine.structures").InstanceData()
        instances.bboxes_3d, instances.labels_3d = boxes, torch.tensor([0, 1])
        sample.gt_instances_3d = instances
        return {"inputs": {"points": points_PC}, "data_samples": sample}


class Pictures(Dataset[Any]):
    """Noise with a box on it."""

    metainfo: ClassVar[dict[str, Any]] = {"classes": ("thing",)}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        sample = imported("mmdet.structures").DetDataSample()
        size = (64, 64)
        sample.set_metainfo({"img_shape": size, "batch_input_shape": size, "pad_shape": size})
        instances = imported("mmengine.structures").InstanceData()
        instances.bboxes, instances.labels = torch.tensor([[8.0, 8.0, 40.0, 48.0]]), torch.tensor([0])
        sample.gt_instances = instances
        return {"inputs": torch.rand(3, *size, generator=generator) * 255, "data_samples": sample}


def train(config: Any, dataset: type[Dataset[Any]], folder: Path, steps: int) -> dict[str, list[float]]:
    """Train with what the configuration names, and return the history of each loss."""
    imported("mmengine.registry").DATASETS.register_module(module=dataset, force=True)
    config.train_dataloader = {
        "batch_size": 2,
        "num_workers": 0,
        "dataset": {"type": dataset.__name__, "_scope_": "mmengine"},
        "sampler": {"type": "InfiniteSampler", "shuffle": False},
        "collate_fn": {"type": "pseudo_collate"},
    }
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": steps}
    config.optim_wrapper = {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 2e-3}}
    for name in (
        "val_dataloader",
        "val_cfg",
        "val_evaluator",
        "test_dataloader",
        "test_cfg",
        "test_evaluator",
    ):
        config[name] = None
    config.param_scheduler, config.log_level = [], "ERROR"
    config.default_hooks.logger.interval = 1
    config.work_dir, config.experiment_name = str(folder), folder.name
    torch.manual_seed(0)
    runner = imported("mmengine.runner").Runner.from_cfg(config)
    runner.train()
    scalars = runner.message_hub.log_scalars
    return {
        name.removeprefix("train/"): [float(value) for value in buffer.data[0]]
        for name, buffer in scalars.items()
        if "loss" in name
    }


def test_the_example_configuration_trains(tmp_path):
    config = imported("mmengine.config").Config.fromfile(ROOT / "examples" / "mmdet3d_centerpoint.py")
    # The same detector on a smaller grid.
    config.custom_hooks = [hook for hook in config.custom_hooks if hook.type == "NexusFlowHook"]
    model = config.model
    model.data_preprocessor.voxel_layer.point_cloud_range = RANGE_M
    model.pts_voxel_encoder.point_cloud_range = RANGE_M
    model.pts_middle_encoder.output_shape = (128, 128)
    model.pts_backbone.layer_nums = [1, 1, 1]
    model.pts_bbox_head.tasks = [{"num_class": 1, "class_names": [name]} for name in ("car", "truck")]
    model.pts_bbox_head.bbox_coder.pc_range = RANGE_M[:2]
    model.train_cfg.pts.update(grid_size=[128, 128, 1], point_cloud_range=RANGE_M)
    losses = train(config, Sweeps, tmp_path, 12)
    assert {"loss_nexusflow", "task0.loss_heatmap", "task1.loss_bbox"} <= set(losses)
    aligned = losses["loss_nexusflow"]
    assert len(aligned) == 12 and aligned[0] > 0 and sum(aligned[-3:]) < 0.8 * sum(aligned[:3])


@pytest.mark.parametrize("level", [0, 4])
def test_a_head_shared_by_levels_of_a_pyramid_is_tapped_at_one(tmp_path, level):
    config = imported("mmengine.config").Config.fromfile(
        imported("mmengine.utils").get_installed_path("mmdet") + "/.mim/configs/retinanet/"
        "retinanet_r18_fpn_1x_coco.py"
    )
    config.custom_imports = {"imports": ["nexusflow.adapters.mmengine"]}
    imported("nexusflow.adapters.mmengine")
    config.model.backbone.init_cfg = None
    config.model.bbox_head.num_classes = 1
    task_of = {"classes": "bbox_head.cls_convs.3", "boxes": "bbox_head.reg_convs.3"}
    hook = {
        "type": "NexusFlowHook",
        "taps": task_of,
        "channels": dict.fromkeys(task_of, 256),
        "calls": dict.fromkeys(task_of, level),
        "dim": 16,
    }
    config.custom_hooks = [hook]
    losses = train(config, Pictures, tmp_path, 6)
    assert len(losses["loss_nexusflow"]) == 6 and losses["loss_nexusflow"][0] > 0
