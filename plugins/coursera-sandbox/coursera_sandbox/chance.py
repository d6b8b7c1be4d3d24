"""Chance without state: numbers that depend on nothing but a seed, a purpose and the keys they belong to.

Every random-looking choice of the world is `splitmix64` over its keys, on whole numpy arrays at once. So any
learner's life can be computed alone, in any order, by any process, and comes out the same.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Hashes: TypeAlias = NDArray[np.uint64]

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _scramble(x: Hashes) -> Hashes:
    """Return the last step of splitmix64, in which each bit of the input changes half of the bits of the output."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def label(seed: int, purpose: str) -> int:
    """Return a 64-bit starting value for one purpose under one seed."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest(), "big")


def hashes(start: int, *keys: Ints | Hashes | int) -> Hashes:
    """Return 64 scrambled bits per element; keys broadcast against each other."""
    state: Hashes = np.full(1, start & _WORD, dtype=np.uint64)
    for key in keys:
        words = np.asarray(key).astype(np.uint64)
        state = _scramble((state ^ words) + np.uint64(_GOLDEN))
    return state


def unit(bits: Hashes) -> Floats:
    """Return uniformly distributed numbers, 0 <= u < 1."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def opaque(seed: int, what: str, octets: int = 16) -> str:
    """Return a base64url name without padding: 22 characters for 16 octets, as in the vendor's ids."""
    digest = hashlib.blake2b(f"{seed}#{what}".encode(), digest_size=octets).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
