"""Official tracking metrics: the nuScenes devkit's own evaluation, its classes spread over processes.

Tables, predictions and tracks are loaded once; every class is then evaluated by the devkit's
`TrackingEval.evaluate` on the boxes of that class alone, which leaves its numbers as they are. Interruptions
and delays of tracks, which take four tenths of the time and which nothing here reports, are left out unless
asked for.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from nexusflow.core.errors import UserError
from nexusflow.core.progress import track
from nexusflow.evaluation.constants import TRACKING_CLASSES
from nexusflow.evaluation.devkit_shortcuts import less_work
from nexusflow.evaluation.ground_truth import official_split, split_scenes
from nexusflow.evaluation.predictions import read_tracking

__all__ = ["evaluate_tracking", "official_class_range", "resolve_class_range"]

ClassTracks = dict[str, dict[int, list[Any]]]


def _official_settings() -> dict[str, Any]:
    text = (
        resources.files("nuscenes.eval.tracking")
        .joinpath("configs/tracking_nips_2019.json")
        .read_text("utf-8")
    )
    settings = json.loads(text)
    assert isinstance(settings, dict)
    return settings


def official_class_range() -> dict[str, float]:
    """Give the official evaluation range of every class.

    Returns:
        Class → metres.
    """
    return {name: float(metres) for name, metres in _official_settings()["class_range"].items()}


def resolve_class_range(class_range_m: Mapping[str, float] | float | None) -> dict[str, float]:
    """Combine a wanted range with the official one; the smaller counts.

    Args:
        class_range_m: one range for all classes, or class → range (others official), or None; metres.

    Returns:
        Class → metres, all seven classes.

    Raises:
        UserError: if a class is unknown or a range is not positive.
    """
    official = official_class_range()
    if class_range_m is None:
        return official
    wanted = (
        dict(class_range_m) if isinstance(class_range_m, Mapping) else dict.fromkeys(official, class_range_m)
    )
    unknown = sorted(set(wanted) - set(official))
    if unknown:
        raise UserError(
            f"evaluation.class_range_m names the class '{unknown[0]}'; use {', '.join(official)}."
        )
    if not all(metres > 0 for metres in wanted.values()):
        raise UserError("evaluation.class_range_m must be positive; give metres.")
    return {name: min(metres, float(wanted.get(name, metres))) for name, metres in official.items()}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Swallow the devkit's bars and its warnings about means of nothing."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _load_tracks(
    submission: Path,
    data_root: Path,
    version: str,
    split: str,
    scenes: Sequence[str] | None,
    settings: dict[str, Any],
) -> tuple[ClassTracks, ClassTracks]:
    """Load, filter and interpolate truth and predictions with the devkit's functions."""
    from nuscenes import NuScenes
    from nuscenes.eval.common import loaders
    from nuscenes.eval.tracking.data_classes import TrackingBox, TrackingConfig
    from nuscenes.eval.tracking.loaders import create_tracks

    split = official_split(split, version)
    names = split_scenes(split)
    if not (Path(data_root) / version).is_dir():
        raise UserError(f"{data_root} has no tables '{version}'; generate or download the data set first.")
    config = TrackingConfig.deserialize(settings)
    nusc = NuScenes(version=version, dataroot=str(data_root), verbose=False)
    present = {scene["name"] for scene in nusc.scene}
    wanted = [n for n in names if n in present and (scenes is None or n in set(scenes))]
    tokens = loaders.get_samples_of_scenes(wanted, nusc) if wanted else []
    if not tokens:
        raise UserError(
            f"{data_root}/{version} has none of the wanted scenes of split '{split}'; check both."
        )
    read_tracking(submission, tokens)
    tracks = []
    truth = loaders.load_gt_of_sample_tokens(nusc, tokens, TrackingBox)
    found, _ = loaders.load_prediction_of_sample_tokens(
        str(submission), config.max_boxes_per_sample, TrackingBox, sample_tokens=tokens
    )
    for boxes, is_truth in ((truth, True), (found, False)):
        boxes = loaders.add_center_dist(nusc, boxes)
        if boxes.all:  # the devkit cannot filter nothing
            boxes = loaders.filter_eval_boxes(nusc, boxes, config.class_range)
        tracks.append(create_tracks(boxes, nusc, split, gt=is_truth))
    # The devkit walks through a set of scenes, in an order that changes from run to run; fix it.
    order = [scene["token"] for scene in nusc.scene if scene["token"] in tracks[0]]
    return {s: tracks[0][s] for s in order}, {s: tracks[1][s] for s in order}


def _of_class(tracks: ClassTracks, name: str) -> ClassTracks:
    """The boxes of one class, all frames kept."""
    return {
        scene: {time: [box for box in boxes if box.tracking_name == name] for time, boxes in frames.items()}
        for scene, frames in tracks.items()
    }


def _size(tracks: ClassTracks) -> int:
    return sum(len(boxes) for frames in tracks.values() for boxes in frames.values())


def _evaluate_class(
    name: str, truth: ClassTracks, found: ClassTracks, settings: dict[str, Any], durations: bool
) -> tuple[str, dict[str, float]]:
    """Run the devkit's evaluation of one class; gives metric → value, nan where undefined."""
    from nuscenes.eval.tracking.data_classes import TrackingConfig
    from nuscenes.eval.tracking.evaluate import TrackingEval

    evaluation = TrackingEval.__new__(TrackingEval)  # the constructor would load everything again
    evaluation.cfg = TrackingConfig.deserialize(settings)
    evaluation.cfg.class_names = [name]
    evaluation.tracks_gt, evaluation.tracks_pred = truth, found
    evaluation.verbose, evaluation.output_dir, evaluation.render_classes = False, None, None
    with _silence(), less_work(durations):
        metrics, _ = evaluation.evaluate()
    left_out = () if durations else ("frag", "tid", "lgd")
    return name, {k: values[name] for k, values in metrics.label_metrics.items() if k not in left_out}


def _run(
    jobs: list[tuple[str, ClassTracks, ClassTracks]], settings: dict[str, Any], workers: int, durations: bool
) -> dict[str, dict[str, float]]:
    description = "tracking metrics by class"
    if workers <= 1:
        return dict(_evaluate_class(*job, settings, durations) for job in track(jobs, description))
    # Fresh processes: forking one that has threads of a linear algebra library can hang.
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_evaluate_class, *job, settings, durations) for job in jobs]
        return dict(future.result() for future in track(futures, description))


def evaluate_tracking(
    submission: Path,
    data_root: Path,
    version: str,
    split: str,
    class_range_m: Mapping[str, float] | float | None = None,
    workers: int = 1,
    scenes: Sequence[str] | None = None,
    durations: bool = False,
) -> dict[str, Any]:
    """Compute the official nuScenes tracking metrics (`tracking_nips_2019`).

    Args:
        submission: the `tracking.json`.
        data_root: folder of a nuScenes-format data set; it may hold only some scenes of the split.
        version: name of its table folder, e.g. "v1.0-trainval".
        split: official split, e.g. "val".
        class_range_m: range in metres for all classes or by class, never beyond the official one.
        workers: processes that share the classes; the numbers do not depend on it.
        scenes: names of the scenes to evaluate; default: all of the split.
        durations: also compute frag, tid and lgd.

    Returns:
        {"overall": metric → value, "classes": class → metric → value} under the devkit's names (amota, amotp,
        recall, ids, …); nan where the devkit gives nan, such as for a class
        without truth.

    Raises:
        UserError: if the data set or the submission cannot be used.

    Source: nuScenes devkit 1.2, `TrackingEval`.
    """
    settings = {**_official_settings(), "class_range": resolve_class_range(class_range_m)}
    with _silence():
        truth, found = _load_tracks(submission, data_root, version, split, scenes, settings)
    jobs = [(name, _of_class(truth, name), _of_class(found, name)) for name in TRACKING_CLASSES]
    jobs.sort(key=lambda job: -_size(job[1]))  # the time goes with the number of true boxes; longest first
    per_class = _run(jobs, settings, workers, durations)

    from nuscenes.eval.tracking.data_classes import TrackingConfig, TrackingMetrics

    metrics = TrackingMetrics(TrackingConfig.deserialize(settings))
    for name, values in per_class.items():
        for metric, value in values.items():
            metrics.add_label_metric(metric, name, value)
    with _silence():
        overall = {metric: metrics.compute_metric(metric) for metric in per_class[TRACKING_CLASSES[0]]}
    return {"overall": overall, "classes": {name: per_class[name] for name in TRACKING_CLASSES}}
