"""Which documents are left out so that sources mix as asked: always those whose hash puts them last.

A document's place in [0, 1) (split.py) gives it a second, unrelated place here, so that leaving out is independent of the
splits, and more documents move the threshold but never the order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 1 << 16
"""Precision of a threshold: a document is left out by one of so many steps of its second place."""


def second_places(places: np.ndarray) -> np.ndarray:
    """int64 [n] in [0, BINS): a scramble (splitmix64's) of the documents' places [n]."""
    x = (places * 2.0**48).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(48)).astype(np.int64)


def wanted_words(
    available: Sequence[int], weights: Sequence[float], pattern: Sequence[int], most: int
) -> list[float] | None:
    """Words wanted of each source, or None if all are. available: train words of each source.

    weights: the mix asked for; () for none. pattern: words of each source in the corpus that a control follows; ().
    most: words in all; 0 for no limit.
    """
    if weights:
        scale = min(have / weight for have, weight in zip(available, weights, strict=True))
        wanted = [scale * weight for weight in weights]
    elif pattern:
        wanted = [min(have, want) for have, want in zip(available, pattern, strict=True)]
    else:
        wanted = [float(have) for have in available]
    if most and sum(wanted) > most:
        wanted = [want * most / sum(wanted) for want in wanted]
    return None if wanted == list(available) else [float(w) for w in wanted]


def thresholds(histogram: np.ndarray, wanted: Sequence[float]) -> np.ndarray:
    """int64 [sources]: documents of a source stay if their second place is below. histogram: words [sources, BINS]."""
    sums = np.cumsum(histogram, axis=1)
    full = sums[:, -1]
    cuts = [
        BINS if want >= have else int(np.searchsorted(row, want, side="right"))
        for row, have, want in zip(sums, full, wanted, strict=True)
    ]
    # One document is better than none of a source that was asked for.
    first = np.argmax(histogram > 0, axis=1) + 1
    return np.maximum(cuts, np.where((np.asarray(wanted) > 0) & (full > 0), first, 0)).astype(np.int64)
