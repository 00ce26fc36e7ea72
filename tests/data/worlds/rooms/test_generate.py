"""The rooms world: same bytes whatever the workers, all classes, geometry that agrees with itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.files import LabelledImage, count_images, read_image
from nexusflow.data.nyuv2.normals import Intrinsics, normals_from_depth
from nexusflow.data.nyuv2.vocabulary import CLASSES
from nexusflow.data.worlds.rooms.camera import FOCAL_OVER_WIDTH
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.data.worlds.rooms.generate import generate_rooms_world, plan_tasks
from nexusflow.data.worlds.rooms.style import STYLES, style_of

CONFIG = RoomsWorldConfig(
    train_images=24, val_images=12, image_height=64, image_width=96, images_per_room=1, supersample=1
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rooms") / "rooms"
    generate_rooms_world(CONFIG, root, workers=1)
    return root


@pytest.fixture(scope="module")
def images(world: Path) -> list[LabelledImage]:
    return [read_image(world / "train", index, 64, 96) for index in range(24)]


def test_both_splits_are_complete_and_readable(world: Path, images: list[LabelledImage]) -> None:
    assert count_images(world / "train") == 24 and count_images(world / "val") == 12
    manifest = json.loads((world / "manifest.json").read_text())
    assert manifest["files"] == 4 * 36 and manifest["config"]["seed"] == 0
    assert manifest["images_per_style"]["train"] == dict.fromkeys(STYLES, 8)
    assert all(0.1 < image.image_HW3.mean() < 0.95 for image in images)


def test_every_class_occurs_in_both_splits(world: Path, images: list[LabelledImage]) -> None:
    for split, contents in (
        ("train", images),
        ("val", [read_image(world / "val", index, 64, 96) for index in range(12)]),
    ):
        seen = set().union(*(np.unique(content.label_HW).tolist() for content in contents))
        missing = [name for number, name in enumerate(CLASSES) if number not in seen]
        assert not missing, (split, missing)
        assert -1 in seen


def test_some_depth_is_missing_and_normals_with_it(images: list[LabelledImage]) -> None:
    valid = np.stack([image.depth_HW1[..., 0] > 0 for image in images])
    known = np.stack([(image.normal_HW3 != 0).any(-1) for image in images])
    # A normal needs depth around it as well.
    assert not (known & ~valid).any() and 0.6 < known[valid].mean() < 0.99
    assert 0.6 < valid.mean() < 0.97
    assert all(image.depth_HW1[image.depth_HW1 > 0].min() > 0.3 for image in images)


def test_normals_agree_with_the_depth_they_come_with(images: list[LabelledImage]) -> None:
    focal = FOCAL_OVER_WIDTH * 96
    camera = Intrinsics(focal, focal, 47.5, 31.5)
    errors = []
    for image in images[:8]:
        fitted = normals_from_depth(image.depth_HW1[..., 0], camera, radius=2)
        both = (fitted != 0).any(-1) & (image.normal_HW3 != 0).any(-1)
        cosine = np.clip((fitted[both] * image.normal_HW3[both]).sum(-1), -1, 1)
        errors.append(np.median(np.degrees(np.arccos(cosine))))
    assert np.median(errors) < 6


def test_workers_change_no_byte(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"train_images": 6, "val_images": 3})
    for workers in (1, 2):
        generate_rooms_world(config, tmp_path / str(workers), workers)
    manifests = [(tmp_path / str(workers) / "manifest.json").read_bytes() for workers in (1, 2)]
    assert manifests[0] == manifests[1]
    other = config.model_copy(update={"seed": 1})
    generate_rooms_world(other, tmp_path / "other", 1)
    assert (
        json.loads(manifests[0])["sha256"]
        != json.loads((tmp_path / "other/manifest.json").read_text())["sha256"]
    )


def test_no_room_is_in_two_splits_and_styles_take_turns() -> None:
    tasks = plan_tasks(RoomsWorldConfig())
    pictures = {split: [i for t in tasks if t.split == split for i in t.images] for split in ("train", "val")}
    assert pictures == {"train": list(range(240)), "val": list(range(120))}
    assert [task.style for task in tasks[:4]] == [*STYLES, next(iter(STYLES))]


def test_styles_move_with_the_dial_without_jumps() -> None:
    middles = [style_of(name, 0) for name in STYLES]
    assert all(
        np.allclose(np.hstack(list(vars(style).values())), np.hstack(list(vars(middles[0]).values())))
        for style in middles
    )
    ends = [np.hstack(list(vars(style).values())) for style in (style_of("office", 1.0), STYLES["office"])]
    assert np.allclose(*ends)
    values = [style_of("office", gap).width_m for gap in (0, 0.25, 0.5, 0.75, 1)]
    assert np.allclose(np.diff(values), np.diff(values)[0])


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        generate_rooms_world(CONFIG, tmp_path, 1)
    with pytest.raises(UserError, match="at least one process"):
        generate_rooms_world(CONFIG, tmp_path / "new", 0)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
