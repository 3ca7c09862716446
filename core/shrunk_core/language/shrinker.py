"""What one batch of documents becomes: text of the three splits, a row for each kept document, and counts.

A batch depends on nothing but its documents and the recipe, so batches can be worked out in any process and written in
order, with the same bytes in the end.
"""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass

import numpy as np

from ..config.language_spec import CorpusSpec
from .batches import Batch
from .filter import EXAMPLES, Filter, FilterCounts, Rule
from .fingers import band_hashes, text_hashes
from .scan import Forms
from .source import Tally
from .split import SPLITS, place, split_at
from .words import Normalisation

DOCUMENT = np.dtype([("source", "<u2"), ("place", "<f8"), ("units", "<u4")])
"""A kept document: which of `sources` it is of, where its hash puts it in [0, 1), and its kept units."""

EXAMPLE_CHARACTERS = 300


@dataclass(frozen=True, eq=False)
class WordCounts:
    """Words and how often each is met, in a form that goes from one process to another in no time: the words, which hold no
    spaces, in one string."""

    words: str
    times: np.ndarray

    @classmethod
    def of(cls, counts: dict[str, int]) -> WordCounts:
        return cls(" ".join(counts), np.fromiter(counts.values(), dtype=np.int64, count=len(counts)))

    def add_to(self, counts: dict[str, int]) -> None:
        words = self.words.split()
        before = map(counts.get, words, itertools.repeat(0))
        dict.update(counts, zip(words, map(operator.add, before, self.times.tolist()), strict=True))


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A batch, shrunk. text: UTF-8, a unit a line, a blank line after each document. columns: by split and name, what
    is known of its units: `words` (u4), and where duplicates are removed `hashes` (u8) and `bands` (u8 [units, bands]).
    """

    text: dict[str, bytes]
    documents: dict[str, np.ndarray]
    columns: dict[str, dict[str, np.ndarray]]
    counts: FilterCounts
    unknown: WordCounts
    kept: list[str]
    dropped: list[str]
    size: int
    tally: Tally


class Shrinker:
    """Makes a `Shrunk` of a batch. Of a control only train documents: what it holds out is of another corpus."""

    def __init__(self, corpus: CorpusSpec, vocabulary: frozenset[str] | None) -> None:
        self.corpus = corpus
        self.filter = Filter(vocabulary, Rule.of(corpus))

    def __call__(self, batch: Batch) -> Shrunk:
        documents, tally = batch.read()
        corpus = self.corpus
        size = sum(len(d.data) for d in documents)
        places = [place(d.data) for d in documents]
        if corpus.evaluation_from:
            train = [split_at(at, corpus) == "train" for at in places]
            documents = list(itertools.compress(documents, train))
            places = list(itertools.compress(places, train))
        kept = self.filter.apply(documents)
        lines = kept.text.split(b"\n") if len(kept.words) else []
        text: dict[str, list[bytes]] = {split: [] for split in SPLITS}
        rows: dict[str, list[tuple[int, float, int]]] = {split: [] for split in SPLITS}
        split_of_unit = np.zeros(len(lines), dtype=np.uint8)
        start = 0
        for at, end in zip(places, np.cumsum(kept.per_document).tolist(), strict=True):
            if end > start:
                split = split_at(at, corpus)
                split_of_unit[start:end] = SPLITS.index(split)
                text[split] += (*lines[start:end], b"")
                rows[split].append((batch.entry, at, end - start))
            start = end
        columns = {"words": kept.words.astype(np.uint32)}
        if corpus.duplicates != "keep":
            columns["hashes"] = text_hashes(lines)
        if corpus.duplicates == "near":
            columns["bands"] = band_hashes(kept.units)
        return Shrunk(
            text={split: b"\n".join([*text[split], b""]) if text[split] else b"" for split in SPLITS},
            documents={split: np.array(rows[split], dtype=DOCUMENT) for split in SPLITS},
            columns={s: {name: c[split_of_unit == i] for name, c in columns.items()} for i, s in enumerate(SPLITS)},
            counts=kept.counts,
            unknown=WordCounts.of(kept.unknown),
            kept=[u.decode()[:EXAMPLE_CHARACTERS] for u in lines[:: len(lines) // EXAMPLES + 1]],
            dropped=[u[:EXAMPLE_CHARACTERS] for u in kept.dropped],
            size=size,
            tally=tally,
        )


class WordCounter:
    """Counts the normalised words of the train documents of a batch; held-out documents have no say in a vocabulary."""

    def __init__(self, corpus: CorpusSpec) -> None:
        self.corpus = corpus
        self._begin()

    def _begin(self) -> None:
        self._forms = Forms(Normalisation.of(self.corpus))

    def __call__(self, batch: Batch) -> tuple[WordCounts, int]:
        """Words, and bytes of all documents."""
        if self._forms.full:
            self._begin()
        documents = [d.data for d in batch.read()[0]]
        train = [data for data in documents if split_at(place(data), self.corpus) == "train"]
        return WordCounts.of(self._forms.counted(train)), sum(map(len, documents))
