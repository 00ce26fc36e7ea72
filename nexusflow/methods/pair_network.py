"""The mapping network of MTPSL: images of any task into a joint space of two tasks.

Letters: N images, C channels, P ordered pairs of tasks, H × W cells of an image, h × w cells of a latent.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.core.errors import UserError
from nexusflow.methods.dense_ops import initialise, normalisation
from nexusflow.methods.image_norm import ImageNorm

__all__ = ["FilmUnit", "PairNetwork", "PairNorm", "pair_code"]

PairNorm = Literal["batch", "group", "image"]


def pair_code(source: int, target: int, tasks: int) -> int:
    """Number an ordered pair of tasks, row by row in the matrix of all pairs without its diagonal.

    Args:
        source: number of the task whose prediction is mapped.
        target: number of the other task, whose label is mapped.
        tasks: how many tasks there are.

    Returns:
        The number, from 0 to tasks * (tasks - 1) - 1.
    """
    return source * (tasks - 1) + target - (target > source)


def _normalisation(channels: int, norm: PairNorm) -> nn.Module:
    if norm == "image":
        return ImageNorm(channels)
    return normalisation(channels, norm)


class FilmUnit(nn.Module):
    """3×3 convolution, normalisation, scale and shift of the image's pair, ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
        pairs: ordered pairs of tasks; every one has its scale and shift of every channel.
        norm: kind of normalisation.

    Source: feature-wise linear modulation (Perez et al., AAAI 2018), as MTPSL places it.
    """

    def __init__(self, inputs: int, outputs: int, pairs: int, norm: PairNorm) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = _normalisation(outputs, norm)
        self.gamma_CP = nn.Parameter(torch.ones(outputs, pairs))
        self.beta_CP = nn.Parameter(torch.zeros(outputs, pairs))

    def forward(self, x_NCHW: Tensor, codes_N: Tensor) -> Tensor:
        """Computes the unit's features.

        Args:
            x_NCHW: features.
            codes_N: number of each image's pair, int64.

        Returns:
            Features of the same height and width.
        """
        x = self.convolution(x_NCHW)
        if isinstance(self.norm, ImageNorm):
            tables = (table_CP.t()[codes_N] for table_CP in (self.gamma_CP, self.beta_CP))
            return self.norm.modulated(x, *tables).relu_()
        x = self.norm(x)
        # In the precision of the features, so that autocast does not widen the network's largest tensors.
        gamma_NC11, beta_NC11 = (
            table_CP.to(x.dtype).t()[codes_N][:, :, None, None] for table_CP in (self.gamma_CP, self.beta_CP)
        )
        return torch.addcmul(beta_NC11, gamma_NC11, x).relu_()


class PairNetwork(nn.Module):
    """One stem per task, then an encoder that all pairs share, up to the scales and shifts of each pair.

    All images of a call pass together. With norm "batch" their statistics mix, images of all tasks, pairs,
    predictions and labels alike, whereas the original passes one image at a time; norm "image" computes what
    the original computes, since BatchNorm over one image is normalisation by that image's own statistics.

    Args:
        channels: channels of the images of every task, by task.
        widths: channels of the levels; the last one's are those of the latents.
        extra_blocks: convolutions per level after its first one.
        norm: kind of normalisation.

    Source: the encoder of SegNet, as in the mapping function of MTPSL.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        widths: Sequence[int],
        extra_blocks: Sequence[int],
        norm: PairNorm = "batch",
    ) -> None:
        super().__init__()
        self.stems = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.Conv2d(count, widths[0], 3, padding=1), _normalisation(widths[0], norm), nn.ReLU(True)
                )
                for task, count in channels.items()
            }
        )
        pairs = len(channels) * (len(channels) - 1)
        self.levels = nn.ModuleList()
        inputs = widths[0]
        for width, extra in zip(widths, extra_blocks, strict=True):
            sizes = [inputs, *[width] * extra]
            self.levels.append(nn.ModuleList(FilmUnit(size, width, pairs, norm) for size in sizes))
            inputs = width
        initialise(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def film_parameters(self) -> list[nn.Parameter]:
        """Returns the scales and shifts of the pairs."""
        units = [unit for unit in self.modules() if isinstance(unit, FilmUnit)]
        return [table for unit in units for table in (unit.gamma_CP, unit.beta_CP)]

    def forward(self, images: Mapping[str, Tensor], codes_N: Tensor) -> Tensor:
        """Maps images of any tasks into the joint spaces of their pairs.

        Args:
            images: task → (n, C, H, W), n its own for each task, height and width the same for all.
            codes_N: number of each image's pair, int64, in the order of `images`.

        Returns:
            Latents (N, C, h, w) in the order of `images`.

        Raises:
            UserError: if the images are too small to be halved by every level.
        """
        height, width = next(iter(images.values())).shape[2:]
        if min(height, width) < 2 ** len(self.levels):
            raise UserError(
                f"method.widths: {len(self.levels)} levels cannot halve images of {height} x {width} cells; "
                "name fewer widths"
            )
        x = torch.cat([self.stems[task](image) for task, image in images.items()])
        for level in self.levels:
            for unit in level:  # type: ignore[attr-defined]
                x = unit(x, codes_N)
            x = F.max_pool2d(x, 2)
        return x
