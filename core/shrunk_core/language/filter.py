"""The filter that shrinks a language: units of a document are kept if their words are in the vocabulary.

A text becomes an array of numbers of its forms (lexicon.py), units are ranges of surfaces (scan.py), and counted words and
words out of vocabulary are sums over forms. Only what is kept is ever copied: with single spaces, in lower case unless the
recipe says otherwise.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..config.language_spec import CorpusSpec
from .kept_text import joined_units
from .lexicon import Growing, Scan
from .scan import Block, Document, Forms, Scanner
from .units import grown_spans
from .words import ALWAYS_KNOWN, THE_PAPERS, Normalisation

EXAMPLES = 10
"""Units of a batch that are told of as examples, evenly spread, at most."""

_UNKNOWN_BITS = 32
_UNKNOWN = 1 << _UNKNOWN_BITS
"""Counted words and unknown words of a form in one number, so that one sum gives both."""


@dataclass
class FilterCounts:
    """What the filter saw and did. A word is what stands between two spaces; overlapping spans count theirs again."""

    documents: int = 0
    documents_kept: int = 0
    units_seen: int = 0
    units_short: int = 0
    units_out_of_vocabulary: int = 0
    units_kept: int = 0
    words_seen: int = 0
    words_kept: int = 0
    counted_words: int = 0
    counted_out_of_vocabulary: int = 0

    def add(self, other: FilterCounts) -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a unit is kept: at least `min_words` counted words, of which at most `max_oov` (a share) are unknown."""

    unit: str
    min_words: int
    max_oov: float
    span_words: int = 110
    span_stride: int = 30
    lower_case: bool = True
    how: Normalisation = THE_PAPERS

    @classmethod
    def of(cls, corpus: CorpusSpec) -> Rule:
        """The rule of a recipe; without the vocabulary filter every word counts as known."""
        return cls(
            unit=corpus.unit,
            min_words=corpus.fewest_words,
            max_oov=corpus.max_oov,
            span_words=corpus.span_words,
            span_stride=corpus.span_stride,
            lower_case=corpus.store_lower_case,
            how=Normalisation.of(corpus),
        )


@dataclass(frozen=True, eq=False)
class Kept:
    """What one call of `Filter.apply` kept of its documents.

    text: the kept units as UTF-8, in order, a line each, without a last line end. words: int64 [k], words of each.
    per_document: int64 [documents], its kept units. unknown: occurrences of each word out of vocabulary. dropped: some
    units with unknown words, as they were written.
    """

    text: bytes
    words: np.ndarray
    per_document: np.ndarray
    counts: FilterCounts
    unknown: Counter[str]
    dropped: list[str]

    @property
    def units(self) -> list[str]:
        return self.text.decode().split("\n") if len(self.words) else []


class Filter:
    """Applies one rule with one vocabulary to documents. `vocabulary` None: every word is known.

    What is kept of a document depends on that document alone.
    """

    def __init__(self, vocabulary: frozenset[str] | None, rule: Rule) -> None:
        self.vocabulary = None if vocabulary is None else vocabulary | ALWAYS_KNOWN
        self.rule = rule
        # Forms that are one known word, met before any text is: most of a text, so that nothing else need be asked of them.
        self._plain = [
            w
            for w in vocabulary or ()
            if w.isascii() and w.isalpha() and len(w) > 1 and (w.islower() or not rule.how.lower_case)
        ]
        self.counts = FilterCounts()
        self.unknown: Counter[str] = Counter()
        self._scanner = Scanner(rule.unit, (rule.span_words, rule.span_stride), self._grow)
        self._begin()

    def _begin(self) -> None:
        self._tally, self._small, self._plain_forms = Growing(), Growing(np.uint8), Growing(np.uint8)
        self._add(np.ones(1, dtype=np.int64), np.zeros(1, dtype=bool))  # a link
        self._strange: dict[int, str] = {}  # unknown words, with spaces, of forms that are not one word as it is
        self._plain_are_known = True
        self.forms = Forms(self.rule.how, self._learn)
        self.forms.meet(self._plain)
        self._plain_are_known = self.vocabulary is None
        self._scanner.forget()

    def _learn(self, first: int, plain: np.ndarray) -> None:
        """Counted and unknown words of forms met first."""
        tally = np.full(len(plain), 1 if self._plain_are_known else 1 + _UNKNOWN, dtype=np.int64)
        others = np.flatnonzero(~plain)
        words = self.forms.words_of((first + others).tolist())
        counted = np.fromiter((len(w) and w.count(" ") + 1 for w in words), dtype=np.int64, count=len(words))
        tally[others] = counted
        vocabulary = self.vocabulary
        if vocabulary is not None:
            known = map(vocabulary.__contains__, " ".join(filter(None, words)).split())
            unknown = np.repeat(others, counted)[~np.fromiter(known, dtype=bool, count=int(counted.sum()))]
            np.add.at(tally, unknown, _UNKNOWN)
            strange = tally[others] >= _UNKNOWN
            for number, of_form in zip(
                (first + others[strange]).tolist(), itertools.compress(words, strange), strict=True
            ):
                if " " in of_form:
                    of_form = " ".join([word for word in of_form.split() if word not in vocabulary])
                self._strange[number] = of_form
        self._add(tally, plain)

    def _add(self, tally: np.ndarray, plain: np.ndarray) -> None:
        from .unit_kernels import LOOK

        self._small.add(np.minimum(tally, LOOK))
        self._tally.add(tally)
        self._plain_forms.add(plain)

    def keep(self, documents: Sequence[Document]) -> list[list[str]]:
        """The kept units of each document, in order; what is counted is added to `counts` and `unknown`, the occurrences of
        each word out of vocabulary."""
        kept = self.apply(documents)
        self.counts.add(kept.counts)
        self.unknown.update(kept.unknown)
        units = kept.units
        cuts = np.concatenate([[0], np.cumsum(kept.per_document)]).tolist()
        return [units[a:b] for a, b in itertools.pairwise(cuts)]

    def blocks(self, documents: Sequence[Document]) -> Iterator[Block]:
        """The documents, some at once, cut into units by the rule. Numbers of forms hold for one call."""
        if self.forms.full:
            self._begin()
        return self._scanner.blocks(documents, self.forms)

    def apply(self, documents: Sequence[Document]) -> Kept:
        """What is kept of some documents, and counts. Fastest with a few megabytes of text at once."""
        times = Growing()
        found = []
        for block in self.blocks(documents):
            times.add(np.zeros(len(self._tally) - len(times), dtype=np.int64))
            found.append(self._apply(block, times.array()))
        counts = FilterCounts()
        for part in found:
            counts.add(part.counts)
        return Kept(
            text=b"\n".join([part.text for part in found if len(part.words)]),
            words=np.concatenate([part.words for part in found] or [np.empty(0, dtype=np.int64)]),
            per_document=np.concatenate([part.per_document for part in found] or [np.empty(0, dtype=np.int64)]),
            counts=counts,
            unknown=self._unknown_words(times.array()),
            dropped=list(itertools.chain.from_iterable(part.dropped for part in found)),
        )

    def _apply(self, block: Block, times: np.ndarray) -> _KeptOfBlock:
        rule = self.rule
        of_unit = self._of_units(block, times)
        counted, unknown = of_unit & (_UNKNOWN - 1), of_unit >> _UNKNOWN_BITS
        long_enough = counted >= rule.min_words
        # Of a grown span the growing has seen to it.
        in_vocabulary = unknown <= counted * rule.max_oov if rule.unit != "grown-span" else np.ones_like(long_enough)
        kept = np.flatnonzero(long_enough & in_vocabulary)
        strange = np.flatnonzero(long_enough & ~in_vocabulary)
        short = block.in_vain + int((~long_enough).sum())
        first, last = block.first[kept], block.last[kept]
        per_document = np.bincount(block.document[kept], minlength=block.documents)
        examples = strange[:: len(strange) // EXAMPLES + 1]
        dropped = joined_units(block.text, block.scan, block.first[examples], block.last[examples], False)
        counts = FilterCounts(
            documents=block.documents,
            documents_kept=int((per_document > 0).sum()),
            units_seen=len(kept) + short + len(strange),
            units_short=short,
            units_out_of_vocabulary=len(strange),
            units_kept=len(kept),
            words_seen=block.words,
            words_kept=int((last - first).sum()),
            counted_words=int(counted.sum()),
            counted_out_of_vocabulary=int(unknown.sum()),
        )
        return _KeptOfBlock(
            text=joined_units(block.text, block.scan, first, last, rule.lower_case),
            words=last - first,
            per_document=per_document,
            counts=counts,
            dropped=dropped.decode().split("\n") if len(examples) else [],
        )

    def _of_units(self, block: Block, times: np.ndarray) -> np.ndarray:
        """int64 [units]: their tallies. Forms with unknown words are counted in `times`, whether in a unit or not."""
        first, last = block.first, block.last
        if np.array_equal(first[1:], last[:-1]):  # one behind the other
            return np.diff(self._sums(block.scan, np.append(first, last[-1:]), times, _UNKNOWN))
        marks = np.union1d(first, last)
        sums = self._sums(block.scan, marks, times, _UNKNOWN)
        return sums[np.searchsorted(marks, last)] - sums[np.searchsorted(marks, first)]

    def _sums(self, scan: Scan, surfaces: np.ndarray, times: np.ndarray, strange: int) -> np.ndarray:
        """int64 [surfaces]: tallies of the forms before each of these surfaces, which rise. Forms of a tally of `strange` and
        more are counted in `times`."""
        from .unit_kernels import add_up

        sums = np.empty(len(surfaces), dtype=np.int64)
        add_up(scan.numbers, scan.before[surfaces], self._small.array(), self._tally.array(), sums, times, strange)
        return sums

    def _grow(self, heads: np.ndarray, scan: Scan) -> tuple[np.ndarray, np.ndarray, int]:
        every = np.arange(len(scan.before))
        sums = self._sums(scan, every, np.empty(0, dtype=np.int64), np.iinfo(np.int64).max)
        counted, unknown = sums & (_UNKNOWN - 1), sums >> _UNKNOWN_BITS
        return grown_spans(heads, scan.first[1:], counted, unknown, self.rule.min_words, self.rule.max_oov)

    def _unknown_words(self, times: np.ndarray) -> Counter[str]:
        """How often each unknown word is met, by how often each form that has some is."""
        met = np.flatnonzero(times)
        plain = self._plain_forms.array()[met] > 0
        words, others = met[plain], met[~plain]
        names = self.forms.names
        found = Counter(dict(zip(map(names.__getitem__, words.tolist()), times[words].tolist(), strict=True)))
        strange = self._strange
        for number, n in zip(others.tolist(), times[others].tolist(), strict=True):
            for word in strange[number].split():
                found[word] += n
        return found

    def top_unknown(self, n: int) -> list[tuple[str, int]]:
        """The n most frequent words out of vocabulary in the documents that `keep` saw, with their counts."""
        return most_frequent(self.unknown, n)


@dataclass(frozen=True, eq=False)
class _KeptOfBlock:
    """As `Kept`, of one block."""

    text: bytes
    words: np.ndarray
    per_document: np.ndarray
    counts: FilterCounts
    dropped: list[str]


def most_frequent(counts: Counter[str], n: int) -> list[tuple[str, int]]:
    """The n words counted most often, ties by spelling."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]
