"""The training loop: batch → task losses + the method's losses → one backward → AdamW → averaged weights.

Everything random is a function of (seed, step): a run that was killed and resumed ends with the same bytes.
"""

from __future__ import annotations

import copy
import math
import resource
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nexusflow.core.errors import UserError
from nexusflow.core.progress import track
from nexusflow.methods.base import Method, ParameterGroup
from nexusflow.suites.base import Suite
from nexusflow.training.batch_norm import share_batch_norm
from nexusflow.training.config import TrainingConfig
from nexusflow.training.determinism import make_deterministic, resolve_precision
from nexusflow.training.interruption import Interrupted, InterruptionGuard
from nexusflow.training.joining import join_ranks
from nexusflow.training.log import TrainingLog
from nexusflow.training.ranks import Ranks
from nexusflow.training.resume import ResumeFiles, ResumeState
from nexusflow.training.split import SplitStep, parts_of

__all__ = ["FitResult", "Trainer", "fit", "learning_rate_at", "peak_memory_mib"]


@dataclass
class FitResult:
    """What a finished run leaves behind.

    Attributes:
        model: the averaged weights, in evaluation mode.
        log: the training log.
        seconds: seconds spent in the loop, over all attempts, validation included.
        data_seconds: seconds of this attempt spent waiting for batches.
        validation_seconds: seconds of this attempt spent on scores of the validation split.
        peak_memory_mib: largest resident memory of the process (CPU) or of the allocator (GPU), in MiB.
        precision: the precision that was used.
        ranks: number of processes that trained together.
    """

    model: nn.Module
    log: TrainingLog
    seconds: float
    data_seconds: float
    validation_seconds: float
    peak_memory_mib: float
    precision: str
    ranks: int = 1


def learning_rate_at(step: int, config: TrainingConfig, halving_factor: float = 1.0) -> float:
    """Linear warm-up, then a cosine to `final_lr_fraction` of the peak, or halvings.

    Args:
        step: step number from 0.
        config: the training budget.
        halving_factor: interval between halvings over that of the budget.

    Returns:
        Learning rate of that step.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "halving":
        interval = max(1, round(config.halve_every * halving_factor))
        return config.learning_rate * 0.5 ** ((step - config.warmup_steps) // interval)
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    low = config.final_lr_fraction
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass
class Trainer:
    """The mutable state of one run.

    Attributes:
        suite: data, model and task losses.
        method: adds its own losses.
        config: the budget.
        seed: the run's seed.
        resume: the run's resume checkpoints.
        joined: the processes that train the run together; None to find out.
    """

    suite: Suite
    method: Method
    config: TrainingConfig
    seed: int
    resume: ResumeFiles
    joined: Ranks | None = None
    data_seconds: float = 0.0
    validation_seconds: float = 0.0
    ranks: Ranks = field(init=False)
    split: SplitStep | None = field(init=False, default=None)
    _numbers: tuple[list[Tensor], list[Tensor]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.config.loss_weights) - set(self.suite.tap_channels))
        if unknown:
            raise UserError(
                f"loss_weights names `{unknown[0]}`; the tasks are {', '.join(self.suite.tap_channels)}."
            )
        self.precision = resolve_precision(self.config.precision)
        self.ranks = self.joined or join_ranks(self.config, self.precision)
        self.fabric = self.ranks.fabric
        self.suite.model.to(self.fabric.device)
        self.method.to(self.fabric.device)
        share_batch_norm(self.suite.model, self.ranks)
        self.ranks.copy_first([*self.suite.model.state_dict().values(), *self.method.state_dict().values()])
        self.averaged = copy.deepcopy(self.suite.model)
        if self.config.freeze_encoder:
            self.suite.freeze_encoder()
        self.modules = {"model": self.suite.model, "averaged": self.averaged, "method": self.method}
        self.suite.provide_views(self.method.view_plan)
        model = [parameter for parameter in self.suite.model.parameters() if parameter.requires_grad]
        # The rate of every group of the optimiser: the model's, then those of the method's own networks.
        self.rates = [ParameterGroup(model), *self.method.parameter_groups()]
        self.groups = [model, [parameter for group in self.rates[1:] for parameter in group.parameters]]
        self.optimizer = torch.optim.AdamW(
            [{"params": group.parameters} for group in self.rates],
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )
        if self.ranks.together or self.config.accumulate > 1:
            parts = parts_of(self.config.batch_size, self.ranks.rank, self.ranks.size, self.config.accumulate)
            self.split = SplitStep(
                self.suite, self.method, self.ranks, parts, self.groups[0], self.groups[1], self._weight
            )

    def step(self, step: int) -> dict[str, float]:
        """Train on one batch and return the step's scalars."""
        single_frame = step < self.config.single_frame_fraction * self.config.steps
        if self.split is None:
            losses, total = self._whole_backward(step, single_frame)
        else:
            losses, total = self._split_backward(self.split, step, single_frame)
        # Clipped apart, so that a method's own networks never change how far the model moves.
        limit = math.inf if self.config.clip_norm is None else self.config.clip_norm
        norms = [float(nn.utils.clip_grad_norm_(group, limit)) for group in self.groups]
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate.rate_factor * learning_rate_at(step, self.config, rate.halving_factor)
        self.optimizer.step()
        self._average(step)
        scalars = {name: float(value.detach()) for name, value in losses.items()}
        return {**scalars, "loss/total": float(total.detach()), "gradient_norm": norms[0]}

    def _whole_backward(self, step: int, single_frame: bool) -> tuple[dict[str, Tensor], Tensor]:
        """Load a batch, run it in one pass and leave its gradients in the parameters."""
        before = time.perf_counter()
        batch = self.suite.batch(step)
        self.data_seconds += time.perf_counter() - before
        with self.fabric.autocast():
            result = self.suite.forward(batch, step, single_frame)
            extra = self.method.extra_losses(result.taps, result.outputs, result.visible, step, result.views)
        named = {**result.losses, **extra}
        losses = {f"loss/{name}": value for name, value in named.items()}
        total = torch.stack([self._weight(name) * value.float() for name, value in named.items()]).sum()
        self._check_finite(total, losses, step)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        return losses, total

    def _split_backward(
        self, split: SplitStep, step: int, single_frame: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The same for a batch that passes or ranks share."""
        before = time.perf_counter()
        batches = split.load(step)
        self.data_seconds += time.perf_counter() - before
        self.optimizer.zero_grad(set_to_none=True)
        named = split.backward(batches, step, single_frame)
        losses = {f"loss/{name}": value for name, value in named.items()}
        total = torch.stack([self._weight(name) * value.float() for name, value in named.items()]).sum()
        self._check_finite(total, losses, step)
        return losses, total

    def _weight(self, name: str) -> float:
        """Factor of a loss whose name starts with its task; losses of a method have weights of their own."""
        return self.config.loss_weights.get(name.split("/")[0], 1.0)

    @staticmethod
    def _check_finite(total: Tensor, losses: dict[str, Tensor], step: int) -> None:
        if not bool(torch.isfinite(total)):
            bad = [name for name, value in losses.items() if not bool(torch.isfinite(value))]
            raise UserError(
                f"Training diverged at step {step}: {', '.join(bad)} is not finite; lower `learning_rate`."
            )

    @torch.no_grad()
    def _average(self, step: int) -> None:
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        if self._numbers is None:  # going through all modules takes longer than averaging
            self._numbers = _numbers(self.averaged), _numbers(self.suite.model)
        torch._foreach_lerp_(*self._numbers, 1 - decay)

    def validate(self, done: int) -> dict[str, float]:
        """Score the averaged weights where the budget asks for it."""
        every = self.config.validate_every
        if not self.ranks.first or every == 0 or (done % every and done < self.config.steps):
            return {}
        before = time.perf_counter()
        self.averaged.eval()
        with torch.no_grad():
            scores = self.suite.validate(self.averaged)
        self.validation_seconds += time.perf_counter() - before
        return {f"validation/{name}": value for name, value in scores.items()}

    def load(self) -> ResumeState:
        """Go on from the last resume checkpoint of this very run, on all ranks from the same, or start."""
        state = self.resume.load(self.modules, self.optimizer) if self.ranks.first else None
        step = self.ranks.share(0 if state is None else state.step)
        if step and not self.ranks.first:
            state = self.resume.load(self.modules, self.optimizer, step)
            if state is None:
                raise UserError(
                    f"Rank {self.ranks.rank} finds no checkpoint of step {step} in {self.resume.folder}; all "
                    "machines must share that folder's disk."
                )
        return state or ResumeState(step=0, rows=[], seconds=0.0)

    def save(self, state: ResumeState) -> None:
        """Write a resume checkpoint, on the first rank."""
        if self.ranks.first:
            self.resume.save(self.modules, self.optimizer, state)


def _numbers(module: nn.Module) -> list[Tensor]:
    """Weights and statistics, not counters."""
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]


def fit(
    suite: Suite,
    method: Method,
    config: TrainingConfig,
    seed: int,
    resume: ResumeFiles,
    title: str,
    joined: Ranks | None = None,
) -> FitResult:
    """Train a suite's model with a method for one budget.

    Args:
        suite: data, model and task losses.
        method: adds its own losses.
        config: the budget.
        seed: the run's seed.
        resume: the run's resume checkpoints; there may be some of an interrupted part of the same run.
        title: shown with the progress.
        joined: the processes that train the run together; None to find out.

    Returns:
        The averaged model, the log and the cost.

    Raises:
        UserError: if a loss becomes infinite or NaN, or a resume checkpoint cannot be written.
        Interrupted: at Ctrl-C or SIGTERM, after a resume checkpoint was written.
    """
    make_deterministic(seed, config.threads)
    trainer = Trainer(suite, method, config, seed, resume, joined)
    ranks = trainer.ranks
    state = trainer.load()
    log = TrainingLog(config.log_every, state.rows, state.open_row)
    suite.model.train()
    method.train()
    start = time.perf_counter() - state.seconds
    with InterruptionGuard() as guard:
        steps = range(state.step, config.steps)
        for step in track(steps, title) if ranks.first else steps:
            log.add(trainer.step(step))
            done = step + 1
            if done % config.log_every == 0 or done == config.steps:
                monitors = {f"monitor/{name}": value for name, value in method.monitors().items()}
                scores = trainer.validate(done)
                log.close_row(done, {"learning_rate": learning_rate_at(step, config), **monitors, **scores})
            due = done % config.checkpoint_every == 0 and done < config.steps
            # All ranks stop at the same step, whichever the signal came to.
            signum = int(ranks.largest(guard.signum or 0))
            if due or signum:
                trainer.save(ResumeState(done, log.rows, time.perf_counter() - start, log.open_row))
            if signum:
                ranks.share(0)  # None ends before the first one has saved.
                raise Interrupted(signum)
    return FitResult(
        model=trainer.averaged.eval(),
        log=log,
        seconds=time.perf_counter() - start,
        data_seconds=trainer.data_seconds,
        validation_seconds=trainer.validation_seconds,
        peak_memory_mib=ranks.largest(peak_memory_mib()),
        precision=trainer.precision,
        ranks=ranks.size,
    )


def peak_memory_mib() -> float:
    """Read the largest memory of this process so far.

    Returns:
        On a GPU the allocator's peak, else the peak resident memory of the process, in MiB.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
