"""The auto-encoder of JTR: all tasks' images as one stack in, one latent, the stack out.

Letters: B samples, C channels of the stack, D channels of a level, F channels of the latent, H × W cells of
the stack, P × Q cells of a level, p × q half as many, h × w cells of the latent.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nexusflow.core.errors import UserError
from nexusflow.methods.dense_ops import Norm, initialise, normalisation

__all__ = ["JointNetwork", "unpool"]


def unpool(pooled_BDpq: Tensor, places_BDpq: Tensor, size: Sequence[int]) -> Tensor:
    """Puts maxima back to where they were found, zeros elsewhere.

    The windows of the pooling do not overlap, so each place is written once and the result is deterministic.

    Args:
        pooled_BDpq: features.
        places_BDpq: places in the flattened finer level, as the pooling returns them.
        size: cells (P, Q) of the finer level; an odd last row or column, which no window saw, stays zero.

    Returns:
        Features (B, D, P, Q).
    """
    height, width = size
    flat = pooled_BDpq.new_zeros((*pooled_BDpq.shape[:2], height * width))
    flat = flat.scatter(2, places_BDpq.flatten(2), pooled_BDpq.flatten(2))
    return flat.unflatten(2, (height, width))


def _level(inputs: int, outputs: int, extra: int, norm: Norm) -> nn.Sequential:
    """Builds 1 + `extra` blocks of 3×3 convolution, normalisation, ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise((inputs, *[outputs] * (1 + extra))):
        layers += [nn.Conv2d(before, after, 3, padding=1), normalisation(after, norm), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class _Encoder(nn.Module):
    """Levels of convolutions, each followed by a pooling whose places are kept."""

    def __init__(self, channels: int, widths: Sequence[int], extra_blocks: Sequence[int], norm: Norm) -> None:
        super().__init__()
        inputs = (channels, *widths[:-1])
        self.levels = nn.ModuleList(
            _level(before, after, extra, norm)
            for before, after, extra in zip(inputs, widths, extra_blocks, strict=True)
        )

    def forward(self, stack_BCHW: Tensor) -> tuple[Tensor, list[tuple[Tensor, Sequence[int]]]]:
        """Returns the latent, and of each level the places of its maxima and its size before pooling."""
        x = stack_BCHW
        pooling: list[tuple[Tensor, Sequence[int]]] = []
        for level in self.levels:
            x = level(x)
            size = x.shape[2:]
            x, places = F.max_pool2d(x, 2, return_indices=True)
            pooling.append((places, size))
        return x, pooling


class JointNetwork(nn.Module):
    """Encodes stacks of all tasks' images and reconstructs them.

    Args:
        channels: channels of the stack.
        widths: channels of the encoder's levels; the decoder mirrors them.
        extra_blocks: convolutions of each level after its first.
        norm: normalisation behind every convolution but those of the head.

    Source: JTR's network, a SegNet with one head; its unused BatchNorm over the stack is left out.
    """

    def __init__(self, channels: int, widths: Sequence[int], extra_blocks: Sequence[int], norm: Norm) -> None:
        super().__init__()
        self.encoder = _Encoder(channels, widths, extra_blocks, norm)
        outputs = (widths[0], *widths[:-1])
        self.decoder = nn.ModuleList(
            _level(before, after, extra, norm)
            for before, after, extra in zip(widths, outputs, extra_blocks, strict=True)
        )
        self.head = nn.Sequential(
            nn.Conv2d(widths[0], widths[0], 3, padding=1), nn.Conv2d(widths[0], channels, 1)
        )
        initialise(self)

    def _require_cells(self, stack_BCHW: Tensor) -> None:
        levels = len(self.encoder.levels)
        height, width = stack_BCHW.shape[2:]
        if min(height, width) < 2**levels:
            raise UserError(
                f"method.widths: {levels} levels need canvases of {2**levels} cells per side or more, "
                f"but these have {height} x {width}; name fewer levels."
            )

    def encode(self, stack_BCHW: Tensor) -> Tensor:
        """Computes the latent.

        Args:
            stack_BCHW: a stack.

        Returns:
            Latent (B, F, h, w).

        Raises:
            UserError: if the stack has too few cells for the poolings.
        """
        self._require_cells(stack_BCHW)
        return self.encoder(stack_BCHW)[0]

    def encode_frozen(self, stack_BCHW: Tensor) -> Tensor:
        """Computes the latent as a copy of the current encoder would that is thrown away afterwards.

        The same modules run in the same mode on the same numbers, so the values are those of a deep copy. The
        weights are detached, so the gradient reaches the stack but no weight; what BatchNorm writes goes to
        clones of its buffers. Unlike a deep copy this needs no second set of weights.

        Args:
            stack_BCHW: a stack, with gradient.

        Returns:
            Latent (B, F, h, w).

        Raises:
            UserError: if the stack has too few cells for the poolings.

        Source: JTR makes the copy afresh at every call; it is no momentum teacher.
        """
        self._require_cells(stack_BCHW)
        state = {name: weight.detach() for name, weight in self.encoder.named_parameters()}
        state |= {name: buffer.clone() for name, buffer in self.encoder.named_buffers()}
        return functional_call(self.encoder, state, (stack_BCHW,))[0]

    def forward(self, stack_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes and reconstructs.

        Args:
            stack_BCHW: a stack.

        Returns:
            Latent (B, F, h, w) and reconstruction (B, C, H, W) without activation.

        Raises:
            UserError: if the stack has too few cells for the poolings.
        """
        self._require_cells(stack_BCHW)
        latent, pooling = self.encoder(stack_BCHW)
        x = latent
        for level, (places, size) in zip(reversed(self.decoder), reversed(pooling), strict=True):
            x = level(unpool(x, places, size))
        return latent, self.head(x)
