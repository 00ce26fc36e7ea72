"""The SegNet trunk that all tasks share, with what MTAN's attention reads of it.

Letters: B images, C channels of a level, H × W pixels of a level.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nexusflow.dense.blocks import conv_block, pool, unpool
from nexusflow.dense.config import DenseModelConfig

__all__ = ["SegNetTrunk", "TrunkFeatures"]

LEVELS = 5


@dataclass
class TrunkFeatures:
    """What the trunk computed, finest level first.

    Attributes:
        encoder_first: output of each level's first block.
        encoder_last: output of each level's last block, before pooling.
        unpooled: input of each decoder level, after unpooling.
        decoder_last: output of each decoder level.
        bottleneck_BCHW: pooled output of the coarsest level.
    """

    encoder_first: list[Tensor]
    encoder_last: list[Tensor]
    unpooled: list[Tensor]
    decoder_last: list[Tensor]
    bottleneck_BCHW: Tensor


def _extra(width: int, count: int, config: DenseModelConfig) -> nn.Sequential:
    return nn.Sequential(*(conv_block(width, width, config) for _ in range(count)))


class SegNetTrunk(nn.Module):
    """Encoder with five poolings and a mirrored decoder that unpools to the places of the maxima.

    Args:
        config: sizes.

    Source: the convolutions of VGG-16, as in the networks of MTAN and MTPSL.
    """

    def __init__(self, config: DenseModelConfig) -> None:
        super().__init__()
        widths, extra = config.widths, config.extra_blocks
        inputs = (3, *widths[:-1])
        outputs = (widths[0], *widths[:-1])
        self.encoder_first = nn.ModuleList(
            conv_block(inputs[level], widths[level], config) for level in range(LEVELS)
        )
        self.encoder_rest = nn.ModuleList(
            _extra(widths[level], extra[level], config) for level in range(LEVELS)
        )
        self.decoder_first = nn.ModuleList(
            conv_block(widths[level], outputs[level], config) for level in range(LEVELS)
        )
        self.decoder_rest = nn.ModuleList(
            _extra(outputs[level], extra[level], config) for level in range(LEVELS)
        )

    def encoder_modules(self) -> list[nn.Module]:
        """Returns the parts before the bottleneck."""
        return [self.encoder_first, self.encoder_rest]

    def forward(self, images_B3HW: Tensor) -> TrunkFeatures:
        """Runs encoder and decoder.

        Args:
            images_B3HW: RGB in [0, 1]; height and width are multiples of 32 pixels.

        Returns:
            Features of all levels.
        """
        first, last, places = [], [], []
        x = images_B3HW
        for level in range(LEVELS):
            first.append(self.encoder_first[level](x))
            last.append(self.encoder_rest[level](first[-1]))
            x, where = pool(last[-1])
            places.append(where)
        bottleneck = x
        unpooled: list[Tensor] = []
        decoded: list[Tensor] = []
        for level in reversed(range(LEVELS)):
            height, width = last[level].shape[2:]
            unpooled.insert(0, unpool(x, places[level], height, width))
            x = self.decoder_rest[level](self.decoder_first[level](unpooled[0]))
            decoded.insert(0, x)
        return TrunkFeatures(first, last, unpooled, decoded, bottleneck)
