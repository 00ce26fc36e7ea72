"""Coupling stacks of this and of other libraries behind one face, for `coupling_stack.py`.

Legend: N tasks, B batch, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nexusflow.alignment import CouplingStack
from nexusflow.alignment.batched import BatchPlan

__all__ = ["Contender", "contenders", "equal_to_normflows"]


class Contender(NamedTuple):
    """A library's stacks: parameters, and what runs all tasks forward or back."""

    name: str
    parameters: list[nn.Parameter]
    forward: Callable[[Tensor], object]
    inverse: Callable[[Tensor], object]
    modules: tuple[nn.Module, ...] = ()


def network(inputs: int, outputs: int, hidden: int) -> nn.Sequential:
    """The network of s and t, the same for every library that lets one choose it."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def full_precision() -> AbstractContextManager[object]:
    """What `NexusFlow` puts around its surrogates under autocast."""
    return torch.autocast("cpu", enabled=False) if torch.is_autocast_enabled("cpu") else nullcontext()


def packed(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """All tasks in one product, their parameters packed for the optimiser, as the project trains them."""
    plan, _ = batch_plan(tasks, dim, depth, hidden)
    return batched("nexusflow", plan, [plan.pack()])


def unpacked(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """All tasks in one product, every parameter with a gradient of its own."""
    plan, parameters = batch_plan(tasks, dim, depth, hidden)
    return batched("nexusflow, not packed", plan, parameters)


def batch_plan(tasks: int, dim: int, depth: int, hidden: int) -> tuple[BatchPlan, list[nn.Parameter]]:
    """Stacks of all tasks and their parameters."""
    flows = nn.ModuleList(CouplingStack(dim, depth, hidden) for _ in range(tasks))
    return BatchPlan([nn.Identity() for _ in flows], list(flows)), list(flows.parameters())


def batched(name: str, plan: BatchPlan, trained: list[nn.Parameter]) -> Contender:
    """All tasks at once."""

    def forward(x_NBD: Tensor) -> list[tuple[Tensor, Tensor]]:
        with full_precision():
            return [plan.apply(x_NBD)[1:]]

    def inverse(z_NBD: Tensor) -> list[Tensor]:
        with full_precision():
            return [plan.invert(z_NBD)]

    return Contender(name, trained, forward, inverse)


def single(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """Our modules, one task after the other: what a compiler is given."""
    modules: list[nn.Module] = [CouplingStack(dim, depth, hidden) for _ in range(tasks)]
    return per_task("nexusflow", modules, lambda m, x: m(x), lambda m, z: m.inverse(z))  # type: ignore[operator]


def per_task(
    name: str,
    modules: list[nn.Module],
    forward: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]],
    inverse: Callable[[nn.Module, Tensor], Tensor],
) -> Contender:
    """A library that runs once per task."""
    return Contender(
        name,
        [parameter for module in modules for parameter in module.parameters()],
        lambda x_NBD: [forward(module, x_BD) for module, x_BD in zip(modules, x_NBD, strict=True)],
        lambda z_NBD: [inverse(module, z_BD) for module, z_BD in zip(modules, z_NBD, strict=True)],
        tuple(modules),
    )


def freia(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """FrEIA: one-sided couplings with permutations between them."""
    from FrEIA.framework import SequenceINN
    from FrEIA.modules import AffineCouplingOneSided, PermuteRandom

    def stack() -> nn.Module:
        sequence = SequenceINN(dim)
        for index in range(depth):
            if index:
                sequence.append(PermuteRandom, seed=index)
            sequence.append(AffineCouplingOneSided, subnet_constructor=lambda a, b: network(a, b, hidden))
        return sequence

    modules = [stack() for _ in range(tasks)]
    return per_task("FrEIA", modules, lambda m, x: m(x), lambda m, z: m(z, rev=True)[0])


def nflows(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """nflows: affine couplings with alternating masks."""
    from nflows.transforms import AffineCouplingTransform, CompositeTransform

    class Network(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.network = network(inputs, outputs, hidden)

        def forward(self, x_BD: Tensor, context: Tensor | None = None) -> Tensor:
            return self.network(x_BD)

    half_D = (torch.arange(dim) >= dim // 2).long()
    modules: list[nn.Module] = [
        CompositeTransform(
            [AffineCouplingTransform(half_D if index % 2 else 1 - half_D, Network) for index in range(depth)]
        )
        for _ in range(tasks)
    ]
    return per_task("nflows", modules, lambda m, x: m(x), lambda m, z: m.inverse(z)[0])  # type: ignore[operator]


def normflows(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """normflows: affine coupling blocks with swapped halves."""
    import normflows as nf

    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parts: list[nn.Module] = []
            for _ in range(depth):
                net = nf.nets.MLP([dim // 2, hidden, dim])
                parts += [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(dim, mode="swap")]
            self.parts = nn.ModuleList(parts)

        def forward(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
            log_det_B = x_BD.new_zeros(len(x_BD))
            for part in self.parts:
                x_BD, change_B = part(x_BD)
                log_det_B = log_det_B + change_B
            return x_BD, log_det_B

        def inverse(self, z_BD: Tensor) -> Tensor:
            for part in reversed(list(self.parts)):
                z_BD, _ = part.inverse(z_BD)  # type: ignore[operator]
            return z_BD

    modules: list[nn.Module] = [Stack() for _ in range(tasks)]
    return per_task("normflows", modules, lambda m, x: m(x), lambda m, z: m.inverse(z))  # type: ignore[operator]


def zuko(tasks: int, dim: int, depth: int, hidden: int) -> Contender:
    """zuko: RealNVP with alternating masks."""
    from zuko.flows import RealNVP

    modules: list[nn.Module] = [
        RealNVP(dim, transforms=depth, hidden_features=(hidden,)) for _ in range(tasks)
    ]
    return per_task(
        "zuko", modules, lambda m, x: m().transform.call_and_ladj(x), lambda m, z: m().transform.inv(z)
    )


def contenders(tasks: int, dim: int, depth: int, hidden: int, compiled: bool = False) -> Iterator[Contender]:
    """Ours, then every library that can be imported."""
    own = (single,) if compiled else (packed, unpacked)
    for build in (*own, freia, nflows, normflows, zuko):
        torch.manual_seed(0)
        try:
            yield build(tasks, dim, depth, hidden)
        except ImportError as error:
            print(f"{build.__name__} is left out: {error}")


def equal_to_normflows(dim: int, depth: int, hidden: int) -> float:
    """Largest difference of z and log-determinant to normflows with our weights, in double precision.

    Its scale is exp(u), so ours gets a clamp that no u comes near. It keeps the first half in every layer and
    swaps the halves after each, the last one too; its networks give shift and scale in turn.
    """
    torch.manual_seed(0)
    theirs = normflows(1, dim, depth, hidden)
    our_stack = CouplingStack(dim, depth, hidden, clamp=1e5).double()
    their_stack = nn.ModuleList(theirs.modules)[0].double()
    blocks = [part for part in their_stack.parts if hasattr(part, "flows")]  # type: ignore[union-attr]
    with torch.no_grad():
        for layer, block in zip(our_stack.layers, blocks, strict=True):
            first, _, last = layer.networks[0]  # type: ignore[index,union-attr]
            linear = [part for part in block.modules() if isinstance(part, nn.Linear)]
            last.weight.normal_(std=0.05)
            last.bias.normal_(std=0.05)
            linear[0].weight.copy_(first.weight)
            linear[0].bias.copy_(first.bias)
            for name in ("weight", "bias"):
                s, t = getattr(last, name).chunk(2)
                getattr(linear[1], name).copy_(torch.stack((t, s), 1).flatten(0, 1))
        x_BD = torch.randn(16, dim, dtype=torch.float64)
        z_BD, log_det_B = our_stack(x_BD)
        half = dim // 2
        other_z_BD, other_log_det_B = their_stack(x_BD if depth % 2 else x_BD.roll(half, 1))
    differences = (z_BD - other_z_BD.roll(half, 1)).abs().max(), (log_det_B - other_log_det_B).abs().max()
    return float(max(differences))
