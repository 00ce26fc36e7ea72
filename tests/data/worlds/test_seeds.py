from __future__ import annotations

from nexusflow.data.worlds.seeds import generator, token


def test_streams_depend_on_seed_and_names_only() -> None:
    draws = [
        generator(*key).integers(1 << 60)
        for key in ((0, "a", 1), (0, "a", 1), (1, "a", 1), (0, "a", 2), (0, "a1"))
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 4


def test_tokens_are_32_hex_digits_and_differ() -> None:
    tokens = {token(seed, "sample", k) for seed in range(3) for k in range(20)}
    assert len(tokens) == 60
    assert all(len(t) == 32 and set(t) <= set("0123456789abcdef") for t in tokens)
