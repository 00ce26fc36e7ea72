"""The renderer: against a plain one, its gradient, and that boxes, heat maps and masks lie on one another.

Letters: B samples, Q boxes, K classes, C channels, H × W cells.
"""

import itertools
import math

import pytest
import torch
from torch import Tensor

from nexusflow.bev.boxes import boxes_to_code
from nexusflow.bev.canvas import GridMotion, average_masks, render_boxes, render_map
from nexusflow.bev.tracking.losses import heat_targets
from nexusflow.bev.types import FrameTruth

HALF_M, CELLS, CLASSES = 10.0, 20, 3


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def code_of(*boxes: tuple[float, float, float, float, float]) -> Tensor:
    """Codes (1, Q, 10) of boxes given as x, y, length, width (metres), yaw (degrees)."""
    rows = torch.zeros(len(boxes), 9)
    for row, (x, y, length, width, yaw) in zip(rows, boxes, strict=True):
        row[:] = torch.tensor([x, y, 1.0, length, width, 1.5, math.radians(yaw), 0.0, 0.0])
    return boxes_to_code(rows)[None]


def random_boxes(batch: int, count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, probabilities and validity of boxes of all sizes and headings, a few outside the grid."""
    rng = torch.Generator().manual_seed(seed)
    boxes = torch.zeros(batch, count, 9)
    boxes[..., :2] = (torch.rand(batch, count, 2, generator=rng) * 2 - 1) * HALF_M * 1.2
    boxes[..., 3:6] = torch.rand(batch, count, 3, generator=rng) * 12 + 0.5
    boxes[..., 6] = torch.rand(batch, count, generator=rng) * 2 * math.pi
    probs = torch.rand(batch, count, CLASSES, generator=rng)
    return boxes_to_code(boxes), probs, torch.rand(batch, count, generator=rng) > 0.2


def ones(code: Tensor) -> Tensor:
    """Every box surely of the first class."""
    return torch.eye(CLASSES)[0].expand(*code.shape[:2], -1)


def render(code: Tensor, probs: Tensor, valid: Tensor | None = None, cells: int = CELLS) -> Tensor:
    shown = torch.ones(code.shape[:2], dtype=torch.bool) if valid is None else valid
    return render_boxes(code, probs, shown, HALF_M, cells)


def render_plainly(code_BQ10: Tensor, probs_BQK: Tensor, valid_BQ: Tensor) -> Tensor:
    """The definition, box by box and with the whole canvas for each, in double precision."""
    size = 2 * HALF_M / CELLS
    axis = (torch.arange(CELLS, dtype=torch.float64) + 0.5) * size - HALF_M
    y_HW, x_HW = torch.meshgrid(axis, axis, indexing="ij")
    canvases = []
    for code_Q10, probs_QK, valid_Q in zip(code_BQ10.double(), probs_BQK.double(), valid_BQ, strict=True):
        absent = torch.ones(CLASSES, CELLS, CELLS, dtype=torch.float64)
        values = torch.zeros(4, CELLS, CELLS, dtype=torch.float64)
        weights = torch.zeros(CELLS, CELLS, dtype=torch.float64)
        for (x, y, log_l, log_w, _, _, sin, cos, *_), probs_K in zip(
            code_Q10[valid_Q], probs_QK[valid_Q], strict=True
        ):
            sigmas = torch.stack([log_l, log_w]).exp().div(4).clamp(min=size)
            turn_22 = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])
            inverse_22 = torch.linalg.inv(turn_22 @ torch.diag(sigmas**2) @ turn_22.T)
            offset_HW2 = torch.stack([x_HW - x, y_HW - y], -1)
            gauss_HW = torch.exp(-0.5 * (offset_HW2 @ inverse_22 * offset_HW2).sum(-1))
            absent = absent * (1 - probs_K[:, None, None] * gauss_HW)
            weighted_HW = probs_K.max() * gauss_HW
            values += torch.stack([log_l, log_w, sin, cos])[:, None, None] * weighted_HW
            weights += weighted_HW
        canvases.append(torch.cat([1 - absent, values / (weights + 1e-3)]))
    return torch.stack(canvases)


def test_the_renderer_draws_what_its_definition_says() -> None:
    code, probs, valid = random_boxes(3, 9)
    canvas = render(code, probs, valid)
    plain = render_plainly(code, probs, valid)
    assert canvas.shape == (3, CLASSES + 4, CELLS, CELLS) and canvas.dtype == torch.float32
    assert not valid.all() and plain[:, :CLASSES].amax() > 0.9
    torch.testing.assert_close(canvas[:, :CLASSES], plain[:, :CLASSES].float(), atol=3e-6, rtol=0)
    # Where weights are as small as the cut tails, so is what they weigh.
    torch.testing.assert_close(canvas[:, CLASSES:], plain[:, CLASSES:].float(), atol=2e-4, rtol=0)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_gradients_are_those_of_finite_differences(sigmoid: bool) -> None:
    """Centre, size, yaw and probability; boxes overlap, one hangs over the border, one is padding."""
    code = code_of((0.5, 0.2, 6.4, 4.8, 30), (-1, 0.6, 8, 4.9, 100), (2.9, -1, 5, 2, -40), (0, 0, 9, 9, 0))
    code = code.double().requires_grad_(True)
    scores = torch.tensor([[[0.3, 0.9], [0.8, 0.1], [0.2, 0.5], [0.9, 0.6]]], dtype=torch.float64)
    scores.requires_grad_(True)
    valid = torch.tensor([[True, True, True, False]])

    def draw(code: Tensor, scores: Tensor) -> Tensor:
        return render_boxes(code, scores.sigmoid() if sigmoid else scores, valid, 3.0, 6)

    assert torch.autograd.gradcheck(draw, (code, scores), eps=1e-6, atol=1e-6, rtol=1e-4)
    draw(code, scores).square().sum().backward()
    assert code.grad is not None and scores.grad is not None
    assert (code.grad[0, :3, [0, 1, 2, 3, 6, 7]] != 0).all() and not code.grad[0, :3, [4, 5, 8, 9]].any()
    assert (scores.grad[0, :3] != 0).all() and not code.grad[0, 3].any() and not scores.grad[0, 3].any()


def test_a_sure_box_at_the_centre_of_a_cell_has_a_finite_gradient() -> None:
    code = code_of((0.5, 0.5, 1, 1, 0), (0.5, 0.5, 1, 1, 0)).requires_grad_(True)
    probs = ones(code).clone().requires_grad_(True)
    canvas = render(code, probs)
    assert float(canvas[0, 0, 10, 10].detach()) == pytest.approx(1.0, abs=1e-6)
    canvas.sum().backward()
    assert torch.isfinite(code.grad).all() and torch.isfinite(probs.grad).all()
    alone = code_of((0.5, 0.5, 1, 1, 0))
    sure = ones(alone).clone().requires_grad_(True)
    render(alone, sure)[0, 0, 10, 10].backward()
    # Heat grows by as much as the probability does, even where it is one already.
    torch.testing.assert_close(sure.grad, ones(alone), atol=1e-5, rtol=0)


def test_two_equal_boxes_join_by_noisy_or() -> None:
    code = code_of((1.3, -2.1, 5, 2, 20))
    probs = torch.tensor([[[0.6, 0.1, 0.0]]])
    once, twice = render(code, probs), render(code.repeat(1, 2, 1), probs.repeat(1, 2, 1))
    heat = once[:, :CLASSES]
    torch.testing.assert_close(twice[:, :CLASSES], 1 - (1 - heat) ** 2, atol=1e-5, rtol=0)
    # A mean does not change by a second box that says the same.
    near = heat.amax(1, keepdim=True).expand(-1, 4, -1, -1) > 0.1
    torch.testing.assert_close(twice[:, CLASSES:][near], once[:, CLASSES:][near], atol=0.02, rtol=0)


def spread(heat_HW: Tensor) -> Tensor:
    """Covariance (2, 2) of a heat map over (x, y), in cells."""
    axis = torch.arange(CELLS, dtype=torch.float32) - (CELLS - 1) / 2
    y_HW, x_HW = torch.meshgrid(axis, axis, indexing="ij")
    share = heat_HW / heat_HW.sum()
    return torch.stack([(share * a * b).sum() for a in (x_HW, y_HW) for b in (x_HW, y_HW)]).view(2, 2)


@pytest.mark.parametrize("yaw", [0, 90, 45, -45, 30])
def test_gaussians_are_turned_with_their_boxes(yaw: int) -> None:
    """A standard deviation is a quarter of the size, along the yaw from x (columns) towards y (rows)."""
    code = code_of((0.0, 0.0, 8, 4, yaw))
    turn = torch.tensor([math.cos(math.radians(yaw)), math.sin(math.radians(yaw))])
    expected = torch.eye(2) + (4 - 1) * turn[:, None] * turn
    torch.testing.assert_close(spread(render(code, ones(code))[0, 0]), expected, atol=0.05, rtol=0)


def test_small_boxes_are_one_cell_wide_and_channels_tell_their_numbers() -> None:
    code = code_of((0.0, 0.0, 0.8, 0.5, 120))
    canvas = render(code, ones(code))[0]
    torch.testing.assert_close(spread(canvas[0]), torch.eye(2), atol=0.01, rtol=0)
    assert not canvas[1:CLASSES].any()
    numbers = [math.log(0.8), math.log(0.5), math.sin(math.radians(120)), math.cos(math.radians(120))]
    torch.testing.assert_close(canvas[CLASSES:, 9, 9], torch.tensor(numbers), atol=0.01, rtol=0)
    assert not canvas[:, 0, 0].any()


def test_lengths_of_sine_and_cosine_do_not_matter() -> None:
    code, probs, valid = random_boxes(1, 4)
    longer = code.clone()
    longer[..., 6:8] *= 3
    torch.testing.assert_close(render(longer, probs, valid), render(code, probs, valid))


def test_padding_contributes_nothing_whatever_it_holds() -> None:
    code, probs, _ = random_boxes(2, 3)
    padded_code = torch.cat([code, torch.full((2, 4, 10), math.nan)], 1).requires_grad_(True)
    padded_probs = torch.cat([probs, torch.full((2, 4, CLASSES), math.nan)], 1).requires_grad_(True)
    valid = torch.tensor([[True] * 3 + [False] * 4]).expand(2, -1)
    canvas = render(padded_code, padded_probs, valid)
    assert torch.equal(canvas, render(code, probs))
    canvas.square().sum().backward()
    for grad in (padded_code.grad, padded_probs.grad):
        assert torch.isfinite(grad).all() and grad[:, :3].any() and not grad[:, 3:].any()
    assert not render(padded_code, padded_probs, torch.zeros_like(valid)).any()


def test_samples_do_not_mix() -> None:
    code, probs, valid = random_boxes(3, 5)
    alone = [render(code[b : b + 1], probs[b : b + 1], valid[b : b + 1]) for b in range(3)]
    torch.testing.assert_close(render(code, probs, valid), torch.cat(alone))


def test_senseless_sizes_stay_finite() -> None:
    code = code_of((0.0, 0.0, 1, 1, 0)).repeat(1, 2, 1)
    code[0, :, 2:4] = torch.tensor([[80.0, -80.0], [-80.0, 80.0]])
    code[0, 1, 6:8] = 0
    code.requires_grad_(True)
    canvas = render(code, ones(code) * 0.5)
    canvas.sum().backward()
    assert torch.isfinite(canvas).all() and torch.isfinite(code.grad).all()


def test_the_strongest_boxes_are_kept() -> None:
    code, probs, valid = random_boxes(2, 8)
    kept = render_boxes(code, probs, valid, HALF_M, CELLS, max_boxes=3)
    rows = [
        torch.where(shown, scores.amax(-1), -1.0).topk(3).indices
        for scores, shown in zip(probs, valid, strict=True)
    ]
    picked = [torch.stack([x[b, row] for b, row in enumerate(rows)]) for x in (code, probs, valid)]
    torch.testing.assert_close(kept, render(*picked))
    every = render(code, probs, valid)
    assert torch.equal(render_boxes(code, probs, valid, HALF_M, CELLS, max_boxes=8), every)
    assert not torch.equal(kept, every)


def test_boxes_peak_where_the_heat_map_targets_do() -> None:
    rng = torch.Generator().manual_seed(1)
    boxes = torch.zeros(1, 30, 9)
    boxes[..., :2] = (torch.rand(1, 30, 2, generator=rng) * 2 - 1) * HALF_M
    boxes[..., 3:6], boxes[..., 6] = 2.0, torch.rand(1, 30, generator=rng) * 6
    for box in boxes.unbind(1):
        truth = FrameTruth(box[:, None], torch.tensor([[1]]), torch.tensor([[5]]), torch.tensor([True]))
        target = heat_targets(truth, CLASSES, CELLS, HALF_M, 0.8)
        code = boxes_to_code(truth.boxes_BG9)
        canvas = render(code, torch.eye(CLASSES)[1].view(1, 1, -1))[:, :CLASSES]
        assert canvas.argmax() == target.argmax() and target.max() == 1


@pytest.mark.parametrize("turns,mirrored", itertools.product(range(4), (False, True)))
def test_moving_a_canvas_is_drawing_moved_boxes(turns: int, mirrored: bool) -> None:
    code, probs, valid = random_boxes(2, 6)
    moved = code.clone()
    x, y, sin, cos = (moved[..., slot].clone() for slot in (0, 1, 6, 7))
    if mirrored:
        y, sin = -y, -sin
    for _ in range(turns):
        x, y, sin, cos = -y, x, cos, -sin
    for slot, value in zip((0, 1, 6, 7), (x, y, sin, cos), strict=True):
        moved[..., slot] = value
    motion, canvas = GridMotion(mirrored, turns), render(code, probs, valid)
    expected = render(moved, probs, valid)
    torch.testing.assert_close(motion.move_boxes(canvas), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(motion.move_grid(canvas[:, :-2]), expected[:, :-2], atol=1e-5, rtol=0)
    if turns or mirrored:
        assert not torch.allclose(motion.move_grid(canvas), expected, atol=0.1)


def test_map_canvases_average_probabilities() -> None:
    logits = torch.randn(2, 4, 40, 40, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    canvas = render_map(logits, CELLS)
    expected = logits.sigmoid().unflatten(3, (CELLS, 2)).unflatten(2, (CELLS, 2)).mean((3, 5))
    torch.testing.assert_close(canvas, expected)
    canvas.sum().backward()
    assert (logits.grad != 0).all()
    torch.testing.assert_close(render_map(logits, 40), logits.sigmoid())
    mask = torch.zeros(1, 1, 40, 40, dtype=torch.uint8)
    mask[0, 0, 6:8, 10] = 1
    label = average_masks(mask, CELLS)
    assert label[0, 0, 3, 5] == 0.5 and label.sum() == 0.5


def test_canvases_are_drawn_in_single_precision_under_autocast() -> None:
    code, probs, valid = random_boxes(1, 5)
    logits = torch.randn(1, 4, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        boxes, masks = render(code, probs, valid), render_map(logits.bfloat16(), CELLS)
    assert torch.equal(boxes, render(code, probs, valid))
    assert masks.dtype == torch.float32
    torch.testing.assert_close(masks, render_map(logits, CELLS), atol=5e-3, rtol=0)
