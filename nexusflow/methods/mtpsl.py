"""Training by the labels that are there, each also guiding the predictions of the tasks without labels.

Letters: B samples, N images of one task or of all, C channels of an image, D channels of a latent or of the
features, H × W cells of an image, h × w cells of a latent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nexusflow.alignment.taps import Tap
from nexusflow.core.errors import UserError
from nexusflow.core.views import CanvasSpec, ChannelGroup, DenseView, ViewPlan
from nexusflow.methods.base import BuildContext, Method, ParameterGroup
from nexusflow.methods.dense_ops import cosine_distance, sample_classes
from nexusflow.methods.mtpsl_config import MTPSLConfig
from nexusflow.methods.pair_network import PairNetwork, pair_code

__all__ = ["Comparison", "MTPSLMethod", "build", "comparisons", "network_input"]

_EPSILON = 1e-12


class Comparison(NamedTuple):
    """A prediction of one task to be compared with the label of another.

    Attributes:
        sample: number of the sample within its batch.
        source: number of the task that predicts.
        target: number of the task whose label is visible.
    """

    sample: int
    source: int
    target: int


def comparisons(visible_BK: Tensor) -> list[Comparison]:
    """List what is compared in one batch: every unlabelled task with every labelled one of the same sample.

    Args:
        visible_BK: which of the K tasks show their labels, bool.

    Returns:
        All comparisons by sample; all ordered pairs of tasks in samples that show every label.
    """
    found = []
    for sample, shown in enumerate(visible_BK.tolist()):
        targets = [task for task, has_label in enumerate(shown) if has_label]
        sources = [task for task, has_label in enumerate(shown) if not has_label] or targets
        found += [Comparison(sample, s, t) for s in sources for t in targets if s != t]
    return found


def network_input(
    canvas_NCHW: Tensor, groups: Sequence[ChannelGroup], generator: torch.Generator | None = None
) -> Tensor:
    """Bring a canvas into the ranges in which predictions and labels are comparable.

    Args:
        canvas_NCHW: predictions or labels of one task, in the units of `ChannelGroup`.
        groups: what its channels are.
        generator: source of the noise that draws a class for every cell of predictions; None for labels.

    Returns:
        Images of the same shape: one-hot classes, lengths over the longest of their image, directions and
        signed numbers moved to [0, 1], measures standardised; "measure" and "signed" fade where nothing is
        probable.

    Source: MTPSL for classes, lengths and directions; the other kinds are this adaptation's.
    """
    parts = canvas_NCHW.float().split([group.channels for group in groups], dim=1)
    present = [part for group, part in zip(groups, parts, strict=True) if group.kind == "probability"]
    gate_N1HW = torch.cat(present, 1).amax(1, keepdim=True) if present else None
    inputs = []
    for group, part in zip(groups, parts, strict=True):
        if group.kind == "classes":
            inputs.append(part if generator is None else sample_classes(part, generator))
        elif group.kind == "positive":
            inputs.append(part / (part.amax((1, 2, 3), keepdim=True) + _EPSILON))
        elif group.kind == "direction":
            inputs.append((part + 1) / 2)
        elif group.kind == "probability":
            inputs.append(part)
        else:
            assert gate_N1HW is not None, f"channels of kind {group.kind} need probabilities beside them"
            inputs.append(gate_N1HW * _standardised(part, group))
    return torch.cat(inputs, 1)


def _standardised(part_NCHW: Tensor, group: ChannelGroup) -> Tensor:
    if group.kind == "signed":
        return (part_NCHW + 1) / 2
    mean_C11, std_C11 = (part_NCHW.new_tensor(values)[:, None, None] for values in (group.mean, group.std))
    return (part_NCHW - mean_C11) / std_C11


def _spread(latent_NDhw: Tensor) -> float:
    """Returns the mean over the channels of the standard deviation over images and cells."""
    return float(latent_NDhw.float().transpose(0, 1).flatten(1).std(1, correction=0).mean())


class MTPSLMethod(Method):
    """Adds the distance of predictions to other tasks' labels in the joint space of each pair of tasks.

    The loss trains the mapping network and, through the predictions, the unlabelled tasks and all they build
    on; it never flows through the features it is anchored to, nor through predictions of tasks that show
    their labels (unless a sample shows all).

    Args:
        network: maps images of any task into the joint spaces.
        spec: what the images of the tasks are.
        config: weights and rates.
        seed: seed of the noise that draws classes.

    Source: Li, Liu, Bilen, CVPR 2022.
    """

    name = "mtpsl"
    view_plan: ClassVar[ViewPlan | None] = ViewPlan(extra=1)

    def __init__(self, network: PairNetwork, spec: CanvasSpec, config: MTPSLConfig, seed: int = 0) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.config = config
        self.seed = seed
        self.tasks = tuple(spec.groups)
        self._pairs: int | None = None
        self._latents: tuple[Tensor, Tensor] | None = None

    def weight_at(self, step: int) -> float:
        """Returns the weight mu of the loss at a step, counted from 0, ramp included."""
        ramp = min(1.0, step / self.config.ramp_steps) if self.config.ramp_steps else 1.0
        return self.config.consistency_weight * ramp

    def extra_losses(
        self,
        taps: Mapping[str, Tap],
        outputs: Mapping[str, Any],
        visible: Mapping[str, Tensor],
        step: int,
        views: Sequence[DenseView] = (),
    ) -> dict[str, Tensor]:
        """Returns ``mtpsl/consistency``, zero for a batch in which nothing can be compared; see `Method`."""
        view = views[0]
        pairs = comparisons(torch.stack([view.visible[task] for task in self.tasks], 1))
        self._pairs = len(pairs)
        if pairs:
            # Images are averaged, those without a pair included; pairs of one image are summed.
            loss = self._pair_losses(view, pairs, step).sum() / len(view.features_BFhw)
        else:
            loss = view.features_BFhw.new_zeros((), dtype=torch.float32)
        name = f"{self.name}/consistency"
        self.unweighted = {name: loss.detach()}
        return {name: self.weight_at(step) * loss}

    def _pair_losses(self, view: DenseView, pairs: list[Comparison], step: int) -> Tensor:
        """Returns the loss of every comparison, in [0, 2 (1 + 2 rho)]."""
        predicted_NDhw, labelled_NDhw = self._map(view, pairs, step)
        self._latents = predicted_NDhw.detach(), labelled_NDhw.detach()
        height, width = predicted_NDhw.shape[2:]
        # Without gradient: else the model could shrink the loss by features that are easy to match.
        features_BDhw = F.adaptive_avg_pool2d(view.features_BFhw.detach().float(), (height, width))
        features_NDhw = features_BDhw[[pair.sample for pair in pairs]]
        anchored_N = cosine_distance(predicted_NDhw, features_NDhw) + cosine_distance(
            labelled_NDhw, features_NDhw
        )
        return cosine_distance(predicted_NDhw, labelled_NDhw) + self.config.regularisation * anchored_N

    def _map(self, view: DenseView, pairs: list[Comparison], step: int) -> tuple[Tensor, Tensor]:
        """Returns the latents of the predictions and of the labels, both in the order of the comparisons."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) % 2**62)
        images: dict[str, Tensor] = {}
        order: list[int] = []
        for number, task in enumerate(self.tasks):
            predicting = [row for row, pair in enumerate(pairs) if pair.source == number]
            labelled = [row for row, pair in enumerate(pairs) if pair.target == number]
            groups = self.spec.groups[task]
            parts = []
            if predicting:
                prediction = view.predictions[task][[pairs[row].sample for row in predicting]]
                parts.append(network_input(prediction, groups, generator))
            if labelled:
                label = view.labels[task][[pairs[row].sample for row in labelled]]
                parts.append(network_input(label, groups))
            if parts:
                images[task] = torch.cat(parts)
            order += predicting + [len(pairs) + row for row in labelled]
        codes = [pair_code(pair.source, pair.target, len(self.tasks)) for pair in pairs] * 2
        device = view.features_BFhw.device
        latents = self.network(images, torch.tensor([codes[place] for place in order], device=device))
        places = torch.tensor(order, device=device).argsort()
        predicted, label_latents = latents[places].chunk(2)
        return predicted, label_latents

    def monitors(self) -> dict[str, float]:
        """Returns ``mtpsl/pairs`` of the last batch and the spread of the last latents, 0 if collapsed."""
        report = {} if self._pairs is None else {f"{self.name}/pairs": float(self._pairs)}
        if self._latents is not None:
            predicted_NDhw, labelled_NDhw = self._latents
            report[f"{self.name}/latent_std"] = _spread(predicted_NDhw)
            report[f"{self.name}/label_latent_std"] = _spread(labelled_NDhw)
        return report

    def parameter_groups(self) -> list[ParameterGroup]:
        """Returns the mapping network's weights, then the pairs' scales and shifts, which learn faster."""
        film = self.network.film_parameters()
        ours = {id(parameter) for parameter in film}
        rest = [parameter for parameter in self.extra_parameters() if id(parameter) not in ours]
        fast = ParameterGroup(film, self.config.film_rate_factor, self.config.film_halving_factor)
        return [ParameterGroup(rest), fast]


def build(config: MTPSLConfig, context: BuildContext) -> MTPSLMethod:
    """Builds the mapping network for the tasks of a suite; see `nexusflow.methods.build.build_method`.

    Args:
        config: the method's section.
        context: what the suite offers.

    Raises:
        UserError: if the suite does not show its tasks as images, or shows fewer than two.
    """
    spec = context.canvases
    if spec is None:
        raise UserError(
            "method.name: mtpsl compares predictions with labels as images, which the suite "
            f"{context.suite} does not offer; choose another method"
        )
    if len(spec.groups) < 2:
        tasks = ", ".join(spec.groups) or "none"
        raise UserError(
            f"method.name: mtpsl compares two or more tasks, but the suite {context.suite} has {tasks}; "
            "add a task to the suite or choose another method"
        )
    channels = {task: spec.channels(task) for task in spec.groups}
    widths = (*config.widths, spec.feature_channels)
    network = PairNetwork(channels, widths, config.extra_blocks, config.norm)
    return MTPSLMethod(network, spec, config, context.seed)
