"""Training by the labels that are there and by one latent of all tasks together (JTR).

Letters: B samples, C channels of the stack, F channels of the latent, H × W cells, h × w cells of the latent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from nexusflow.alignment.taps import Tap
from nexusflow.core.errors import UserError
from nexusflow.core.views import DenseView, ViewPlan
from nexusflow.methods.base import BuildContext, Method
from nexusflow.methods.dense_ops import cosine_distance
from nexusflow.methods.joint_network import JointNetwork
from nexusflow.methods.jtr_config import JTRConfig
from nexusflow.methods.jtr_stack import StackBuilder

__all__ = ["JTRMethod", "build"]


class JTRMethod(Method):
    """Pulls the latent of all predictions towards that of the labels, completed by predictions.

    The first view teaches the model and leaves the joint network alone; the second teaches the joint network
    and leaves the model alone. A sample that shows all its labels teaches the model nothing.

    Args:
        network: the joint network.
        stacks: builds its inputs.
        config: weights and options.
        seed: seed of the noise.

    Source: Nishi et al., Joint-Task Regularization for Partially Labeled Multi-Task Learning, CVPR 2024.
    """

    name = "jtr"
    view_plan: ClassVar[ViewPlan | None] = ViewPlan(extra=2, photometric=True)

    def __init__(self, network: JointNetwork, stacks: StackBuilder, config: JTRConfig, seed: int) -> None:
        super().__init__()
        self.network = network
        self.stacks = stacks
        self.config = config
        self.seed = seed
        self._latents: dict[str, Tensor] = {}

    def extra_losses(
        self,
        taps: Mapping[str, Tap],
        outputs: Mapping[str, Any],
        visible: Mapping[str, Tensor],
        step: int,
        views: Sequence[DenseView] = (),
    ) -> dict[str, Tensor]:
        """Returns ``jtr/distance`` and ``jtr/reconstruction``; see `Method`."""
        first, second = views
        seed = np.random.SeedSequence([self.seed, step]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed))
        distance1 = self._distance_for_model(first, generator)
        distance2, reconstruction = self._losses_for_network(second, generator)
        config = self.config
        distance = distance1 + config.reconstruction_weight * distance2
        parts = {
            "distance": distance,
            "reconstruction": reconstruction,
            "distance_view1": distance1,
            "distance_view2": distance2,
        }
        self.unweighted = {f"{self.name}/{part}": loss.detach() for part, loss in parts.items()}
        ramp = min(1.0, step / config.ramp_steps) if config.ramp_steps else 1.0
        return {
            f"{self.name}/distance": config.distance_weight * ramp * distance,
            f"{self.name}/reconstruction": config.reconstruction_weight * ramp * reconstruction,
        }

    def _distance_for_model(self, view: DenseView, generator: torch.Generator) -> Tensor:
        """Distance of both latents of the first view; the joint network is frozen."""
        # Two draws of the noise: the classes of unlabelled tasks differ between the stacks.
        predicted = self.stacks.predicted(view, generator)
        completed = self.stacks.completed(view, generator)
        distance_B = cosine_distance(
            self.network.encode_frozen(completed.channels_BCHW),
            self.network.encode_frozen(predicted.channels_BCHW),
        )
        # Both stacks of a sample with all labels are constants, but BatchNorm mixes the samples.
        complete_B = torch.stack([view.visible[task] for task in self.stacks.tasks]).all(0)
        return torch.where(complete_B, distance_B.detach(), distance_B).mean()

    def _losses_for_network(self, view: DenseView, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Distance of both latents of the second view and the reconstruction; the model is left alone."""
        with torch.no_grad():
            completed = self.stacks.completed(view, generator)
            predicted = self.stacks.predicted(view, None)
            mask_B1HW = self.stacks.mask(view)
        completed_BFhw, completed_BCHW = self.network(completed.channels_BCHW)
        predicted_BFhw, predicted_BCHW = self.network(predicted.channels_BCHW)
        self._latents = {"label_latent_std": completed_BFhw.detach(), "latent_std": predicted_BFhw.detach()}
        # The original hands over the squashed predictions here, and squashes depths again.
        quirky = self.config.faithful_quirks
        values_BCHW = predicted.channels_BCHW if quirky else predicted.values_BCHW
        with torch.autocast(mask_B1HW.device.type, enabled=False):
            loss = self.stacks.reconstruction_loss
            reconstruction_B = loss(completed_BCHW.float(), completed.values_BCHW, mask_B1HW)
            reconstruction_B = reconstruction_B + loss(predicted_BCHW.float(), values_BCHW, mask_B1HW)
        return cosine_distance(completed_BFhw, predicted_BFhw).mean(), reconstruction_B.mean()

    def monitors(self) -> dict[str, float]:
        """Returns the spread of the last latents, zero when collapsed, and the distances before weighting."""
        report = {
            f"{self.name}/{key}": float(latent_BFhw.float().std((0, 2, 3), correction=0).mean())
            for key, latent_BFhw in self._latents.items()
        }
        distances = ("distance_view1", "distance_view2")
        return report | {
            name: float(loss) for name, loss in self.unweighted.items() if name.endswith(distances)
        }


def build(config: JTRConfig, context: BuildContext) -> JTRMethod:
    """Builds the joint network for a suite's canvases; see `nexusflow.methods.build.build_method`.

    Args:
        config: the method's section.
        context: what the suite offers, and the seed.

    Raises:
        UserError: if the suite does not show its tasks as images, or shows fewer than two.
    """
    if context.canvases is None:
        raise UserError(
            "method.name: jtr compares predictions with labels as images, which the suite "
            f"{context.suite} does not offer; choose another method"
        )
    stacks = StackBuilder(context.canvases)
    if len(stacks.tasks) < 2:
        tasks = ", ".join(stacks.tasks) or "none"
        raise UserError(
            f"method.name: jtr couples two or more tasks, but the suite {context.suite} has {tasks}; "
            "add a task to the suite or choose another method"
        )
    network = JointNetwork(stacks.channels, config.widths, config.extra_blocks, config.norm)
    return JTRMethod(network, stacks, config, context.seed)
