"""Affine coupling flows: invertible maps built from networks that are never inverted.

Legend: B batch, D dimensions of the flow, K kept and C changed dimensions (K + C = D), P permutations,
M = 1 ball.
"""

import copy
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from nexusflow.alignment.bounded import bounded
from nexusflow.alignment.lipschitz import forward_stretch, inverse_stretch, network_bounds

__all__ = ["AffineCoupling", "CouplingStack"]


class AffineCoupling(nn.Module):
    """One RealNVP layer: keeps the first part of its input and rescales and shifts the second part.

    c(a, b) = (a, b · exp s(a) + t(a)) with log |det J| = Σₖ sₖ(a). The log-scale is softly clamped,
    s = α tanh(u / α), and the last linear layer starts at zero, so that a new layer is the identity.
    Networks, scale and shift are computed in full precision also under autocast.

    Args:
        dim: size D of the input, at least 2.
        hidden: hidden units of the networks s and t.
        kept: size K of the kept part; half of ``dim``, rounded down, if not given.
        clamp: bound alpha of the absolute log-scale.
        additive: fixes s = 0, which gives the volume-preserving NICE layer.
        fused: one network with a common hidden layer computes s and t, which halves the matrix products;
            False gives two separate networks.

    Source: Eq. 1 of the paper, with the kept part concatenated so that the layer is a bijection; clamp and
    initialisation are not stated there.

    Examples:
        >>> layer = AffineCoupling(dim=4)
        >>> x_BD = torch.randn(3, 4)
        >>> z_BD, log_det_B = layer(x_BD)
        >>> bool((z_BD == x_BD).all()), log_det_B.tolist()
        (True, [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        dim: int,
        hidden: int = 256,
        *,
        kept: int | None = None,
        clamp: float = 1.0,
        additive: bool = False,
        fused: bool = True,
    ) -> None:
        super().__init__()
        kept = dim // 2 if kept is None else kept
        if not 0 < kept < dim:
            raise ValueError(f"a coupling of dim {dim} cannot keep {kept} dimensions and change the others")
        if clamp <= 0:
            raise ValueError(f"clamp must be positive, not {clamp}")
        self.parts = (kept, dim - kept)
        self.clamp = clamp
        outputs = 1 if additive else 2
        sizes = [outputs * (dim - kept)] if fused else outputs * [dim - kept]
        self.additive = additive
        self.networks = nn.ModuleList(_network(kept, hidden, size) for size in sizes)

    def forward(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Transforms ``x_BD`` and returns the result and its log-determinant, shapes (B, D) and (B,)."""
        a_BK, b_BC = _full_precision(x_BD).split(self.parts, dim=-1)
        b_BC, log_det_B = self.change(a_BK, b_BC)
        return torch.cat((a_BK, b_BC), dim=-1), log_det_B

    def inverse(self, z_BD: Tensor) -> Tensor:
        """Returns the ``x_BD`` which ``forward`` maps to ``z_BD``."""
        a_BK, b_BC = _full_precision(z_BD).split(self.parts, dim=-1)
        return torch.cat((a_BK, self.restore(a_BK, b_BC)), dim=-1)

    def change(self, a_BK: Tensor, b_BC: Tensor) -> tuple[Tensor, Tensor]:
        """Returns ``b * exp(s(a)) + t(a)`` and the log-determinant."""
        s_BC, t_BC = self.scale_and_shift(a_BK)
        return torch.addcmul(t_BC, b_BC, s_BC.exp()), s_BC.sum(-1)

    def restore(self, a_BK: Tensor, b_BC: Tensor) -> Tensor:
        """Returns ``(b - t(a)) * exp(-s(a))``, the inverse of ``change``."""
        s_BC, t_BC = self.scale_and_shift(a_BK)
        return (b_BC - t_BC) * (-s_BC).exp()

    def log_det(self, x_BD: Tensor) -> Tensor:
        """Returns the log-determinant of ``forward`` alone, shape (B,)."""
        return self.scale_and_shift(_full_precision(x_BD)[..., : self.parts[0]])[0].sum(-1)

    def network_bounds(self) -> tuple[float, float]:
        """Lipschitz constants of s and t: spectral norms multiplied, since ReLU and clamp have 1."""
        bounds = network_bounds(self.networks, self.parts[1])
        return (0.0, bounds[0]) if self.additive else (bounds[0], bounds[1])

    def lipschitz(self, radius: float = math.inf, *, inverse: bool = False) -> float:
        """Bounds how much the layer stretches distances; see `CouplingStack.lipschitz`."""
        return _lipschitz([self], radius, inverse)

    def scale_and_shift(self, a_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the log-scale s and the shift t of the changed part, (B, C) each."""
        with torch.autocast(a_BK.device.type, enabled=False):
            outputs = [network(a_BK) for network in self.networks]
        if self.additive:
            return torch.zeros_like(outputs[0]), outputs[0]
        u_BC, t_BC = outputs if len(outputs) == 2 else outputs[0].chunk(2, dim=-1)
        squash = torch.tanh if torch.is_grad_enabled() else bounded
        if self.clamp == 1:
            return squash(u_BC), t_BC
        return self.clamp * squash(u_BC / self.clamp), t_BC


class CouplingStack(nn.Module):
    """A flow of several couplings that change the two halves of the vector in turn.

    The halves swap their roles after every layer and nothing is copied for it. The last layer always changes
    the second half, so ``z[..., D // 2:]`` is the paper's Eq. 1 taken literally. A stack of depth 0 is the
    identity, the paper's "w/o inv".

    Args:
        dim: size D of the input, at least 2, even or odd.
        depth: number of layers; one layer is one coupling.
        hidden, clamp, additive, fused: see `AffineCoupling`.
        permutation_seed: draws a fixed permutation of the dimensions before every second layer. Equal seeds
            give equal permutations, so the stacks of all tasks can share them. None: no permutations.

    Source: section "Method" of the paper (RealNVP; depth 6 on nuScenes, 4 on NYUv2).

    Examples:
        >>> flow = CouplingStack(dim=5, depth=6)
        >>> x_BD = torch.randn(3, 5)
        >>> z_BD, log_det_B = flow(x_BD)
        >>> torch.allclose(flow.inverse(z_BD), x_BD)
        True
    """

    orders_PD: Tensor | None

    def __init__(
        self,
        dim: int,
        depth: int = 6,
        hidden: int = 256,
        *,
        clamp: float = 1.0,
        additive: bool = False,
        fused: bool = True,
        permutation_seed: int | None = None,
    ) -> None:
        super().__init__()
        if dim < 2 or depth < 0:
            raise ValueError(f"a coupling stack needs dim >= 2 and depth >= 0, not {dim} and {depth}")
        self.halves = (dim // 2, dim - dim // 2)
        self.depth = depth
        self.layers = nn.ModuleList(
            # The last layer keeps the first half, the one before it the second half, and so on.
            AffineCoupling(
                dim,
                hidden,
                kept=self.halves[(depth - 1 - index) % 2],
                clamp=clamp,
                additive=additive,
                fused=fused,
            )
            for index in range(depth)
        )
        orders_PD = None
        if permutation_seed is not None and depth > 0:
            generator = torch.Generator().manual_seed(permutation_seed)
            orders = [torch.randperm(dim, generator=generator) for _ in range(0, depth, 2)]
            orders_PD = torch.stack(orders)
        self.register_buffer("orders_PD", orders_PD)

    @property
    def is_plain(self) -> bool:
        """Whether it has layers, each with one network for s and t, and no permutation."""
        networks = [len(layer.networks) == 1 and not layer.additive for layer in self._couplings()]
        return self.depth > 0 and all(networks) and self.orders_PD is None

    def forward(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Transforms ``x_BD`` and returns the result and its log-determinant, shapes (B, D) and (B,)."""
        x_BD = _full_precision(x_BD)
        log_det_B = x_BD.new_zeros(x_BD.shape[:-1])
        first, second = x_BD.split(self.halves, dim=-1)
        kept, changed = (first, second) if self.depth % 2 else (second, first)
        for index, layer in enumerate(self._couplings()):
            if self.orders_PD is not None and index % 2 == 0:
                kept, changed = _reorder(kept, changed, self.orders_PD[index // 2])
            changed, layer_log_det_B = layer.change(kept, changed)
            log_det_B = log_det_B + layer_log_det_B
            kept, changed = changed, kept
        return torch.cat((changed, kept), dim=-1), log_det_B

    def inverse(self, z_BD: Tensor) -> Tensor:
        """Returns the ``x_BD`` which ``forward`` maps to ``z_BD``."""
        changed, kept = _full_precision(z_BD).split(self.halves, dim=-1)
        for index, layer in reversed(list(enumerate(self._couplings()))):
            kept, changed = changed, kept
            changed = layer.restore(kept, changed)
            if self.orders_PD is not None and index % 2 == 0:
                kept, changed = _reorder(kept, changed, self.orders_PD[index // 2].argsort())
        return torch.cat((kept, changed) if self.depth % 2 else (changed, kept), dim=-1)

    def log_det(self, x_BD: Tensor) -> Tensor:
        """Returns the log-determinant of ``forward`` alone, shape (B,)."""
        return self(x_BD)[1]

    def lipschitz(self, radius: float = math.inf, *, inverse: bool = False) -> float:
        """Bounds how much the flow stretches distances.

        No affine coupling has a finite constant on the whole space, unless its log-scale is constant.

        Args:
            radius: the bound holds for points no farther than this from the origin, in units of the input.
            inverse: bounds the inverse, for points in the space of z.

        Returns:
            An upper bound of the distance of two images over that of the points, without unit; infinite
            where there is none.

        Examples:
            >>> flow = CouplingStack(dim=4, depth=2)
            >>> flow.lipschitz()  # a new flow is the identity
            1.0
        """
        return _lipschitz(self._couplings(), radius, inverse, self.orders_PD)

    def _couplings(self) -> Iterator[AffineCoupling]:
        for layer in self.layers:
            assert isinstance(layer, AffineCoupling)
            yield layer


def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), last)


def _full_precision(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _reorder(kept: Tensor, changed: Tensor, order_D: Tensor) -> tuple[Tensor, Tensor]:
    x_BD = torch.cat((kept, changed), dim=-1).index_select(-1, order_D)
    first, second = x_BD.split((kept.shape[-1], changed.shape[-1]), dim=-1)
    return first, second


@torch.no_grad()
def _lipschitz(
    layers: Iterable[AffineCoupling], radius: float, inverse: bool, orders_PD: Tensor | None = None
) -> float:
    """Follows the ball of a radius about the origin through the layers, in double precision."""
    if not radius >= 0:
        raise ValueError(f"a radius must not be negative, as {radius} is")
    steps = [(index, copy.deepcopy(layer).cpu().double()) for index, layer in enumerate(layers)]
    bound_M, radius_M = torch.ones(1, dtype=torch.float64), torch.full((1,), radius, dtype=torch.float64)
    steps = steps[::-1] if inverse else steps
    # The roles of the first layer that is met; they change after every layer.
    kept, changed = (
        (bound_M.new_zeros(1, part) for part in steps[0][1].parts) if steps else (bound_M, bound_M)
    )
    for index, layer in steps:
        order_D = None if orders_PD is None or index % 2 else orders_PD[index // 2].cpu()
        if order_D is not None and not inverse:
            kept, changed = _reorder(kept, changed, order_D)
        s_MC, _ = layer.scale_and_shift(kept)
        if inverse:
            changed = layer.restore(kept, changed)
            stretch_M, growth_M = inverse_stretch(
                layer.network_bounds(), layer.clamp, (-s_MC).exp()[None], changed[None], radius_M
            )
        else:
            stretch_M = forward_stretch(layer.network_bounds(), layer.clamp, s_MC, changed, radius_M)
            growth_M, (changed, _) = stretch_M, layer.change(kept, changed)
        bound_M, radius_M = bound_M * stretch_M, radius_M * growth_M
        if order_D is not None and inverse:
            kept, changed = _reorder(kept, changed, order_D.argsort())
        kept, changed = changed, kept
    return bound_M.item()
