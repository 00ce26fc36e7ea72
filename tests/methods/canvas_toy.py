"""Random views of tasks as images, for tests of the methods that look at them."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.core.views import CanvasSpec, ChannelGroup, DenseView

FEATURES = 8


def spec(classes: int = 5, feature_channels: int = FEATURES) -> CanvasSpec:
    """Three dense tasks: classes, lengths, directions."""
    groups = {
        "semantics": (ChannelGroup("classes", classes),),
        "depth": (ChannelGroup("positive", 1, mean=(2.5,), std=(1.5,)),),
        "normals": (ChannelGroup("direction", 3),),
    }
    return CanvasSpec(groups, feature_channels)


def bev_spec() -> CanvasSpec:
    """Two tasks seen from above: boxes, and layers of a map."""
    boxes = (
        ChannelGroup("probability", 7),
        ChannelGroup("measure", 2, mean=(1.5, 0.6), std=(0.4, 0.2)),
        ChannelGroup("signed", 2),
    )
    return CanvasSpec({"boxes": boxes, "layers": (ChannelGroup("probability", 4),)}, FEATURES)


def _prediction(group: ChannelGroup, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    batch, height, width = shape
    x = torch.randn(batch, group.channels, height, width, generator=generator)
    if group.kind == "classes":
        return x.log_softmax(1)
    if group.kind == "direction":
        return F.normalize(x, dim=1)
    if group.kind == "positive":
        return x.abs() + 0.1
    if group.kind == "measure":
        return x * torch.tensor(group.std)[:, None, None] + torch.tensor(group.mean)[:, None, None]
    return x.sigmoid() if group.kind == "probability" else x.tanh()


def _label(group: ChannelGroup, prediction: Tensor, valid: Tensor) -> Tensor:
    if group.kind == "classes":
        hot = F.one_hot(prediction.argmax(1), group.channels).movedim(3, 1).float()
        return hot * valid
    return (prediction > 0.8).float() if group.kind == "probability" else prediction * valid


def view(
    spec: CanvasSpec,
    visible: Mapping[str, Sequence[bool]],
    seed: int = 0,
    requires_grad: bool = True,
    size: tuple[int, int] = (16, 16),
) -> DenseView:
    """Draw a view whose predictions and features are leaves of the graph; a tenth of the cells is invalid."""
    generator = torch.Generator().manual_seed(seed)
    shown = {task: torch.tensor(list(flags)) for task, flags in visible.items()}
    batch = len(next(iter(shown.values())))
    predictions, labels, valid = {}, {}, {}
    for task, groups in spec.groups.items():
        shape = (batch, *size)
        where = torch.rand(batch, 1, *size, generator=generator) > 0.1
        valid[task] = where & shown[task][:, None, None, None]
        truth = [_label(group, _prediction(group, shape, generator), where) for group in groups]
        labels[task] = torch.cat(truth, 1) * shown[task][:, None, None, None]
        guess = torch.cat([_prediction(group, shape, generator) for group in groups], 1)
        predictions[task] = guess.requires_grad_(requires_grad)
    features = torch.randn(batch, spec.feature_channels, size[0] // 4, size[1] // 4, generator=generator)
    return DenseView(predictions, labels, valid, shown, features.requires_grad_(requires_grad))
