"""The selection slice: training rows that choose epoch and learning rate, cut so that it says what new text would.

The training rows of some tasks are pieces of one another. SST-2's are the phrases of 6,920 sentences; MNLI asks three
hypotheses of each premise. A slice cut by rows then holds little that was not trained on, scores far above the rows that
are reported, and keeps getting better while they get worse. So rows that belong together, a *family*, stay together:

- one sentence a row: a row belongs to the longest row that contains it word for word (itself, where none does);
- two sentences a row: rows with the same first sentence belong together.

What is left between slice and training rows are short phrases that several sentences share.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..train.masking import generator
from .rows import Rows

LONGEST = 100
"""Words of the longest row that is looked for in others: longer ones are documents, not phrases of one."""


def families(rows: Rows) -> np.ndarray:
    """int64 [n]: the place of the row that each row belongs to; equal numbers are one family."""
    first, *second = rows.texts
    words = [text.lower().split() for text in first]
    if not second:
        return _longest_containing(words)
    _, place, inverse = np.unique([" ".join(row) for row in words], return_index=True, return_inverse=True)
    return place[inverse].astype(np.int64)


def selection_places(family: np.ndarray, share: float, most: int, seed: int) -> np.ndarray:
    """Places of the rows that are cut off: whole families in an order drawn by seed, `share` of all rows, at most `most`.

    A family that would make the slice larger than that is passed over, unless all are: then the first one drawn is the
    slice. DataError when all rows are one family.
    """
    size = min(most, round(share * len(family)))
    _, place, counts = np.unique(family, return_inverse=True, return_counts=True)
    if len(counts) == 1 and size:
        raise DataError(
            f"the {len(family)} training rows all belong to one sentence: no slice can be cut from them to choose with; "
            "report the last epoch instead (--set select_share=0)"
        )
    order = generator("selection", seed, 0).permutation(len(counts))
    taken = np.zeros(len(counts), dtype=bool)
    left = size
    for i in order:
        if counts[i] <= left:
            taken[i] = True
            left -= counts[i]
            if not left:
                break
    if size and not taken.any():
        taken[order[0]] = True
    return np.flatnonzero(taken[place])


def _longest_containing(rows: list[list[str]]) -> np.ndarray:
    """int64 [n]: of every row the longest row that contains its words one after the other; the first of equal ones.

    Windows of words are compared by a hash of 64 bits, sum of value(word i) * B^i divided by B^start, for each length
    that a row has: a sum over all rows gives every window's by one subtraction.
    """
    lengths = np.array([len(words) for words in rows], dtype=np.int64)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    known: dict[str, int] = {}
    flat = np.array([known.setdefault(word, len(known)) for words in rows for word in words], dtype=np.int64)
    owner = np.repeat(np.arange(len(rows)), lengths)
    random = generator("words of rows", 0, 0)
    value = random.integers(0, 2**64, size=len(known), dtype=np.uint64)[flat]
    base = int(random.integers(0, 2**63)) * 2 + 1  # odd: it has an inverse modulo 2^64
    powers = _powers(base, len(flat))
    inverse = _powers(pow(base, -1, 2**64), len(flat))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(value * powers[:-1], dtype=np.uint64)])
    whole = (sums[ends] - sums[starts]) * inverse[starts]
    # of rows with the same words the first stands for all
    keys = np.stack([whole, lengths.astype(np.uint64)], axis=1)
    _, first, same = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    head = first[same.ravel()].astype(np.int64)
    rank = lengths * len(rows) + (len(rows) - 1 - np.arange(len(rows)))  # longer is more, then earlier is more
    for length in np.unique(lengths[head]):
        if length > LONGEST:
            break
        looked_for = np.unique(head[lengths[head] == length])
        looked_for = looked_for[np.argsort(whole[looked_for])]
        hashes = whole[looked_for]
        at = np.flatnonzero((ends[owner] - np.arange(len(flat)) >= length) & (lengths[owner] > length))
        window = (sums[at + length] - sums[at]) * inverse[at]
        found = np.minimum(np.searchsorted(hashes, window), len(hashes) - 1)
        hit = hashes[found] == window
        best = np.full(len(hashes), -1, dtype=np.int64)
        np.maximum.at(best, found[hit], rank[owner[at[hit]]])
        contained = best >= 0
        head[looked_for[contained]] = len(rows) - 1 - best[contained] % len(rows)
    return head[first[same.ravel()]]


def _powers(base: int, n: int) -> np.ndarray:
    """uint64 [n + 1]: powers of a number modulo 2^64 from 0."""
    steps = np.full(n + 1, base, dtype=np.uint64)
    steps[0] = 1
    return np.cumprod(steps, dtype=np.uint64)
