"""Aggregators: sets in, one vector per sample out; order and padding do not matter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nexusflow.alignment import AttentionAggregator, DeformableAggregator, MLPAggregator

KINDS = {
    "mlp": MLPAggregator,
    "mlp without norm": lambda i, d: MLPAggregator(i, d, layers=1, final_norm=False),
    "attention": lambda i, d: AttentionAggregator(i, d, heads=2, hidden=16),
    "attention, 3 queries": lambda i, d: AttentionAggregator(i, d, layers=2, heads=2, queries=3, hidden=16),
    "deformable": lambda i, d: DeformableAggregator(i, d, heads=2, hidden=16, cells=4),
    "deformable, 1 query": lambda i, d: DeformableAggregator(i, d, heads=2, queries=1, hidden=16, cells=3),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def make(kind: str, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return KINDS[kind](6, 8)


def make_tap(batch: int = 3, queries: int = 10, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "features": torch.randn(batch, queries, 6, generator=generator),
        "weights": torch.rand(batch, queries, generator=generator) + 0.1,
        "positions": torch.rand(batch, queries, 2, generator=generator),
    }


@kinds
def test_shape_and_gradient_to_features_and_every_parameter(kind):
    g, tap = make(kind), make_tap()
    with torch.no_grad():  # deformable attention starts with zero weights, which hide what lies before them
        for weight in g.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    tap["features"].requires_grad_()
    h_BD = g(tap)
    assert h_BD.shape == (3, 8)
    (h_BD * torch.randn(3, 8)).sum().backward()
    assert tap["features"].grad.abs().amax(dim=(1, 2)).min() > 0
    for name, weight in g.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


@kinds
def test_weights_and_positions_get_no_gradient(kind):
    g, tap = make(kind), make_tap()
    for entry in tap.values():
        entry.requires_grad_()
    g(tap).square().sum().backward()
    assert tap["weights"].grad is None and tap["positions"].grad is None


@kinds
@settings(max_examples=10, deadline=None)
@given(queries=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_order_of_tokens_does_not_matter(kind, queries, seed):
    g, tap = make(kind, seed), make_tap(queries=queries, seed=seed)
    order_Q = torch.randperm(queries, generator=torch.Generator().manual_seed(seed))
    shuffled = {name: entry[:, order_Q] for name, entry in tap.items()}
    torch.testing.assert_close(g(shuffled), g(tap), rtol=1e-4, atol=1e-5)


@kinds
@settings(max_examples=10, deadline=None)
@given(padding=st.integers(1, 6), junk=st.sampled_from([0.0, 1e6, float("nan"), float("inf")]))
def test_padding_has_no_influence(kind, padding, junk):
    g, tap = make(kind), make_tap()
    padded = {
        "features": torch.cat((tap["features"], torch.full((3, padding, 6), junk)), dim=1),
        "weights": torch.cat((tap["weights"], torch.zeros(3, padding)), dim=1),
        "positions": torch.cat((tap["positions"], torch.full((3, padding, 2), junk)), dim=1),
    }
    padded["features"].requires_grad_()
    h_BD = g(padded)
    torch.testing.assert_close(h_BD, g(tap), rtol=1e-4, atol=1e-5)
    h_BD.sum().backward()
    assert torch.equal(padded["features"].grad[:, 10:], torch.zeros(3, padding, 6))
    assert padded["features"].grad.isfinite().all()


@kinds
def test_sets_of_different_size_in_one_batch(kind):
    g, tap = make(kind), make_tap()
    tap["weights"][1, 4:] = 0
    short = {name: entry[1:2, :4] for name, entry in tap.items()}
    torch.testing.assert_close(g(tap)[1:2], g(short), rtol=1e-4, atol=1e-5)


@kinds
def test_empty_sets_give_one_finite_embedding(kind):
    g, tap = make(kind), make_tap()
    tap["weights"][:2] = 0
    tap["features"].requires_grad_()
    h_BD = g(tap)
    assert h_BD.isfinite().all()
    assert torch.equal(h_BD[0], h_BD[1]) and not torch.equal(h_BD[0], h_BD[2])
    h_BD.square().sum().backward()
    assert tap["features"].grad.isfinite().all()


@kinds
def test_weights_matter(kind):
    g, tap = make(kind), make_tap()
    light = tap | {"weights": tap["weights"].clone()}
    light["weights"][:, :5] *= 0.01
    assert (g(light) - g(tap)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["attention", "deformable"])
def test_positions_matter(kind):
    g, tap = make(kind), make_tap()
    assert (g(tap | {"positions": 1 - tap["positions"]}) - g(tap)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["attention", "deformable"])
def test_positions_are_required(kind):
    with pytest.raises(ValueError, match="positions"):
        make(kind)({"features": torch.randn(2, 5, 6)})


@pytest.mark.parametrize("kind", ["mlp", "attention"])
def test_weight_two_counts_like_two_tokens(kind):
    g, tap = make(kind), make_tap(queries=3)
    twice = {name: torch.cat((entry, entry[:, :1]), dim=1) for name, entry in tap.items()}
    tap["weights"][:, 0] *= 2
    torch.testing.assert_close(g(tap), g(twice), rtol=1e-4, atol=1e-5)


def test_mlp_reads_the_weighted_mean():
    g = MLPAggregator(2, 4, layers=1, final_norm=False)
    tap = {
        "features": torch.tensor([[[1.0, 0.0], [5.0, 4.0]]]),
        "weights": torch.tensor([[3.0, 1.0]]),
    }
    torch.testing.assert_close(g(tap), g.network[0](torch.tensor([[2.0, 1.0]])))


def test_mlp_counts_linear_layers():
    linear = [part for part in MLPAggregator(6, 8, layers=4).modules() if isinstance(part, torch.nn.Linear)]
    assert len(linear) == 4


@pytest.mark.parametrize("kind", ["mlp", "attention", "deformable"])
def test_final_norm_fixes_the_length(kind):
    h_BD = make(kind)(make_tap())
    torch.testing.assert_close(h_BD.norm(dim=-1), torch.full((3,), 8**0.5), rtol=1e-2, atol=0)


@kinds
def test_dense_maps_and_plain_vectors(kind):
    g, x_BFHW = make(kind), torch.randn(2, 6, 5, 7, requires_grad=True)
    h_BD = g(x_BFHW)
    assert h_BD.shape == (2, 8)
    torch.testing.assert_close(g({"features": x_BFHW}), h_BD)
    h_BD.square().sum().backward()
    assert x_BFHW.grad.abs().max() > 0
    if kind == "mlp":
        vectors_BF = torch.randn(2, 6)
        torch.testing.assert_close(g(vectors_BF), g(vectors_BF[:, None]))


@kinds
def test_autocast_comes_close(kind):
    g, tap = make(kind), make_tap()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h_BD = g(tap | {"features": tap["features"].bfloat16()})
        dense_BD = g(torch.ones(2, 6, 4, 4).bfloat16())
    torch.testing.assert_close(h_BD.float(), g(tap), rtol=0, atol=0.1)
    torch.testing.assert_close(dense_BD.float(), g(torch.ones(2, 6, 4, 4)), rtol=0, atol=0.1)


@kinds
def test_different_samples_start_with_different_embeddings(kind):
    assert make(kind)(make_tap(batch=64)).std(0).mean() > 0.05


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="divide"):
        AttentionAggregator(6, 10, heads=4)
    with pytest.raises(ValueError, match="divide"):
        DeformableAggregator(6, 10, heads=4)
    with pytest.raises(ValueError, match="layer"):
        MLPAggregator(6, 10, layers=0)
