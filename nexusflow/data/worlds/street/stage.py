"""A scene ready to be looked at: everything around the ego at any key frame, in the ego frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexusflow.data.worlds.street.agents import Agent
from nexusflow.data.worlds.street.curves import Array
from nexusflow.data.worlds.street.looks import body_quads
from nexusflow.data.worlds.street.render import View
from nexusflow.data.worlds.street.scenery import Scenery
from nexusflow.data.worlds.street.solids import join_quads
from nexusflow.data.worlds.street.traffic import SceneTraffic

__all__ = ["Moment", "Stage"]

AGENT_RANGE_M = 80.0
_SCENERY_RANGE_M = 110.0


@dataclass(frozen=True)
class Moment:
    """One key frame.

    Args:
        view: everything near, ego frame; agents come first.
        agents: indices (into the scene's agents) of the first objects of the view.
        size_M3: length, width, height of all objects, metres.
    """

    view: View
    agents: NDArray[np.intp]
    size_M3: Array


class Stage:
    """Puts agents and scenery of one scene into the ego frame.

    Args:
        traffic: the ego and the agents.
        scenery: buildings and trees of the street.
    """

    def __init__(self, traffic: SceneTraffic, scenery: Scenery) -> None:
        self.traffic, self.scenery = traffic, scenery
        self.poses_AK3 = np.array([agent.poses_K3 for agent in traffic.agents])
        self.size_A3 = np.array([agent.body.size_3 for agent in traffic.agents])
        parts = [body_quads(agent.body) for agent in traffic.agents]
        self.quads = join_quads(parts)
        self.owner_Q = np.repeat(np.arange(len(parts)), [len(part.layer_Q) for part in parts])

    @property
    def agents(self) -> tuple[Agent, ...]:
        """All agents of the scene."""
        return self.traffic.agents

    def moment(self, frame: int) -> Moment:
        """Collect what is near the ego at a key frame."""
        ego = self.traffic.ego_K3[frame]
        cos, sin = np.cos(ego[2]), np.sin(ego[2])

        def to_ego(poses: Array) -> Array:
            shift = poses[:, :2] - ego[:2]
            x, y = cos * shift[:, 0] + sin * shift[:, 1], -sin * shift[:, 0] + cos * shift[:, 1]
            return np.stack([x, y, poses[:, 2] - ego[2]], 1)

        poses_A3, poses_S3 = to_ego(self.poses_AK3[:, frame]), to_ego(self.scenery.poses_S3)
        agents = np.flatnonzero(
            np.nan_to_num(np.hypot(poses_A3[:, 0], poses_A3[:, 1]), nan=1e9) < AGENT_RANGE_M
        )
        things = np.flatnonzero(np.hypot(poses_S3[:, 0], poses_S3[:, 1]) < _SCENERY_RANGE_M)
        row_A = np.full(len(poses_A3), -1)
        row_A[agents] = np.arange(len(agents))
        row_S = np.full(len(poses_S3), -1)
        row_S[things] = len(agents) + np.arange(len(things))
        keep = row_A[self.owner_Q] >= 0
        owner = self.owner_Q[keep]
        pose = poses_A3[owner]
        moving = self.quads.select(keep).moved(pose[:, 0], pose[:, 1], pose[:, 2], row_A[owner])
        still = self.scenery.quads.select(row_S[self.scenery.quads.owner_Q] >= 0)
        n = len(still.layer_Q)
        back = to_ego(np.zeros((1, 3)))[0]
        still = still.moved(
            np.full(n, back[0]), np.full(n, back[1]), np.full(n, back[2]), row_S[still.owner_Q]
        )
        size_S3 = np.concatenate([self.scenery.size_S2, self.scenery.height_S[:, None]], 1)
        size = np.concatenate([self.size_A3[agents], size_S3[things]])
        ids = np.concatenate([np.arange(1, len(agents) + 1), np.zeros(len(things), np.int64)])
        poses = np.concatenate([poses_A3[agents], poses_S3[things]])
        view = View(ego, poses, size[:, :2], ids, join_quads([moving, still]))
        return Moment(view, agents, size)
