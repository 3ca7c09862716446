"""Where units start and stop among the surfaces of documents: spans, grown spans. Pure functions on arrays."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def documents_of(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and stops of whole documents, without the empty ones."""
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    real = ends > starts
    return starts[real], ends[real]


def spans(ends: np.ndarray, words: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of `words` surfaces every `stride`, per document, until its end is covered; the last may be shorter."""
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    sizes = ends - starts
    counts = np.where(sizes > 0, np.maximum(1, 1 + -(-(sizes - words) // stride)), 0)
    first = np.cumsum(counts) - counts
    nth = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(first, counts)
    from_ = np.repeat(starts, counts) + nth * stride
    return from_, np.minimum(from_ + words, np.repeat(ends, counts))


def grown_spans(
    sentence_starts: np.ndarray,
    document_ends: np.ndarray,
    counted: np.ndarray,
    unknown: np.ndarray,
    min_words: int,
    max_oov: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Starts and stops of grown spans, and how many sentence starts were tried in vain.

    A span grows from a sentence start, word by word, over sentence ends, until its document ends or the next surface
    would lift its share of unknown words over `max_oov`; it counts if it has `min_words` counted words by then. The next
    one starts at the first sentence start behind it, or, after a vain one, at the next sentence start.

    counted, unknown: int64 [n + 1], counted and unknown words of all surfaces before each (prefix sums).
    """
    share = Fraction(str(max_oov))
    # Over the limit after j iff unknown[j] - unknown[s] > share * (counted[j] - counted[s]), so iff excess[j] > excess[s]:
    # exact in whole numbers, and the excess rises only at surfaces with unknown words.
    excess = (unknown * share.denominator - counted * share.numerator).tolist()
    rises = np.flatnonzero(np.diff(unknown)) + 1
    first_rise = np.searchsorted(rises, sentence_starts, side="right").tolist()
    limits = document_ends[np.searchsorted(document_ends, sentence_starts, side="right")].tolist()
    positions = [*rises.tolist(), len(unknown) + 1]
    words = counted.tolist()
    starts: list[int] = []
    stops: list[int] = []
    tried = 0
    behind = 0
    for start, nth, limit in zip(sentence_starts.tolist(), first_rise, limits, strict=True):
        if start < behind:
            continue
        base = excess[start]
        while positions[nth] <= limit and excess[positions[nth]] <= base:
            nth += 1
        stop = min(positions[nth] - 1, limit)
        if words[stop] - words[start] >= min_words:
            starts.append(start)
            stops.append(stop)
            behind = stop
        else:
            tried += 1
    return np.array(starts, dtype=np.int64), np.array(stops, dtype=np.int64), tried
