"""Fingerprints of units: a hash of the text, and MinHash bands that near-duplicates have in common.

A unit's signature is 64 minima over its word triples, in 16 bands of 4. Two units with Jaccard similarity s share at
least one band with probability 1 - (1 - s^4)^16: .9998 at .8, .98 at .68, .64 at .5 (Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, 3.4). Whether they really are near-duplicates is checked on the texts.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np

BANDS, ROWS = 16, 4
SEED = 42
_TOGETHER = 4096
"""Units whose triples exist at once."""

_WORD = re.compile(r"\w+")


def text_hashes(units: list[bytes]) -> np.ndarray:
    """uint64 [n]: BLAKE2b of each text, 8 bytes."""
    digests = b"".join(hashlib.blake2b(unit, digest_size=8).digest() for unit in units)
    return np.frombuffer(digests, dtype="<u8")


def triples(unit: str) -> set[str]:
    """The runs of three words of a text, case and punctuation aside; of a shorter text, all of it."""
    words = _WORD.findall(unit.lower())
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def jaccard(one: set[str], other: set[str]) -> float:
    """Size of the intersection over size of the union."""
    return len(one & other) / max(1, len(one | other))


def band_hashes(units: list[str]) -> np.ndarray:
    """uint64 [n, BANDS]: one number a band; near-duplicates have at least one of them in common, in its place."""
    some = [_band_hashes(units[i : i + _TOGETHER]) for i in range(0, len(units), _TOGETHER)]
    return np.concatenate([np.empty((0, BANDS), dtype=np.uint64), *some])


def _band_hashes(units: list[str]) -> np.ndarray:
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

    matrix = RMinHash.digest_matrix_from_token_sets([list(triples(u)) for u in units], BANDS * ROWS, SEED)
    minima = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(units), BANDS, ROWS)
    bands = np.full((len(units), BANDS), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for row in range(ROWS):
        bands = (bands ^ minima[:, :, row]) * np.uint64(0xBF58476D1CE4E5B9)
        bands ^= bands >> np.uint64(31)
    return bands
