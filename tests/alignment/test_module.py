"""NexusFlow: one loss over all samples, options that do what they say, gradients where they belong."""

import copy

import pytest
import torch
from torch import nn

from nexusflow.alignment import MLPAggregator, NexusFlow

TASKS = {"track": 6, "map": 4}
SMALL = {"dim": 8, "depth": 2, "hidden": 16}


def make_taps(tasks: dict[str, int] = TASKS, batch: int = 5, seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {
        task: {
            "features": torch.randn(batch, 7, width, generator=generator).requires_grad_(),
            "weights": torch.rand(batch, 7, generator=generator),
            "positions": torch.rand(batch, 7, 2, generator=generator),
        }
        for task, width in tasks.items()
    }


def make(tasks: dict[str, int] = TASKS, seed: int = 0, **options) -> NexusFlow:
    torch.manual_seed(seed)
    return NexusFlow(tasks, **(SMALL | options))


def stir(module: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return module


@pytest.mark.parametrize("aggregator", ["mlp", "attention", "deformable"])
@pytest.mark.parametrize("output", ["full", "second_half"])
@pytest.mark.parametrize("tasks", [TASKS, {"seg": 3, "depth": 3, "normal": 3}], ids=len)
def test_shapes_and_gradients(aggregator, output, tasks):
    surrogates = stir(make(tasks, dim=16, aggregator=aggregator, output=output))
    taps = make_taps(tasks)
    aligned = surrogates(taps)
    for task in tasks:
        assert aligned.embeddings[task].shape == (5, 16)
        assert aligned.latents[task].shape == (5, 16 if output == "full" else 8)
        assert aligned.log_dets[task].shape == (5,)
    assert aligned.loss.shape == () and aligned.loss > 0
    aligned.loss.backward()
    for name, weight in surrogates.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name
    for tap in taps.values():  # every sample teaches every branch, whatever labels it has
        assert (tap["features"].grad.abs().amax(dim=(1, 2)) > 0).all()


def test_without_flow_the_embeddings_are_aligned():
    aligned = make(depth=0)(make_taps())
    for task in TASKS:
        assert torch.equal(aligned.latents[task], aligned.embeddings[task])
    difference_BD = aligned.embeddings["track"] - aligned.embeddings["map"]
    torch.testing.assert_close(aligned.loss, difference_BD.square().sum(-1).mean() / 2)


def test_starts_like_the_alignment_without_flow():
    taps = make_taps()
    surrogates = make(depth=6)
    aligned = surrogates(taps)
    for task in TASKS:
        assert torch.equal(aligned.latents[task], aligned.embeddings[task])


def test_second_half_is_that_of_the_full_output():
    full, half = stir(make(dim=9)), make(dim=9, output="second_half")
    half.load_state_dict(full.state_dict())
    taps = make_taps()
    for task in TASKS:
        assert torch.equal(half(taps).latents[task], full(taps).latents[task][:, 4:])


def test_pair_is_center_times_tasks_and_mean_is_sum_over_dim():
    taps = make_taps()
    center = make()(taps).loss
    torch.testing.assert_close(make(loss="pair")(taps).loss, 2 * center)
    torch.testing.assert_close(make(reduction="mean")(taps).loss, center / 8)


def test_detach_hides_the_loss_from_the_branches():
    surrogates, taps = make(detach=True), make_taps()
    vectors = torch.randn(5, 4, requires_grad=True)
    aligned = surrogates(taps | {"map": vectors})
    torch.testing.assert_close(aligned.loss, make()(taps | {"map": vectors}).loss)
    aligned.loss.backward()
    assert taps["track"]["features"].grad is None and vectors.grad is None
    assert surrogates.aggregators["track"].network[0].weight.grad.abs().max() > 0


def test_surrogates_of_the_tasks_are_independent():
    surrogates = make({"a": 4, "b": 4})
    taps = make_taps({"a": 4, "b": 4})
    aligned = surrogates({"a": taps["a"], "b": taps["a"]})
    assert not torch.allclose(aligned.embeddings["a"], aligned.embeddings["b"])


def test_permutations_are_shared_by_the_tasks():
    surrogates = make(depth=4, permutation_seed=1)
    assert torch.equal(surrogates.flows["track"].orders_PD, surrogates.flows["map"].orders_PD)


@pytest.mark.parametrize("normalize", ["layer", "unit"])
def test_normalised_loss_ignores_the_scale_of_the_embeddings(normalize):
    class Scaled(MLPAggregator):
        factor = 1.0

        def forward(self, tap):
            return self.factor * super().forward(tap)

    surrogates, taps = make(depth=0, normalize=normalize, aggregator=Scaled), make_taps()
    before = surrogates(taps).loss
    Scaled.factor = 0.1
    torch.testing.assert_close(surrogates(taps).loss, before, rtol=1e-2, atol=0)


def test_extensions_add_their_terms():
    taps = make_taps()
    plain = make()(taps)
    assert list(plain.terms) == ["align"] and torch.equal(plain.loss, plain.terms["align"])
    guarded = make(variance_floor=1.0, variance_weight=0.5, covariance_weight=0.25)(taps)
    assert list(guarded.terms) == ["align", "variance", "covariance"]
    torch.testing.assert_close(
        guarded.loss,
        plain.loss + 0.5 * guarded.terms["variance"] + 0.25 * guarded.terms["covariance"],
    )


def test_autocast_changes_nothing():
    surrogates, taps = stir(make(dim=16, aggregator="attention", covariance_weight=1.0)), make_taps()
    plain = surrogates(taps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = surrogates(taps)
    assert torch.equal(under.loss, plain.loss) and under.latents["map"].dtype == torch.float32


def test_training_aligns():
    surrogates, taps = make(), make_taps()
    optimiser = torch.optim.AdamW(surrogates.parameters(), lr=1e-2)
    first = surrogates(taps).loss.item()
    for _ in range(100):
        optimiser.zero_grad()
        loss = surrogates(taps).loss
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1 * first


def test_state_dict_and_deepcopy_keep_the_function():
    taps = make_taps()
    surrogates, other = stir(make(aggregator="mlp", permutation_seed=3)), make(seed=1, permutation_seed=4)
    other.load_state_dict(surrogates.state_dict())
    assert torch.equal(other(taps).loss, surrogates(taps).loss)
    assert torch.equal(copy.deepcopy(surrogates)(taps).loss, surrogates(taps).loss)


def test_other_taps_are_ignored_and_missing_ones_named():
    taps, surrogates = make_taps(), make()
    torch.testing.assert_close(surrogates(taps | {"bev": torch.zeros(1)}).loss, surrogates(taps).loss)
    with pytest.raises(ValueError, match="map"):
        surrogates({"track": taps["track"]})


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "median"},
        {"reduction": "max"},
        {"output": "first"},
        {"normalize": "batch"},
        {"aggregator": "x"},
    ],
)
def test_unknown_choices_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be one of"):
        make(**options)


def test_aggregators_may_differ_between_tasks():
    kinds = {"map": "deformable", "track": "mlp", "depth": lambda features, dim: nn.Linear(features, dim)}
    widths = {"map": 3, "track": 4, "depth": 5}
    surrogates = NexusFlow(widths, dim=8, depth=2, aggregator=kinds)
    assert [type(g).__name__ for g in surrogates.aggregators.values()] == [
        "DeformableAggregator",
        "MLPAggregator",
        "Linear",
    ]
    output = surrogates(
        {"map": torch.randn(2, 3, 4, 4), "track": torch.randn(2, 6, 4), "depth": torch.randn(2, 5)}
    )
    output.loss.backward()
    assert all(weight.grad is not None for weight in surrogates.parameters())
    with pytest.raises(ValueError, match="aggregator names"):
        NexusFlow(widths, aggregator={"map": "mlp"})
    with pytest.raises(ValueError, match="one of mlp"):
        NexusFlow(widths, aggregator=dict.fromkeys(widths, "mpl"))


def test_a_single_task_is_refused():
    with pytest.raises(ValueError, match="two tasks"):
        make({"map": 3})
