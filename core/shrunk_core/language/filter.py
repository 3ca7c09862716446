"""The filter that shrinks a language: units of a document are kept if their words are in the vocabulary.

A text becomes an array of numbers of its forms (lexicon.py), units are ranges of bytes (scan.py), and counted words and
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
from .lexicon import LIMIT, Growing, Scan
from .scan import Block, Document, Forms, Scanner
from .units import grown_spans
from .words import ALWAYS_KNOWN, THE_PAPERS, Normalisation, normalise

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
        # Forms that are one known word: most of a text, so that nothing else need be asked of them.
        how = rule.how
        self._plain = {
            w.encode() for w in vocabulary or () if w.isascii() and w.isalpha() and normalise(w, how) == (w,)
        }
        self.counts = FilterCounts()
        self._unknown: Counter[str] = Counter()
        self._scanner = Scanner(rule.unit, (rule.span_words, rule.span_stride), rule.how, self._grow)
        self._begin()

    def _begin(self) -> None:
        self.forms = Forms(self.rule.how, self._learn)
        self._tally = Growing()
        self._strange: dict[int, str] = {}  # forms that are one unknown word, each a word of its own
        self._strange_parts: dict[int, list[str]] = {}  # the unknown words of other forms
        self._scanner.forget()

    def _learn(self, new: list[bytes]) -> None:
        """Counted and unknown words of forms met first."""
        first = len(self._tally)
        tally = np.ones(len(new), dtype=np.int64)
        some_are_unknown = self.vocabulary is not None
        for i, form in enumerate(new):
            if form in self._plain:
                continue
            if some_are_unknown and len(form) > 1 and form.isalpha():  # a word as it is, and not a known one
                tally[i] = 1 + _UNKNOWN
                self._strange[first + i] = form.decode()
                continue
            words = self.forms.words(form)
            strange = [word for word in words if word not in self.vocabulary] if self.vocabulary is not None else []
            tally[i] = len(words) + _UNKNOWN * len(strange)
            if strange:
                self._strange_parts[first + i] = strange
        self._tally.add(tally)

    def keep(self, documents: Sequence[Document]) -> list[list[str]]:
        """The kept units of each document, in order; counts are added to `counts`."""
        kept = self.apply(documents)
        self.counts.add(kept.counts)
        self._unknown.update(kept.unknown)
        units = kept.units
        cuts = np.concatenate([[0], np.cumsum(kept.per_document)]).tolist()
        return [units[a:b] for a, b in itertools.pairwise(cuts)]

    def blocks(self, documents: Sequence[Document]) -> Iterator[Block]:
        """The documents, some at once, cut into units by the rule. Numbers of forms hold for one call."""
        if len(self.forms.met) > LIMIT:
            self._begin()
        return self._scanner.blocks(documents, self.forms)

    def apply(self, documents: Sequence[Document]) -> Kept:
        """What is kept of some documents, and counts. Fastest with a few megabytes of text at once."""
        found = [self._apply(block) for block in self.blocks(documents)]
        counts = FilterCounts()
        for part in found:
            counts.add(part.counts)
        strange = [part.strange for part in found]
        return Kept(
            text=b"\n".join([part.text for part in found if len(part.words)]),
            words=np.concatenate([part.words for part in found] or [np.empty(0, dtype=np.int64)]),
            per_document=np.concatenate([part.per_document for part in found] or [np.empty(0, dtype=np.int64)]),
            counts=counts,
            unknown=self._unknown_words(np.concatenate(strange)) if strange else Counter(),
            dropped=list(itertools.chain.from_iterable(part.dropped for part in found)),
        )

    def _apply(self, block: Block) -> _KeptOfBlock:
        rule = self.rule
        of_form = self._tally.array().take(block.forms.numbers)
        sums = np.zeros(len(of_form) + 1, dtype=np.int64)
        np.cumsum(of_form, out=sums[1:])
        of_unit = sums[block.last] - sums[block.first]
        counted, unknown = of_unit & (_UNKNOWN - 1), of_unit >> _UNKNOWN_BITS
        long_enough = counted >= rule.min_words
        # Of a grown span the growing has seen to it.
        in_vocabulary = unknown <= counted * rule.max_oov if rule.unit != "grown-span" else np.ones_like(long_enough)
        kept = np.flatnonzero(long_enough & in_vocabulary)
        strange = np.flatnonzero(long_enough & ~in_vocabulary)
        short = block.in_vain + int((~long_enough).sum())
        text, words = joined_units(block.data, block.starts[kept], block.stops[kept], rule.lower_case)
        per_document = np.bincount(block.document[kept], minlength=block.documents)
        examples = strange[:: len(strange) // EXAMPLES + 1]
        dropped, _ = joined_units(block.data, block.starts[examples], block.stops[examples], False)
        counts = FilterCounts(
            documents=block.documents,
            documents_kept=int((per_document > 0).sum()),
            units_seen=len(kept) + short + len(strange),
            units_short=short,
            units_out_of_vocabulary=len(strange),
            units_kept=len(kept),
            words_seen=block.words,
            words_kept=int(words.sum()),
            counted_words=int(counted.sum()),
            counted_out_of_vocabulary=int(unknown.sum()),
        )
        return _KeptOfBlock(
            text=text,
            words=words,
            per_document=per_document,
            counts=counts,
            strange=block.forms.numbers[np.flatnonzero(of_form >= _UNKNOWN)],
            dropped=dropped.decode().split("\n") if len(examples) else [],
        )

    def _grow(
        self, heads: np.ndarray, document_ends: np.ndarray, forms_before: np.ndarray, forms: Scan
    ) -> tuple[np.ndarray, np.ndarray, int]:
        sums = np.concatenate([[0], np.cumsum(self._tally.array().take(forms.numbers))])
        at_surface = sums[np.append(forms_before, len(forms.numbers))]
        counted, unknown = at_surface & (_UNKNOWN - 1), at_surface >> _UNKNOWN_BITS
        return grown_spans(heads, document_ends, counted, unknown, self.rule.min_words, self.rule.max_oov)

    def _unknown_words(self, numbers: np.ndarray) -> Counter[str]:
        """How often each unknown word is met, of the numbers of all forms that have some."""
        times = np.bincount(numbers, minlength=len(self._tally))
        met = np.flatnonzero(times)
        strange = self._strange
        pairs = list(zip(met.tolist(), times[met].tolist(), strict=True))
        found = Counter({strange[number]: n for number, n in pairs if number in strange})
        for number, n in pairs:
            if number not in strange:
                for word in self._strange_parts[number]:
                    found[word] += n
        return found

    def top_unknown(self, n: int) -> list[tuple[str, int]]:
        """The n most frequent words out of vocabulary in the documents that `keep` saw, with their counts."""
        return most_frequent(self._unknown, n)


@dataclass(frozen=True, eq=False)
class _KeptOfBlock:
    """As `Kept`, of one block. strange: int64, the form of each occurrence that has unknown words."""

    text: bytes
    words: np.ndarray
    per_document: np.ndarray
    counts: FilterCounts
    strange: np.ndarray
    dropped: list[str]


def most_frequent(counts: Counter[str], n: int) -> list[tuple[str, int]]:
    """The n words counted most often, ties by spelling."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]
