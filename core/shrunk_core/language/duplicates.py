"""Removal of units that repeat another one: the same text, or nearly.

Over all splits there is one order: test, validation, train, each as it was written. Of two equal units the later goes,
so that what is held out stays held out, and stays when more text is added. A near-duplicate goes if an earlier unit that
shares a MinHash band with it (the first and the previous one of that band are looked at) has a Jaccard similarity of word
triples of at least `near_share`. Memory does not grow with the corpus: hashes are read from disk a bucket at a time.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .draft import Draft
from .fingers import BANDS, jaccard, triples

ORDER = ("test", "validation", "train")
BUCKET = 8_000_000
"""Hashes sorted at once (16 bytes each, and as much for sorting)."""

_CHUNK = 4_000_000
EXACT, NEAR = 1, 2


def mark_duplicates(draft: Draft, kind: str, near_share: float) -> Iterator[tuple[int, int, dict[str, np.ndarray]]]:
    """uint8 [units] for each split: 0 stays, `EXACT` or `NEAR` goes. Yields (steps done, steps, what is known so far)."""
    sizes = [len(draft.column(split, "words")) for split in ORDER]
    marks = np.zeros(sum(sizes), dtype=np.uint8)
    steps = 1 + (BANDS if kind == "near" else 0)
    edges = np.cumsum([0, *sizes])
    by_split = {split: marks[edges[i] : edges[i + 1]] for i, split in enumerate(ORDER)}
    for _, later in _pairs([draft.column(split, "hashes") for split in ORDER], marks):
        marks[later] = EXACT
    yield 1, steps, by_split
    if kind == "near":
        with _Texts(draft, sizes) as texts:
            for band in range(BANDS):
                near = [
                    later
                    for earlier, laters in _groups([draft.column(s, "bands")[:, band] for s in ORDER], marks)
                    for later in _repeats(texts, earlier, laters, near_share)
                ]
                marks[near] = NEAR
                yield 2 + band, steps, by_split


def _buckets(parts: list[np.ndarray], marks: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(numbers, hashes) of the units not marked yet, sorted by hash, then number; equal hashes are in one bucket."""
    total = sum(map(len, parts))
    count = -(-total // BUCKET)
    for bucket in range(count):
        numbers, hashes = [], []
        base = 0
        for part in parts:
            for at in range(0, len(part), _CHUNK):
                chunk = np.asarray(part[at : at + _CHUNK])
                wanted = marks[base + at : base + at + len(chunk)] == 0
                if count > 1:
                    wanted &= chunk % np.uint64(count) == bucket
                numbers.append(np.flatnonzero(wanted) + base + at)
                hashes.append(chunk[wanted])
            base += len(part)
        number, value = np.concatenate(numbers), np.concatenate(hashes)
        order = np.argsort(value, kind="stable")
        yield number[order], value[order]


def _pairs(parts: list[np.ndarray], marks: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(earlier, later): unit numbers with equal hashes, neighbours in order."""
    for numbers, hashes in _buckets(parts, marks):
        equal = hashes[1:] == hashes[:-1]
        yield numbers[:-1][equal], numbers[1:][equal]


def _groups(parts: list[np.ndarray], marks: np.ndarray) -> Iterator[tuple[int, list[int]]]:
    """Units with equal hashes: the first, and the others in order."""
    for numbers, hashes in _buckets(parts, marks):
        if len(hashes) == 0:
            continue
        starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        lengths = np.diff(np.concatenate([starts, [len(hashes)]]))
        for start, length in zip(starts[lengths > 1].tolist(), lengths[lengths > 1].tolist(), strict=True):
            group = numbers[start : start + length].tolist()
            yield group[0], group[1:]


def _repeats(texts: _Texts, first: int, others: list[int], near_share: float) -> Iterator[int]:
    """Those of `others` that nearly repeat the first of their group or the one before them."""
    of_first = before = triples(texts[first])
    for number in others:
        now = triples(texts[number])
        if jaccard(of_first, now) >= near_share or jaccard(before, now) >= near_share:
            yield number
        before = now


class _Texts:
    """Units by their number in `ORDER`, read from the draft's text files."""

    def __init__(self, draft: Draft, sizes: list[int]) -> None:
        self._edges = np.cumsum([0, *sizes])
        self._maps: list[mmap.mmap | None] = []
        self._ends: list[np.ndarray] = []
        for split in ORDER:
            path = draft.text(split)
            with open(path, "rb") as file:
                self._maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else None)
            self._ends.append(_unit_ends(path))

    def __enter__(self) -> _Texts:
        return self

    def __exit__(self, *_: object) -> None:
        for text in self._maps:
            if text is not None:
                text.close()

    def __getitem__(self, number: int) -> str:
        i = int(np.searchsorted(self._edges, number, side="right")) - 1
        text = self._maps[i]
        assert text is not None
        end = int(self._ends[i][number - self._edges[i]])
        start = text.rfind(b"\n", 0, end) + 1
        return text[start:end].decode()


def _unit_ends(path: Path) -> np.ndarray:
    """int64 [units]: where each line that is not blank ends in a file, before its newline."""
    ends = []
    offset = 0
    before = 10  # the byte before the chunk: a file that begins with a newline begins with a blank line
    with open(path, "rb") as file:
        while data := file.read(1 << 24):
            chunk = np.frombuffer(data, dtype=np.uint8)
            newline = chunk == 10
            after_newline = np.concatenate([[before == 10], newline[:-1]])
            ends.append(np.flatnonzero(newline & ~after_newline) + offset)
            before = int(chunk[-1])
            offset += len(data)
    return np.concatenate(ends) if ends else np.empty(0, dtype=np.int64)
