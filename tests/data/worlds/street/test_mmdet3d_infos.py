"""MMDetection3D makes its own index of the world, reads it, and sees the boxes where our reader does."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexusflow.data.nuscenes.cameras import read_cameras, read_ego_pose
from nexusflow.data.nuscenes.config import NuScenesReaderConfig
from nexusflow.data.nuscenes.geometry import project
from nexusflow.data.nuscenes.vocabulary import CAMERAS
from nexusflow.data.worlds.street.config import StreetWorldConfig
from nexusflow.data.worlds.street.generate import VERSION

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def converter(name: str) -> Any:
    """A tool that MMDetection3D ships beside its package."""
    folder = Path(importlib.import_module("mmdet3d").__file__ or "").parent
    path = folder / ".mim" / "tools" / "dataset_converters" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"mmdet3d_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def infos(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the two index files, converted to the present layout."""
    pytest.importorskip("mmdet3d", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("infos")
    (folder / "data").mkdir()
    (folder / "data" / "nuscenes").symlink_to(tiny_world)  # where the second tool looks
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        converter("nuscenes_converter").create_nuscenes_infos("data/nuscenes", folder / "street", VERSION)
        for split in ("train", "val"):
            converter("update_infos_to_v2").update_nuscenes_infos(
                f"{folder}/street_infos_{split}.pkl", out_dir=f"{folder}/second"
            )
    return folder


def dataset(infos: Path, world: Path, split: str, modality: dict[str, bool], pipeline: list[Any]) -> Any:
    importlib.import_module("mmengine.registry").init_default_scope("mmdet3d")
    prefix = {"pts": "samples/LIDAR_TOP", "sweeps": "", "img": ""}
    return importlib.import_module("mmdet3d.datasets").NuScenesDataset(
        data_root=str(world),
        ann_file=str(infos / "second" / f"street_infos_{split}.pkl"),
        data_prefix=prefix | {camera: f"samples/{camera}" for camera in CAMERAS},
        modality=modality,
        pipeline=pipeline,
        filter_empty_gt=False,
    )


def test_every_key_frame_is_in_one_of_the_splits(
    infos: Path, tiny_world: Path, tiny_config: StreetWorldConfig
) -> None:
    for split, scenes in (("train", tiny_config.train_scenes), ("val", tiny_config.val_scenes)):
        frames = dataset(infos, tiny_world, split, {"use_lidar": True}, [])
        assert len(frames) == scenes * tiny_config.key_frames


def test_points_and_boxes_go_through_its_pipeline(infos: Path, tiny_world: Path) -> None:
    pipeline = [
        {"type": "LoadPointsFromFile", "coord_type": "LIDAR", "load_dim": 5, "use_dim": 5},
        {"type": "LoadAnnotations3D", "with_bbox_3d": True, "with_label_3d": True},
        {"type": "Pack3DDetInputs", "keys": ["points", "gt_bboxes_3d", "gt_labels_3d"]},
    ]
    frames = dataset(infos, tiny_world, "train", {"use_lidar": True}, pipeline)
    inside = counted = 0
    for index in range(len(frames)):
        frame = frames[index]
        boxes, points = frame["data_samples"].gt_instances_3d.bboxes_3d, frame["inputs"]["points"]
        assert points.shape[1] == 5 and boxes.tensor.shape[1] == 9
        within = importlib.import_module("mmcv.ops").points_in_boxes_cpu
        inside += int(within(points[None, :, :3], boxes.tensor[None, :, :7]).sum())
        counted += sum(x["num_lidar_pts"] for x in frames.get_data_info(index)["instances"])
    assert counted > 100 and abs(inside - counted) < 0.05 * counted


def test_boxes_fall_on_the_same_pixels_as_in_our_reader(infos: Path, tiny_world: Path, nusc: Any) -> None:
    loader = {"type": "LoadMultiViewImageFromFiles", "to_float32": True, "num_views": 6}
    frames = dataset(infos, tiny_world, "train", {"use_camera": True, "use_lidar": True}, [])
    load = importlib.import_module("mmdet3d.registry").TRANSFORMS.build(loader)
    compared = 0
    for index in range(len(frames)):
        info = frames.get_data_info(index)
        sample = nusc.get("sample", info["token"])
        height, width = load(info)["img"][0].shape[:2]
        config = NuScenesReaderConfig(image_height=height, image_width=width)
        ego_pose = read_ego_pose(nusc, sample)
        ego2img_N44, _ = read_cameras(nusc, sample, ego_pose, config)
        centres = np.array([nusc.get("sample_annotation", t)["translation"] for t in sample["anns"]])
        ego_MC = (centres - ego_pose[:3, 3]) @ ego_pose[:3, :3]
        boxes_MC = np.array([x["bbox_3d"][:3] for x in info["instances"]])
        kept = np.array([x["bbox_3d_isvalid"] for x in info["instances"]])
        assert len(boxes_MC) == len(ego_MC)
        for number, camera in enumerate(CAMERAS):
            shot = info["images"][camera]
            intrinsics = np.eye(4)
            intrinsics[:3, :3] = shot["cam2img"]
            theirs, depth = project(boxes_MC, intrinsics @ np.array(shot["lidar2cam"]))
            ours, _ = project(ego_MC, ego2img_N44[number])
            seen = kept & (depth > 1)
            np.testing.assert_allclose(theirs[seen], ours[seen], atol=0.05 * width / 100)
            compared += int(seen.sum())
    assert compared > 50
