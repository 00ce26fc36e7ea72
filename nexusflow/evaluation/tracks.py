"""Tracks as arrays: score averaging and gap filling as the official tracking evaluation does them.

Shape letters: F frames, N boxes, 2 x and y.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Timeline", "Tracks", "average_scores", "fill_gaps"]


@dataclass(frozen=True)
class Timeline:
    """The key frames of the evaluated scenes, scene after scene, in the order of time.

    Args:
        sample_tokens: F tokens.
        scene_F: index of the scene.
        time_F: time stamps in microseconds, int64.
        scenes: scene names.
        cities: city of every scene, "boston" or "singapore".
    """

    sample_tokens: list[str]
    scene_F: NDArray[np.int64]
    time_F: NDArray[np.int64]
    scenes: list[str]
    cities: list[str]

    @property
    def step_F(self) -> NDArray[np.int64]:
        """Position of every frame within its scene."""
        starts = np.flatnonzero(np.diff(self.scene_F, prepend=-1))
        lengths = np.diff(starts, append=len(self.scene_F))
        return np.arange(len(self.scene_F)) - np.repeat(starts, lengths)


@dataclass(frozen=True)
class Tracks:
    """Boxes of all frames, sorted by frame; the order within a frame is that of the source.

    Args:
        frame_N: frame index into a `Timeline`.
        label_N: class index 0..6.
        track_N: identity; the same number never occurs in two scenes or twice in a frame.
        xy_N2: global position in metres, float64.
        score_N: score, float64; -1 for truth.
    """

    frame_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    track_N: NDArray[np.int64]
    xy_N2: NDArray[np.float64]
    score_N: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame_N)

    def take(self, chosen: NDArray[Any]) -> Tracks:
        """Keep some boxes.

        Args:
            chosen: indices or a boolean mask over the boxes.

        Returns:
            The chosen boxes.
        """
        return Tracks(
            self.frame_N[chosen],
            self.label_N[chosen],
            self.track_N[chosen],
            self.xy_N2[chosen],
            self.score_N[chosen],
        )


def average_scores(tracks: Tracks) -> Tracks:
    """Replace the score of every box by the mean score of its track.

    Args:
        tracks: predictions before gap filling.

    Returns:
        The same boxes with track scores.

    Source: nuScenes devkit, `create_tracks`.
    """
    if not len(tracks):
        return tracks
    order = np.argsort(tracks.track_N, kind="stable")
    sorted_tracks, sorted_scores = tracks.track_N[order], tracks.score_N[order]
    starts = np.flatnonzero(np.diff(sorted_tracks, prepend=sorted_tracks[0] - 1))
    ends = np.append(starts[1:], len(order))
    # np.mean one by one: its order of summation decides the last bit, on which thresholds hang.
    means = [float(np.mean(sorted_scores[a:b])) for a, b in zip(starts, ends, strict=True)]
    score_N = np.empty_like(tracks.score_N)
    score_N[order] = np.repeat(means, ends - starts)
    return replace(tracks, score_N=score_N)


def fill_gaps(tracks: Tracks, timeline: Timeline) -> Tracks:
    """Interpolate every track over the frames between its first and last in which it has no box.

    The weights of the two neighbours are exchanged, as in the official evaluation: a frame close to the left
    box gets a position close to the right one. New boxes follow the given ones in their frame, in the order
    of the tracks' first appearance, and have the class of the right neighbour.

    Args:
        tracks: boxes sorted by frame.
        timeline: the frames.

    Returns:
        All boxes, old and new, sorted by frame.

    Source: nuScenes devkit, `interpolate_tracks`.
    """
    if not len(tracks):
        return tracks
    _, first_N, rank_N = np.unique(tracks.track_N, return_index=True, return_inverse=True)
    appearance_N = first_N[rank_N]
    order = np.argsort(tracks.track_N, kind="stable")
    same = np.diff(tracks.track_N[order]) == 0
    gap = np.where(same, np.diff(tracks.frame_N[order]) - 1, 0)
    left = np.repeat(order[:-1], gap)
    right = np.repeat(order[1:], gap)
    if not len(left):
        return tracks
    ends = np.cumsum(gap)
    frame = tracks.frame_N[left] + 1 + np.arange(len(left)) - np.repeat(ends - gap, gap)
    time_F = timeline.time_F
    time_left, time_right = time_F[tracks.frame_N[left]], time_F[tracks.frame_N[right]]
    weight = (time_right - time_F[frame]).astype(np.float64) / (time_right - time_left)
    new = Tracks(
        frame,
        tracks.label_N[right],
        tracks.track_N[right],
        (1.0 - weight)[:, None] * tracks.xy_N2[left] + weight[:, None] * tracks.xy_N2[right],
        (1.0 - weight) * tracks.score_N[left] + weight * tracks.score_N[right],
    )
    new_order = np.lexsort((appearance_N[right], frame))
    both = Tracks(
        np.concatenate([tracks.frame_N, new.frame_N[new_order]]),
        np.concatenate([tracks.label_N, new.label_N[new_order]]),
        np.concatenate([tracks.track_N, new.track_N[new_order]]),
        np.concatenate([tracks.xy_N2, new.xy_N2[new_order]]),
        np.concatenate([tracks.score_N, new.score_N[new_order]]),
    )
    return both.take(np.argsort(both.frame_N, kind="stable"))
