"""The reference design of NYUv2 training, written plainly: fp32, default memory layout, a loop over images.

Everything is computed as NexusFlow computes it, so losses and gradients agree up to rounding. Parameters are
declared in the same order, so weights can be copied one by one.

Letters: B images, K classes, T tasks, C channels, P ordered pairs of tasks, H × W pixels, h × w cells of a
latent; 1 stands for one image.

Source: the networks and training steps of MTAN and MTPSL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.data.nyuv2.batch import DenseBatch

__all__ = ["TASKS", "PlainMapping", "PlainSegNet", "PlainStep"]

TASKS = ("segmentation", "depth", "normal")
Noise = Callable[[Tensor], Tensor]


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def blocks(width: int, count: int) -> nn.Sequential:
    """Several blocks of one width."""
    return nn.Sequential(*(block(width, width) for _ in range(count)))


class PlainSegNet(nn.Module):
    """Split SegNet: encoder, decoder that unpools to the places of the maxima, three heads."""

    def __init__(self, widths: Sequence[int], extra: Sequence[int], classes: int) -> None:
        super().__init__()
        inputs, outputs = (3, *widths[:-1]), (widths[0], *widths[:-1])
        self.down = nn.ModuleList(block(a, b) for a, b in zip(inputs, widths, strict=True))
        self.down_rest = nn.ModuleList(blocks(a, n) for a, n in zip(widths, extra, strict=True))
        self.up = nn.ModuleList(block(a, b) for a, b in zip(widths, outputs, strict=True))
        self.up_rest = nn.ModuleList(blocks(a, n) for a, n in zip(outputs, extra, strict=True))
        self.head = nn.ModuleList(nn.Conv2d(widths[0], widths[0], 3, padding=1) for _ in TASKS)
        self.last = nn.ModuleList(nn.Conv2d(widths[0], n, 1) for n in (classes, 1, 3))
        self.logsigma = nn.Parameter(torch.full((len(TASKS),), -0.5))

    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Images (B, 3, H, W) to predictions by task and the bottleneck."""
        kept = []
        for first, rest in zip(self.down, self.down_rest, strict=True):
            x, places = F.max_pool2d(rest(first(x)), 2, return_indices=True)
            kept.append(places)
        bottleneck = x
        for first, rest, places in reversed(list(zip(self.up, self.up_rest, kept, strict=True))):
            x = rest(first(F.max_unpool2d(x, places, (2, 2))))
        raw = [last(head(x)) for head, last in zip(self.head, self.last, strict=True)]
        predictions = (F.log_softmax(raw[0], 1), raw[1], raw[2] / raw[2].norm(dim=1, keepdim=True))
        return dict(zip(TASKS, predictions, strict=True)), bottleneck


class Film(nn.Module):
    """Convolution and batch normalisation, scaled and shifted by the pair of tasks."""

    def __init__(self, inputs: int, outputs: int, pairs: int) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.gamma_CP = nn.Parameter(torch.ones(outputs, pairs))
        self.beta_CP = nn.Parameter(torch.zeros(outputs, pairs))

    def forward(self, x_1CHW: Tensor, pair: int) -> Tensor:
        """Features of one image."""
        gamma, beta = (table[:, pair].view(1, -1, 1, 1) for table in (self.gamma_CP, self.beta_CP))
        return F.relu(gamma * self.norm(self.convolution(x_1CHW)) + beta)


class PlainMapping(nn.Module):
    """MTPSL's mapping network, one image at a time."""

    def __init__(self, widths: Sequence[int], extra: Sequence[int], classes: int) -> None:
        super().__init__()
        self.stems = nn.ModuleList(block(channels, widths[0]) for channels in (classes, 1, 3))
        pairs = len(TASKS) * (len(TASKS) - 1)
        self.levels = nn.ModuleList()
        for inputs, width, count in zip((widths[0], *widths[:-1]), widths, extra, strict=True):
            self.levels.append(nn.ModuleList(Film(size, width, pairs) for size in (inputs, *[width] * count)))

    def forward(self, x_1CHW: Tensor, task: int, pair: int) -> Tensor:
        """Latent (1, C, h, w) of a prediction or label of a task."""
        x_1CHW = self.stems[task](x_1CHW)
        for level in self.levels:
            for unit in level:  # type: ignore[attr-defined]
                x_1CHW = unit(x_1CHW, pair)
            x_1CHW = F.max_pool2d(x_1CHW, 2)
        return x_1CHW


def uniform_noise(log_1KHW: Tensor) -> Tensor:
    """Uniform random numbers for the draw of classes."""
    return torch.rand(log_1KHW.shape)


def network_input(task: str, x_1CHW: Tensor, noise: Noise | None) -> Tensor:
    """What the mapping network sees of a prediction (with noise) or label (without)."""
    if task == "segmentation":
        if noise is None:
            return x_1CHW
        gumbel = -torch.log(-torch.log(noise(x_1CHW).clamp(1e-10, 1 - 1e-7)))
        soft = F.softmax(x_1CHW + gumbel, 1)
        hard = F.one_hot(soft.argmax(1), soft.shape[1]).permute(0, 3, 1, 2)
        return hard - soft.detach() + soft
    return x_1CHW / (x_1CHW.max() + 1e-12) if task == "depth" else (x_1CHW + 1) / 2


def cosine_distance(a_1Chw: Tensor, b_1Chw: Tensor) -> Tensor:
    """One minus the mean cosine over cells."""
    return 1 - F.cosine_similarity(a_1Chw, b_1Chw, dim=1, eps=1e-12).mean()


def task_loss(task: str, prediction_1CHW: Tensor, batch: DenseBatch, image: int) -> Tensor:
    """Loss of one task of one image, over valid pixels."""
    if task == "segmentation":
        return F.nll_loss(prediction_1CHW, batch.labels_BHW[image : image + 1], ignore_index=-1)
    if task == "depth":
        truth = batch.depth_B1HW[image : image + 1]
        valid = (truth != 0).float()
        return (torch.abs(prediction_1CHW - truth) * valid).sum() / valid.sum()
    truth = batch.normals_B3HW[image : image + 1]
    valid = (truth != 0).any(1).float()
    return 1 - ((prediction_1CHW * truth).sum(1) * valid).sum() / valid.sum()


def label_of(task: str, batch: DenseBatch, image: int, classes: int) -> Tensor:
    """A label as an image (1, C, H, W); zeros where there is none."""
    if task == "segmentation":
        label_1HW = batch.labels_BHW[image : image + 1]
        one_hot = F.one_hot(label_1HW.clamp(min=0), classes).permute(0, 3, 1, 2)
        return one_hot.float() * (label_1HW != -1)[:, None]
    return (batch.depth_B1HW if task == "depth" else batch.normals_B3HW)[image : image + 1]


class PlainStep:
    """One training step: all views through the network at once, then image after image, then Adam.

    Args:
        network: the model.
        mapping: MTPSL's mapping network; None for supervised training, which needs one view.
        rate: learning rate; ten times as high for scales and shifts of the pairs.
        noise: uniform random numbers of a shape; replaced where another implementation's are to be used.
    """

    def __init__(
        self, network: PlainSegNet, mapping: PlainMapping | None, rate: float, noise: Noise = uniform_noise
    ) -> None:
        self.network, self.mapping, self.noise = network, mapping, noise
        parameters = [*network.parameters(), *(mapping.parameters() if mapping else ())]
        film = [
            p
            for m in (mapping.modules() if mapping else ())
            if isinstance(m, Film)
            for p in m._parameters.values()
        ]
        fast = {id(parameter) for parameter in film}
        slow = [parameter for parameter in parameters if id(parameter) not in fast]
        groups: list[dict[str, Any]] = [
            {"params": slow},
            *([{"params": film, "lr": 10 * rate}] if film else []),
        ]
        self.optimizer = torch.optim.Adam(groups, lr=rate)

    def losses(self, views: Sequence[DenseBatch]) -> dict[str, Tensor]:
        """The losses of a batch by task, and under "consistency" that of MTPSL, weighted."""
        first, last = views[0], views[-1]
        size = len(first.images_B3HW)
        outputs, bottleneck = self.network(torch.cat([view.images_B3HW for view in views]))
        losses = {task: torch.zeros(()) for task in TASKS}
        consistency = torch.zeros(())
        for image in range(size):
            labelled = [task for task in TASKS if first.visible[task][image]]
            for task in labelled:
                one = outputs[task][image : image + 1]
                losses[task] = losses[task] + task_loss(task, one, first, image) / size
            if self.mapping is not None:
                row = image + size * (len(views) - 1)
                seen = {task: outputs[task][row : row + 1] for task in TASKS}
                pairs = self.consistency(seen, bottleneck[row : row + 1], last, image, labelled)
                consistency = consistency + 2.0 * pairs / size
        return losses if self.mapping is None else {**losses, "consistency": consistency}

    def consistency(
        self,
        outputs: dict[str, Tensor],
        features_1Chw: Tensor,
        batch: DenseBatch,
        image: int,
        labelled: Sequence[str],
    ) -> Tensor:
        """MTPSL's loss of one image, over its pairs of an unlabelled and a labelled task."""
        assert self.mapping is not None
        total, classes = torch.zeros(()), outputs["segmentation"].shape[1]
        hidden = [task for task in TASKS if task not in labelled] or labelled
        anchor = features_1Chw.detach()
        for source in hidden:
            for target in labelled:
                if source == target:
                    continue
                s, t = TASKS.index(source), TASKS.index(target)
                pair = s * (len(TASKS) - 1) + t - (t > s)
                prediction = network_input(source, outputs[source], self.noise)
                label = network_input(target, label_of(target, batch, image, classes), None)
                a, b = self.mapping(prediction, s, pair), self.mapping(label, t, pair)
                anchored = cosine_distance(a, anchor) + cosine_distance(b, anchor)
                total = total + cosine_distance(a, b) + 0.5 * anchored
        return total

    def __call__(self, views: Sequence[DenseBatch]) -> dict[str, float]:
        """Train on one batch; gives its losses."""
        losses = self.losses(views)
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()
        return {name: loss.item() for name, loss in losses.items()}
