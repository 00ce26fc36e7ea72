"""Stacks of all tasks: numbers by kind, masks, stop gradients, noise, errors of reconstructions."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from nexusflow.core.views import CanvasSpec, ChannelGroup, DenseView
from nexusflow.methods.jtr_stack import StackBuilder
from tests.methods.canvas_toy import bev_spec, spec, view

torch.set_num_threads(1)

ONE_LABEL = {
    "semantics": [True, False, False, False],
    "depth": [False, True, False, False],
    "normals": [False, False, True, False],
}
ALL = {task: [True] * 2 for task in ONE_LABEL}
NONE = {task: [False] * 2 for task in ONE_LABEL}
SEMANTICS, DEPTH, NORMALS = slice(0, 5), slice(5, 6), slice(6, 9)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def phi(x: torch.Tensor, mean: float, std: float) -> torch.Tensor:
    return 0.5 * (1 + torch.erf((x - mean) / (std * math.sqrt(2))))


def one_cell(groups: dict[str, tuple[ChannelGroup, ...]], numbers: dict[str, list[float]]):
    """A view of one sample and one cell, without labels."""
    canvas = {task: torch.tensor(row)[None, :, None, None] for task, row in numbers.items()}
    no = torch.zeros(1, dtype=torch.bool)
    return StackBuilder(CanvasSpec(groups, 4)), DenseView(
        predictions=canvas,
        labels={task: torch.zeros_like(x) for task, x in canvas.items()},
        valid=dict.fromkeys(canvas, no[:, None, None, None]),
        visible=dict.fromkeys(canvas, no),
        features_BFhw=torch.zeros(1, 4, 1, 1),
    )


def test_order_and_count_of_channels():
    builder = StackBuilder(bev_spec())
    assert builder.tasks == {"boxes": 11, "layers": 4} and builder.channels == 15
    assert StackBuilder(spec(classes=13)).channels == 17


def test_mask_is_of_labelled_tasks_only():
    seen = view(spec(), ONE_LABEL)
    # Whatever hidden tasks call valid must not matter.
    unknown = {
        task: valid | ~seen.visible[task][:, None, None, None] & (torch.rand(valid.shape) > 0.5)
        for task, valid in seen.valid.items()
    }
    mask = StackBuilder(spec()).mask(replace(seen, valid=unknown))
    for sample, task in enumerate(ONE_LABEL):
        assert torch.equal(mask[sample].bool(), seen.valid[task][sample])
        assert 0 < mask[sample].mean() < 1
    assert (mask[3] == 1).all()
    every = view(spec(), ALL)
    product = every.valid["semantics"] & every.valid["depth"] & every.valid["normals"]
    assert torch.equal(StackBuilder(spec()).mask(every), product.float())


def test_predictions_of_dense_tasks():
    seen, builder = view(spec(), ONE_LABEL), StackBuilder(spec())
    mask = builder.mask(seen)
    got = builder.predicted(seen, None)
    depth, normals = seen.predictions["depth"], seen.predictions["normals"]
    torch.testing.assert_close(
        got.channels_BCHW[:, SEMANTICS], seen.predictions["semantics"].softmax(1) * mask
    )
    torch.testing.assert_close(got.channels_BCHW[:, DEPTH], phi(depth * mask, 2.5, 1.5))
    torch.testing.assert_close(got.channels_BCHW[:, NORMALS], (normals * mask + 1) / 2)
    torch.testing.assert_close(got.values_BCHW[:, SEMANTICS], got.channels_BCHW[:, SEMANTICS])
    torch.testing.assert_close(got.values_BCHW[:, DEPTH], depth * mask)
    torch.testing.assert_close(got.values_BCHW[:, NORMALS], normals * mask)


def test_labels_are_taken_where_shown_and_keep_their_own_mask():
    seen, builder = view(spec(), ALL), StackBuilder(spec())
    got = builder.completed(seen, noise())
    labels = seen.labels
    torch.testing.assert_close(got.channels_BCHW[:, SEMANTICS], labels["semantics"])
    torch.testing.assert_close(got.channels_BCHW[:, DEPTH], phi(labels["depth"], 2.5, 1.5))
    torch.testing.assert_close(got.channels_BCHW[:, NORMALS], (labels["normals"] + 1) / 2)
    torch.testing.assert_close(
        got.values_BCHW, torch.cat([labels[task] for task in ("semantics", "depth", "normals")], 1)
    )


def test_completion_is_sample_by_sample():
    seen, builder = view(spec(), ONE_LABEL), StackBuilder(spec())
    completed = builder.completed(seen, noise()).channels_BCHW
    predicted = builder.predicted(seen, noise()).channels_BCHW
    for sample, own in enumerate((SEMANTICS, DEPTH, NORMALS)):
        for place in (SEMANTICS, DEPTH, NORMALS):
            same = torch.equal(completed[sample, place], predicted[sample, place])
            assert same == (place != own)
    assert torch.equal(completed[3], predicted[3])


def test_what_a_probability_gates():
    groups = {
        "boxes": (
            ChannelGroup("measure", 1, mean=(1.0,), std=(2.0,)),
            ChannelGroup("probability", 2),
            ChannelGroup("signed", 1),
        )
    }
    builder, seen = one_cell(groups, {"boxes": [3.0, 0.25, 0.5, -0.4]})
    got = builder.predicted(seen, None)
    expected = [0.5 * 0.8413447, 0.25, 0.5, 0.5 * 0.3]
    torch.testing.assert_close(got.channels_BCHW.flatten(), torch.tensor(expected))
    assert torch.equal(got.values_BCHW, got.channels_BCHW)


def test_the_gate_is_the_tasks_own_and_masked():
    numbers = {"boxes": [0.25, 1.0, 1.0, 0.2], "layers": [0.9]}
    groups = {
        "boxes": (
            ChannelGroup("probability", 1),
            ChannelGroup("measure", 2, mean=(1.0, 1.0), std=(1.0, 1.0)),
            ChannelGroup("signed", 1),
        ),
        "layers": (ChannelGroup("probability", 1),),
    }
    builder, seen = one_cell(groups, numbers)
    expected = torch.tensor([0.25, 0.125, 0.125, 0.15, 0.9])
    torch.testing.assert_close(builder.predicted(seen, None).channels_BCHW.flatten(), expected)
    # The other task's label is shown and invalid here: the mask is zero.
    masked = replace(seen, visible=seen.visible | {"layers": torch.ones(1, dtype=torch.bool)})
    assert (builder.predicted(masked, None).channels_BCHW == 0).all()


def test_labels_are_gated_by_themselves():
    builder = StackBuilder(bev_spec())
    seen = view(bev_spec(), {"boxes": [True, True], "layers": [True, False]})
    label = seen.labels["boxes"]
    gate = label[:, :7].amax(1, keepdim=True)
    got = builder.completed(seen, noise()).channels_BCHW
    torch.testing.assert_close(got[:, :7], label[:, :7])
    torch.testing.assert_close(got[:, 7:8], phi(label[:, 7:8], 1.5, 0.4) * gate)
    torch.testing.assert_close(got[:, 9:11], (label[:, 9:11] + 1) / 2 * gate)


def test_classes_are_drawn_hard_with_independent_noise():
    seen, builder, generator = view(spec(), NONE), StackBuilder(spec()), noise()
    first = builder.predicted(seen, generator).channels_BCHW[:, SEMANTICS]
    second = builder.completed(seen, generator).channels_BCHW[:, SEMANTICS]
    for drawn in (first, second):
        assert torch.equal(drawn.sum(1), torch.ones_like(drawn[:, 0]))
        assert set(drawn.unique().tolist()) == {0.0, 1.0}
    different = (first != second).any(1).float().mean()
    assert 0.3 < different < 1
    again = builder.predicted(seen, noise()).channels_BCHW[:, SEMANTICS]
    assert torch.equal(first, again)


@pytest.mark.parametrize("name", ["predicted", "completed"])
def test_gradient_reaches_predictions_of_unlabelled_tasks_only(name):
    seen, builder = view(spec(), ONE_LABEL), StackBuilder(spec())
    got = getattr(builder, name)(seen, noise())
    weights = torch.randn(got.channels_BCHW.shape, generator=noise(1))
    (got.channels_BCHW * weights).sum().backward()
    for own, task in enumerate(ONE_LABEL):
        for sample in range(4):
            reached = bool((seen.predictions[task].grad[sample] != 0).any())
            assert reached == (sample != own), (task, sample)


@pytest.mark.parametrize(
    ("group", "output", "target", "expected"),
    [
        # A one-hot target: both channels cost, one entry is not zero.
        (ChannelGroup("classes", 2), [0.0, 2.0], [1.0, 0.0], math.log(2) + math.log(1 + math.exp(2.0))),
        (
            ChannelGroup("probability", 2),
            [0.0, 0.0],
            [0.5, 0.25],
            math.log(2),
        ),
        (ChannelGroup("positive", 1, (2.0,), (1.0,)), [0.0], [3.0], 0.8413447 - 0.5),
        # Scaled outputs point the same way; two of the target's entries are not zero.
        (ChannelGroup("direction", 3), [6.0, 8.0, 0.0], [0.6, 0.8, 0.0], 0.0),
        (ChannelGroup("direction", 3), [0.0, 0.0, 5.0], [0.6, 0.8, 0.0], 0.5),
    ],
)
def test_error_of_one_cell(group, output, target, expected):
    builder = StackBuilder(CanvasSpec({"task": (group,)}, 4))
    cells = [torch.tensor(row)[None, :, None, None] for row in (output, target)]
    loss = builder.reconstruction_loss(*cells, torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(loss, torch.tensor([expected]))


def test_error_is_summed_over_the_mask_and_divided_by_the_whole_target():
    builder = StackBuilder(CanvasSpec({"task": (ChannelGroup("positive", 1, (2.0,), (1.0,)),)}, 4))
    target = torch.tensor([2.0, 3.0, 1.0, 0.0]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    loss = builder.reconstruction_loss(torch.zeros(1, 1, 2, 2), target, mask)
    torch.testing.assert_close(loss, torch.tensor([(0.0 + 0.8413447 - 0.5) / 3]))


def test_gated_groups_count_inside_their_gate_only():
    groups = (
        ChannelGroup("probability", 1),
        ChannelGroup("measure", 1, (0.0,), (1.0,)),
        ChannelGroup("signed", 1),
    )
    builder = StackBuilder(CanvasSpec({"task": groups}, 4))
    # Cells: present, almost absent, absent.
    target = torch.tensor([[1.0, 0.09, 0.0], [0.7, 0.05, 0.0], [0.2, 0.04, 0.0]]).view(1, 3, 1, 3)
    output = torch.zeros(1, 3, 1, 3)
    loss = builder.reconstruction_loss(output, target, torch.ones(1, 1, 1, 3))
    probability = 3 * math.log(2) / 2
    torch.testing.assert_close(loss, torch.tensor([probability + 0.2 + 0.3]))


def test_empty_targets_give_a_mean_not_an_explosion():
    groups = (
        ChannelGroup("probability", 2),
        ChannelGroup("measure", 1, (0.0,), (1.0,)),
        ChannelGroup("signed", 1),
    )
    builder = StackBuilder(CanvasSpec({"task": groups}, 4))
    zeros, ones = torch.zeros(1, 4, 8, 8), torch.ones(1, 1, 8, 8)
    torch.testing.assert_close(builder.reconstruction_loss(zeros, zeros, ones), torch.tensor([math.log(2)]))
    assert builder.reconstruction_loss(zeros, zeros, 0 * ones) == 0


def test_a_perfect_reconstruction_of_the_dense_tasks():
    seen, builder = view(spec(), ALL, requires_grad=False), StackBuilder(spec())
    got, mask = builder.completed(seen, noise()), builder.mask(seen)
    channels = got.channels_BCHW.clamp(1e-7, 1 - 1e-7)
    output = torch.cat([torch.logit(channels[:, :6]), got.values_BCHW[:, NORMALS]], 1)
    perfect = builder.reconstruction_loss(output, got.values_BCHW, mask)
    assert (perfect < 1e-4).all()
    worse = builder.reconstruction_loss(output.flip(3), got.values_BCHW, mask)
    assert (worse > 1).all()


def test_error_of_normals_is_one_minus_cosine_over_three():
    seen, builder = view(spec(), ALL, requires_grad=False), StackBuilder(spec())
    values, mask = builder.completed(seen, noise()).values_BCHW, builder.mask(seen)
    output = torch.randn(values.shape, generator=noise(3))
    only = StackBuilder(CanvasSpec({"normals": (ChannelGroup("direction", 3),)}, 4))
    loss = only.reconstruction_loss(output[:, NORMALS], values[:, NORMALS], mask)
    cosine = F.cosine_similarity(output[:, NORMALS], values[:, NORMALS], dim=1)[:, None]
    expected = ((1 - cosine) * mask).sum((1, 2, 3)) / (3 * seen.valid["normals"].sum((1, 2, 3)))
    torch.testing.assert_close(loss, expected)
