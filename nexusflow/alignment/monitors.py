"""Measurements that tell alignment from collapse: constant embeddings also make the loss zero.

Legend: N tasks, B batch, W samples of the window, D dimensions of h', L dimensions of the aligned z,
K = min(B, D).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexusflow.alignment.losses import center_loss
from nexusflow.alignment.module import AlignmentOutput

__all__ = ["CollapseMonitor", "CollapseWarning", "collapse_report", "collapse_signs", "effective_rank"]


class CollapseWarning(UserWarning):
    """The alignment loss is small for the wrong reason."""


def effective_rank(x_BD: Tensor) -> float:
    """Number of directions a set of vectors spans, as the exponential of the entropy of its spectrum.

    Args:
        x_BD: vectors; they are centred first.

    Returns:
        A value from 1 to min(B - 1, D), or 0 if all vectors are equal.

    Examples:
        >>> round(effective_rank(torch.eye(5)), 3)
        4.0
    """
    x_BD = x_BD.cpu().double()
    centred_BD = x_BD - x_BD.mean(0)
    spectrum_K = torch.linalg.svdvals(centred_BD).square()
    if spectrum_K.sum() <= 1e-12 * x_BD.square().sum():
        return 0.0
    shares_K = spectrum_K / spectrum_K.sum()
    return torch.special.entr(shares_K).sum().exp().item()


@torch.no_grad()
def collapse_report(output: AlignmentOutput) -> dict[str, float]:
    """Measures embeddings and latents; best on a few hundred samples, see `CollapseMonitor`.

    Args:
        output: h', z and log-determinants of all tasks.

    Returns:
        Per task, as ``task/…``: ``embedding_std`` and ``latent_std`` (standard deviation over samples,
        averaged over dimensions), ``embedding_rank`` and ``latent_rank`` (`effective_rank`), ``log_det_mean``
        and ``log_det_std``. Over all tasks: ``relative_loss``, the centre loss divided by the mean squared
        length of z; ``cosine_same`` and ``cosine_shuffled``, of two tasks' z of one and of two samples,
        averaged over the pairs of tasks (collapse: both near 1); ``distance_ratio``, mean distance of the
        same over that of shuffled pairs (1: nothing about the sample is shared). The last two need two
        samples and are left out for one.
    """
    return _measure(output.embeddings, output.latents, output.log_dets)


def collapse_signs(report: Mapping[str, float]) -> list[str]:
    """Reads a report for signs that the loss is small although nothing is shared.

    Args:
        report: of a few dozen samples or more, see `collapse_report`.

    Returns:
        A sentence per sign; none if there is no sign, or if the loss is not small either. The thresholds are
        our choice.

    Examples:
        >>> collapse_signs({"relative_loss": 1e-4, "distance_ratio": 0.98, "map/latent_rank": 1.2})[0]
        'latents of one sample are no closer than those of different samples (ratio 0.98)'
    """
    if report["relative_loss"] > 0.01:
        return []
    signs = []
    if (ratio := report.get("distance_ratio", 0.0)) > 0.9:
        signs.append(
            f"latents of one sample are no closer than those of different samples (ratio {ratio:.2f})"
        )
    signs += [
        f"latents of {name.removesuffix('/latent_rank')!r} lie on a line or at a point"
        for name, rank in report.items()
        if name.endswith("/latent_rank") and rank < 1.5
    ]
    return signs


class CollapseMonitor(nn.Module):
    """Remembers the last embeddings of training, whose batches are too small to measure anything.

    The memory is part of the state dict, so a resumed run reports what an uninterrupted one does.

    Args:
        tasks: names of the tasks.
        dim: size D of h'.
        latent_dim: size L of the aligned z; ``dim`` if not given.
        window: number W of remembered samples.

    Examples:
        >>> from nexusflow.alignment import NexusFlow
        >>> monitor = CollapseMonitor(["track", "map"], dim=4)
        >>> surrogates = NexusFlow({"track": 8, "map": 8}, dim=4)
        >>> for _ in range(5):
        ...     monitor.update(surrogates({"track": torch.randn(2, 8), "map": torch.randn(2, 8)}))
        >>> 0 < monitor.report()["track/latent_rank"] <= 4
        True
    """

    embeddings_NWD: Tensor
    latents_NWL: Tensor
    log_dets_NW: Tensor
    seen: Tensor

    def __init__(
        self, tasks: Sequence[str], dim: int, latent_dim: int | None = None, window: int = 256
    ) -> None:
        super().__init__()
        self.tasks, self.window = tuple(tasks), window
        rows = (len(self.tasks), window)
        self.register_buffer("embeddings_NWD", torch.zeros(*rows, dim))
        self.register_buffer("latents_NWL", torch.zeros(*rows, dim if latent_dim is None else latent_dim))
        self.register_buffer("log_dets_NW", torch.zeros(rows))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        # The same number without asking the device; read from it once, and after loading.
        self._place: int | None = None
        self.register_load_state_dict_post_hook(_forget_place)

    @torch.no_grad()
    def update(self, output: AlignmentOutput) -> None:
        """Remembers one batch, without gradient and without waiting for the device."""
        batch = len(output.log_dets[self.tasks[0]])
        place = int(self.seen) if self._place is None else self._place
        kept = min(batch, self.window)
        start = (place + batch - kept) % self.window
        # The newest samples, in two parts where they pass the end of the memory.
        until_end = min(kept, self.window - start)
        for memory, entries in (
            (self.embeddings_NWD, output.embeddings),
            (self.latents_NWL, output.latents),
            (self.log_dets_NW, output.log_dets),
        ):
            newest = torch.stack([entries[task] for task in self.tasks])[:, batch - kept :]
            memory[:, start : start + until_end].copy_(newest[:, :until_end])
            if until_end < kept:
                memory[:, : kept - until_end].copy_(newest[:, until_end:])
        self._place = place + batch
        self.seen += batch

    @property
    def samples(self) -> int:
        """Number of samples that are remembered."""
        return min(int(self.seen), self.window)

    def report(self) -> dict[str, float]:
        """Returns `collapse_report` of what is remembered; empty before the first batch."""
        count = self.samples
        if count == 0:
            return {}

        def by_task(memory_NW: Tensor) -> dict[str, Tensor]:
            return dict(zip(self.tasks, memory_NW[:, :count], strict=True))

        return _measure(by_task(self.embeddings_NWD), by_task(self.latents_NWL), by_task(self.log_dets_NW))


def _measure(
    embeddings: Mapping[str, Tensor], latents: Mapping[str, Tensor], log_dets: Mapping[str, Tensor]
) -> dict[str, float]:
    report: dict[str, float] = {}
    for task, h_BD in embeddings.items():
        z_BL, log_det_B = latents[task], log_dets[task]
        report |= {
            f"{task}/embedding_std": h_BD.std(0, correction=0).mean().item(),
            f"{task}/embedding_rank": effective_rank(h_BD),
            f"{task}/latent_std": z_BL.std(0, correction=0).mean().item(),
            f"{task}/latent_rank": effective_rank(z_BL),
            f"{task}/log_det_mean": log_det_B.mean().item(),
            f"{task}/log_det_std": log_det_B.std(correction=0).item(),
        }
    z_NBL = torch.stack(list(latents.values())).cpu().double()  # aligned latents differ by little
    unit_NBL = F.normalize(z_NBL, dim=-1)
    squared_length = z_NBL.square().sum(-1).mean()
    report["relative_loss"] = (center_loss(z_NBL) / squared_length.clamp_min(1e-30)).item()
    report["cosine_same"], cosine = _same_and_shuffled([a @ b.mT for a, b in combinations(unit_NBL, 2)])
    if z_NBL.shape[1] > 1:
        same, shuffled = _same_and_shuffled([torch.cdist(a, b) for a, b in combinations(z_NBL, 2)])
        report["cosine_shuffled"] = cosine
        report["distance_ratio"] = same / max(shuffled, 1e-30)
    return report


def _same_and_shuffled(tables_BB: Sequence[Tensor]) -> tuple[float, float]:
    """Means of the diagonals (same sample) and of the rest (shuffled samples; 0 if there is no rest)."""
    table_BB = torch.stack(list(tables_BB)).mean(0)
    samples, same = len(table_BB), table_BB.trace()
    rest = (table_BB.sum() - same) / max(samples * (samples - 1), 1)
    return (same / samples).item(), rest.item()


def _forget_place(monitor: nn.Module, keys: object) -> None:
    monitor._place = None  # type: ignore[assignment]
