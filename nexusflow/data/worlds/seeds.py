"""Random streams and tokens that depend on names only, never on the order of work."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "token"]


def _digest(seed: int, names: tuple[str | int, ...], size: int) -> bytes:
    text = "/".join([str(seed), *map(str, names)])
    return hashlib.blake2b(text.encode(), digest_size=size).digest()


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Make the random stream of one unit of work.

    Args:
        seed: seed of the world.
        names: what the stream is for, e.g. ``"street", 3, "traffic"``.

    Returns:
        A generator that is the same whichever process asks for it.
    """
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(seed, names, 16), "little")))


def token(seed: int, *names: str | int) -> str:
    """Make the nuScenes token of a record.

    Args:
        seed: seed of the world.
        names: the record's table and name.

    Returns:
        32 hexadecimal digits.
    """
    return _digest(seed, ("token", *names), 16).hex()
