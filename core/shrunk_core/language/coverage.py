"""What a vocabulary makes of a text: the words it covers, the sentences it keeps, and how both grow with its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..config.language_spec import CorpusSpec
from .batches import batches
from .filter import Filter, Rule, most_frequent
from .lexicon import Growing
from .scan import Block, Document, Forms
from .sources import Reading, resolve
from .vocabulary import Vocabulary
from .words import ALWAYS_KNOWN

CURVE_POINTS = 24


@dataclass
class SourceCoverage:
    """Of one source: counted words and those in the list; units of at least `min_words`, and those with listed words
    only."""

    source: str
    words: int = 0
    words_known: int = 0
    units: int = 0
    units_kept: int = 0


@dataclass
class Coverage:
    """sources: one row each. left_out: the most frequent words not in the list, with their counts. curve: (n, share of
    the units kept, share of the words covered) with the first n words of the list, in its own order.
    """

    sources: list[SourceCoverage] = field(default_factory=list)
    left_out: list[tuple[str, int]] = field(default_factory=list)
    curve: list[tuple[int, float, float]] = field(default_factory=list)


def coverage(corpus: CorpusSpec, vocabulary: Vocabulary, most: int = 50) -> Iterator[tuple[int, int, Coverage]]:
    """Read the sources of a recipe; yields (bytes read, bytes in all, coverage so far), the last time with everything.

    A unit counts as kept when all its counted words are in the list, whatever `max_oov` says.
    """
    sources = resolve(corpus)
    reading = Reading(corpus, sources)
    found = Coverage([SourceCoverage(source.name) for source in sources])
    ranks = _Ranks(corpus, vocabulary)
    for batch in batches(reading):
        ranks.add(batch.read()[0], found.sources[batch.source])
        yield batch.position, reading.total_bytes, found
    found.left_out = most_frequent(ranks.unknown, most)
    found.curve = ranks.curve()
    yield reading.total_bytes, reading.total_bytes, found


class _Ranks:
    """How far down the list a unit reaches: the place of its rarest word decides from which size on it is kept."""

    def __init__(self, corpus: CorpusSpec, vocabulary: Vocabulary) -> None:
        self._sieve = Filter(None, Rule.of(corpus))
        self._forms = Forms(self._sieve.rule.how)
        self._rank = {word: i for i, word in enumerate(vocabulary.ordered, 1)} | dict.fromkeys(ALWAYS_KNOWN, 0)
        self._outside = len(vocabulary.ordered) + 1
        self._units = np.zeros(self._outside + 1, dtype=np.int64)  # units by the rank of their rarest word
        self._words = np.zeros(self._outside + 1, dtype=np.int64)
        self.unknown: Counter[str] = Counter()

    def add(self, documents: list[Document], of: SourceCoverage) -> None:
        for block in self._sieve.blocks(documents):
            self._add(block, of)

    def _learn(self) -> None:
        """Words, and the rank of the rarest, of the forms met since the last time."""
        if self._forms is not self._sieve.forms:  # its lexicon was full and began anew
            self._forms = self._sieve.forms
            self._counted, self._lowest = Growing(), Growing()
            self._names: list[list[str]] = []
        new = [of.split() for of in self._forms.words_of(list(range(len(self._names), len(self._forms))))]
        self._names += new
        self._counted.add(np.array([len(words) for words in new], dtype=np.int64))
        rarest = [max((self._rank.get(word, self._outside) for word in words), default=0) for words in new]
        self._lowest.add(np.array(rarest, dtype=np.int64))

    def _add(self, block: Block, of: SourceCoverage) -> None:
        self._learn()
        numbers = block.scan.numbers
        sums = np.concatenate([[0], np.cumsum(self._counted.array()[numbers])])
        first, last = block.scan.before[block.first], block.scan.before[block.last]
        long_enough = sums[last] - sums[first] >= self._sieve.rule.min_words
        first, last = first[long_enough], last[long_enough]
        rarest = _largest(self._lowest.array()[numbers], first, last)
        by_rank = np.bincount(rarest, minlength=self._outside + 1)
        self._units += by_rank
        of.units += len(first)
        of.units_kept += int(by_rank[: self._outside].sum())
        times = np.bincount(numbers)
        for number, n in zip(np.flatnonzero(times).tolist(), times[times > 0].tolist(), strict=True):
            for word in self._names[number]:
                rank = self._rank.get(word, self._outside)
                self._words[rank] += n
                of.words += n
                if rank == self._outside:
                    self.unknown[word] += n
                else:
                    of.words_known += n

    def curve(self) -> list[tuple[int, float, float]]:
        """(size, share of units kept, share of words covered) at sizes in even ratios."""
        units, words = np.cumsum(self._units), np.cumsum(self._words)
        size = self._outside - 1
        points = np.unique(np.geomspace(min(100, size), size, CURVE_POINTS).astype(int))
        return [
            (int(n), float(units[n]) / max(1, int(units[-1])), float(words[n]) / max(1, int(words[-1]))) for n in points
        ]


def _largest(values: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Largest of `values` from each of `starts` to before the same of `stops` (units may overlap, none is empty)."""
    if len(starts) == 0:
        return np.empty(0, dtype=np.int64)
    edges = np.column_stack([starts, stops]).ravel()
    return np.maximum.reduceat(np.append(values, 0), edges)[::2]
