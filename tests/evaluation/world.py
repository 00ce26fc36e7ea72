"""A tiny nuScenes-format data set without images, and noisy predictions made from its truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

VERSION = "v1.0-trainval"
# Official scenes of the split "val" and, last, of "train".
VAL_SCENES = ("scene-0003", "scene-0012", "scene-0092", "scene-0093", "scene-0094", "scene-0095")
TRAIN_SCENES = ("scene-0001", "scene-0002")
CATEGORIES = {
    "bicycle": "vehicle.bicycle",
    "bus": "vehicle.bus.rigid",
    "car": "vehicle.car",
    "motorcycle": "vehicle.motorcycle",
    "pedestrian": "human.pedestrian.adult",
    "trailer": "vehicle.trailer",
    "truck": "vehicle.truck",
}
STILL = [1.0, 0.0, 0.0, 0.0]


@dataclass(frozen=True)
class Thing:
    """One object of a scene: class (or whole category) and way, one global (x, y) or None per frame."""

    name: str
    way: Sequence[tuple[float, float] | None]
    points: int = 5

    @property
    def category(self) -> str:
        return CATEGORIES.get(self.name, self.name)


def write_world(
    root: Path, scenes: dict[str, list[Thing]], frames: int, location: str = "boston-seaport"
) -> None:
    """Write the tables; the ego vehicle stands at (500, 900) in every scene.

    Scenes at odd places lie in Singapore if `location` is "both".
    """
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in ("attribute", "map", "scene", "sample")}
    tables |= {name: [] for name in ("sample_data", "ego_pose", "sample_annotation", "instance", "log")}
    names = sorted({thing.category for things in scenes.values() for thing in things} | {"vehicle.car"})
    tables["category"] = [{"token": f"c-{name}", "name": name, "description": ""} for name in names]
    tables["visibility"] = [{"token": "4", "level": "v80-100", "description": ""}]
    tables["sensor"] = [{"token": "lidar", "channel": "LIDAR_TOP", "modality": "lidar"}]
    tables["calibrated_sensor"] = [
        {
            "token": "cs",
            "sensor_token": "lidar",
            "translation": [0, 0, 0],
            "rotation": STILL,
            "camera_intrinsic": [],
        }
    ]
    for number, (scene, things) in enumerate(scenes.items()):
        place = location if location != "both" else ("boston-seaport", "singapore-onenorth")[number % 2]
        tables["log"].append(
            {"token": f"log-{scene}", "logfile": scene, "location": place, "vehicle": "", "date_captured": ""}
        )
        tokens = [f"{scene}-{k}" for k in range(frames)]
        tables["scene"].append(
            {
                "token": f"s-{scene}",
                "name": scene,
                "log_token": f"log-{scene}",
                "description": "",
                "nbr_samples": frames,
                "first_sample_token": tokens[0],
                "last_sample_token": tokens[-1],
            }
        )
        for k, token in enumerate(tokens):
            # Uneven intervals, so that swapped interpolation weights show.
            time = 1_000_000_000_000_000 + number * 100_000_000 + k * 500_000 + 70_000 * (k % 3)
            near = {"prev": tokens[k - 1] if k else "", "next": tokens[k + 1] if k + 1 < frames else ""}
            tables["sample"].append({"token": token, "scene_token": f"s-{scene}", "timestamp": time, **near})
            tables["ego_pose"].append(
                {"token": f"e-{token}", "timestamp": time, "translation": [500, 900, 0], "rotation": STILL}
            )
            tables["sample_data"].append(
                {
                    "token": f"d-{token}",
                    "sample_token": token,
                    "ego_pose_token": f"e-{token}",
                    "calibrated_sensor_token": "cs",
                    "timestamp": time,
                    "is_key_frame": True,
                    "filename": "",
                    "fileformat": "pcd",
                    "height": 0,
                    "width": 0,
                    "prev": "",
                    "next": "",
                }
            )
        for index, thing in enumerate(things):
            _add_thing(tables, tokens, f"{scene}-thing-{index}", thing)
    mask = root / "maps" / "mask.png"  # the devkit wants the file to exist, but does not open it
    mask.parent.mkdir(parents=True, exist_ok=True)
    mask.touch()
    logs = [log["token"] for log in tables["log"]]
    tables["map"].append({"token": "m", "category": "", "filename": "maps/mask.png", "log_tokens": logs})
    folder = root / VERSION
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))


def _add_thing(tables: dict[str, list[dict[str, Any]]], tokens: list[str], name: str, thing: Thing) -> None:
    seen = [k for k, place in enumerate(thing.way) if place is not None]
    boxes = [f"a-{name}-{k}" for k in seen]
    tables["instance"].append(
        {
            "token": name,
            "category_token": f"c-{thing.category}",
            "nbr_annotations": len(seen),
            "first_annotation_token": boxes[0] if boxes else "",
            "last_annotation_token": boxes[-1] if boxes else "",
        }
    )
    for order, (k, token) in enumerate(zip(seen, boxes, strict=True)):
        place = thing.way[k]
        assert place is not None
        tables["sample_annotation"].append(
            {
                "token": token,
                "sample_token": tokens[k],
                "instance_token": name,
                "visibility_token": "4",
                "attribute_tokens": [],
                "translation": [float(place[0]), float(place[1]), 1.0],
                "size": [2.0, 4.0, 1.5],
                "rotation": STILL,
                "prev": boxes[order - 1] if order else "",
                "next": boxes[order + 1] if order + 1 < len(boxes) else "",
                "num_lidar_pts": thing.points,
                "num_radar_pts": 0,
            }
        )


def random_things(rng: np.random.Generator, frames: int, per_class: int) -> list[Thing]:
    """Objects of all classes that drive around the ego vehicle, with gaps; trailers may be missing."""
    things = []
    for name in CATEGORIES:
        for _ in range(int(rng.integers(0 if name == "trailer" else 1, per_class + 1))):
            start = np.array([500.0, 900.0]) + rng.uniform(-25, 25, 2)
            speed = rng.normal(0, 1.5, 2)
            first, last = sorted(rng.integers(0, frames, 2).tolist())
            way: list[tuple[float, float] | None] = [None] * frames
            for k in range(first, last + 1):
                if k in (first, last) or rng.random() > 0.15:
                    x, y = start + speed * k * 0.5
                    way[k] = (float(x), float(y))
            things.append(Thing(name, way, points=0 if rng.random() < 0.05 else 3))
    return things


def random_world(root: Path, seed: int, scenes: Sequence[str], frames: int = 8, per_class: int = 4) -> None:
    """Write a random world in which cities alternate."""
    rng = np.random.Generator(np.random.PCG64(seed))
    content = {scene: random_things(rng, frames, per_class) for scene in scenes}
    content[scenes[0]].append(Thing("static_object.bicycle_rack", [(510.0, 905.0)] * frames))
    content[scenes[0]].append(Thing("bicycle", [(510.3, 905.2)] * frames))
    write_world(root, content, frames, location="both")


def noisy_results(
    root: Path, seed: int, noise_m: float = 0.6, switch: float = 0.05, drop: float = 0.15, false: float = 2.0
) -> dict[str, list[dict[str, Any]]]:
    """Predictions for all samples: truth with noise, lost boxes, changed identities and false alarms."""
    rng = np.random.Generator(np.random.PCG64(seed))
    tables = {
        n: json.loads((root / VERSION / f"{n}.json").read_text())
        for n in ("sample", "sample_annotation", "instance", "category")
    }
    kinds = {c["token"]: c["name"] for c in tables["category"]}
    kind_of = {i["token"]: kinds[i["category_token"]] for i in tables["instance"]}
    name_of = {category: name for name, category in CATEGORIES.items()}
    for kind in set(kind_of.values()) - set(name_of):
        if kind.startswith("human.pedestrian"):
            name_of[kind] = "pedestrian"
        elif kind.startswith("vehicle.bus"):
            name_of[kind] = "bus"
    results: dict[str, list[dict[str, Any]]] = {sample["token"]: [] for sample in tables["sample"]}
    identity: dict[str, int] = {}
    quality: dict[int, float] = {}
    for box in tables["sample_annotation"]:
        name = name_of.get(kind_of[box["instance_token"]])
        if name is None or rng.random() < drop:
            continue
        if box["instance_token"] not in identity or rng.random() < switch:
            identity[box["instance_token"]] = len(quality)
            quality[len(quality)] = float(rng.uniform(0.2, 0.9))
        number = identity[box["instance_token"]]
        x, y, z = box["translation"]
        place = [x + rng.normal(0, noise_m), y + rng.normal(0, noise_m), z]
        score = float(np.clip(quality[number] + rng.normal(0, 0.05), 0, 1))
        results[box["sample_token"]].append(prediction(box["sample_token"], place, str(number), name, score))
    ghosts = 0
    for token, boxes in results.items():
        for _ in range(int(rng.poisson(false))):
            near = boxes[int(rng.integers(len(boxes)))]["translation"] if boxes else [500.0, 900.0, 1.0]
            place = [near[0] + rng.normal(0, 2), near[1] + rng.normal(0, 2), near[2]]
            name = str(rng.choice(list(CATEGORIES)))
            boxes.append(
                prediction(
                    token, place, f"ghost-{ghosts % 40}-{len(boxes)}", name, float(rng.uniform(0, 0.6))
                )
            )
            ghosts += 1
    return results


def prediction(token: str, place: Sequence[float], identity: str, name: str, score: float) -> dict[str, Any]:
    """One box of a submission."""
    return {
        "sample_token": token,
        "translation": [float(v) for v in place],
        "size": [2.0, 4.0, 1.5],
        "rotation": STILL,
        "velocity": [0.0, 0.0],
        "tracking_id": identity,
        "tracking_name": name,
        "tracking_score": score,
    }


def split_of(results: dict[str, list[Any]], scenes: Sequence[str]) -> dict[str, list[Any]]:
    """The samples of some scenes."""
    return {token: boxes for token, boxes in results.items() if token.rsplit("-", 1)[0] in scenes}


def write_submission(path: Path, results: dict[str, list[Any]]) -> Path:
    """Write results as a submission."""
    path.write_text(json.dumps({"meta": {"use_camera": True}, "results": results}))
    return path
