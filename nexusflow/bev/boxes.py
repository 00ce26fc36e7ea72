"""Box code, its inverse, and its change between ego frames.

Code (10): x, y, log l, log w, z, log h, sin yaw, cos yaw, vx, vy.  Box (9): x, y, z, l, w, h, yaw, vx, vy.
Letters: B batch, Q queries or boxes. Leading shapes are free unless a name says otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["advance_code", "boxes_to_code", "code_to_boxes", "ego_motion", "refine_code", "transform_code"]

CODE_SIZE = 10
CENTRE_SLOTS = (0, 1, 4)


def boxes_to_code(boxes: Tensor) -> Tensor:
    """Encode boxes for regression.

    Args:
        boxes: (…, 9) boxes; padding with size zero is allowed.

    Returns:
        (…, 10) code.

    Source: box code of UniAD's track head.
    """
    x, y, z, length, width, height, yaw, vx, vy = boxes.float().unbind(-1)
    log = [size.clamp(min=0.05).log() for size in (length, width, height)]
    return torch.stack([x, y, log[0], log[1], z, log[2], yaw.sin(), yaw.cos(), vx, vy], -1)


def code_to_boxes(code: Tensor) -> Tensor:
    """Decode boxes; the inverse of `boxes_to_code`.

    Args:
        code: (…, 10) code; sine and cosine need not be normalised.

    Returns:
        (…, 9) boxes with yaw in (-π, π].
    """
    x, y, log_l, log_w, z, log_h, sin, cos, vx, vy = code.float().unbind(-1)
    sizes = [log.clamp(-4.0, 5.0).exp() for log in (log_l, log_w, log_h)]
    return torch.stack([x, y, z, *sizes, torch.atan2(sin, cos), vx, vy], -1)


def ego_motion(source2global_B44: Tensor, target2global_B44: Tensor) -> Tensor:
    """Return the float32 transform of points from one ego frame to another, (B, 4, 4)."""
    motion = torch.linalg.solve(target2global_B44.double(), source2global_B44.double())
    return motion.float()


def transform_code(code_BQ10: Tensor, motion_B44: Tensor) -> Tensor:
    """Express codes in another ego frame (a rotation about the vertical axis and a translation).

    Args:
        code_BQ10: codes in the source frame.
        motion_B44: transform of points from the source to the target frame.

    Returns:
        Codes in the target frame.
    """
    x, y, log_l, log_w, z, log_h, sin, cos, vx, vy = code_BQ10.unbind(-1)
    points_BQ3 = (
        torch.stack([x, y, z], -1) @ motion_B44[:, :3, :3].transpose(1, 2) + motion_B44[:, None, :3, 3]
    )
    yaw_B1 = torch.atan2(motion_B44[:, 1, 0], motion_B44[:, 0, 0])[:, None]
    c, s = yaw_B1.cos(), yaw_B1.sin()
    px, py, pz = points_BQ3.unbind(-1)
    turned = [sin * c + cos * s, cos * c - sin * s, vx * c - vy * s, vx * s + vy * c]
    return torch.stack([px, py, log_l, log_w, pz, log_h, *turned], -1)


def advance_code(code_BQ10: Tensor, seconds_B: Tensor) -> Tensor:
    """Move centres along their velocities for the given time (seconds per sample)."""
    moved_BQ2 = code_BQ10[..., :2] + code_BQ10[..., 8:10] * seconds_B.float()[:, None, None]
    return torch.cat([moved_BQ2, code_BQ10[..., 2:]], -1)


def refine_code(reference: Tensor, delta: Tensor, low: Tensor, high: Tensor, sigmoid: bool) -> Tensor:
    """Turn raw regression outputs into a code: centres relative to a reference, the rest as it is.

    Args:
        reference: (…, 10) code that holds the reference centre.
        delta: (…, 10) raw outputs.
        low: (3,) lower ends of x, y, z (metres).
        high: (3,) upper ends of x, y, z (metres).
        sigmoid: add in inverse-sigmoid space of the range instead of in metres.

    Returns:
        (…, 10) code.

    Source: iterative refinement of Deformable DETR (sigmoid); the metric form is a small-size variant.
    """
    slots = list(CENTRE_SLOTS)
    centre, step = reference[..., slots], delta[..., slots]
    if sigmoid:
        fraction = ((centre - low) / (high - low)).clamp(1e-4, 1 - 1e-4)
        centre = low + (high - low) * torch.sigmoid(torch.logit(fraction) + step)
    else:
        centre = centre + step
    x, y, z = centre.unbind(-1)
    rest = delta.unbind(-1)
    return torch.stack([x, y, rest[2], rest[3], z, *rest[5:]], -1)
