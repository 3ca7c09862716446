"""The filter that shrinks a language: units of a document are kept if their words are in the vocabulary.

A text becomes an array of surface numbers (words.py); ends of units, counted words and words out of vocabulary are then
sums over that array. A kept unit is stored as it was written, in lower case, with single spaces.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from ..config.language_spec import CorpusSpec
from .sentences import can_end, can_start
from .words import ALWAYS_KNOWN, Lexicon, normalise

_BREAK = "\0"
"""Stands for a blank line among the surfaces of a document; no sentence goes across it."""

_BLANK_LINES = re.compile(r"\n[ \t\r\f\v]*\n\s*")
_LEXICON_LIMIT = 1_000_000
"""Surfaces remembered at once (about 250 MB); then their counts are put away and the memory starts anew."""


@dataclass(frozen=True)
class Document:
    """One text. `ready`: its blank lines are the only ends of sentences (verses, say), whatever the punctuation."""

    text: str
    ready: bool = False


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


@dataclass(frozen=True)
class Rule:
    """When a unit is kept: at least `min_words` counted words, of which at most `max_oov` (a share) are unknown."""

    unit: str
    min_words: int
    max_oov: float
    span_words: int
    span_stride: int

    @classmethod
    def of(cls, corpus: CorpusSpec) -> Rule:
        """The rule of a recipe; without the vocabulary filter every word counts as known."""
        return cls(corpus.unit, corpus.min_words, corpus.max_oov, corpus.span_words, corpus.span_stride)


@dataclass
class _Growing:
    """An array that grows at its end: values wait in a list until they are needed as an array."""

    dtype: type
    values: np.ndarray = field(init=False)
    waiting: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values = np.empty(0, dtype=self.dtype)

    def array(self) -> np.ndarray:
        if self.waiting:
            self.values = np.concatenate([self.values, np.array(self.waiting, dtype=self.dtype)])
            self.waiting.clear()
        return self.values


class Filter:
    """Applies one rule with one vocabulary to documents, and counts. `vocabulary` None: every word is known."""

    def __init__(self, vocabulary: frozenset[str] | None, rule: Rule) -> None:
        self.vocabulary = None if vocabulary is None else vocabulary | ALWAYS_KNOWN
        self.rule = rule
        self.counts = FilterCounts()
        self._unknown: Counter[str] = Counter()
        self._begin()

    def _begin(self) -> None:
        self._lexicon = Lexicon(self._learn)
        self._tally = _Growing(np.int64)  # counted words + unknown words * 2**32, so that one sum gives both
        self._flags = _Growing(np.uint8)  # 1: a sentence may end here; 2: one may start here
        self._break = self._lexicon[_BREAK]

    def _learn(self, surface: str) -> None:
        words = normalise(surface)
        known = self.vocabulary
        unknown = 0 if known is None else sum(word not in known for word in words)
        self._tally.waiting.append(len(words) + (unknown << 32))
        self._flags.waiting.append(can_end(surface) + 2 * can_start(surface))

    def keep(self, documents: Sequence[Document]) -> list[list[str]]:
        """The kept units of each document, in order. Fastest with a few megabytes of text at once.

        What is kept of a document depends on that document alone.
        """
        if not documents:
            return []
        if len(self._lexicon) > _LEXICON_LIMIT:
            self._put_away()
        by_sentence = self.rule.unit == "sentence"
        texts = [document.text.replace(_BREAK, " ") for document in documents]
        if by_sentence:
            texts = [_BLANK_LINES.sub(f"\n{_BREAK}\n", text.strip()) for text in texts]
        scan = self._lexicon.scan(texts)
        numbers, document_ends = scan.numbers, scan.ends
        self._lexicon.count(numbers)
        document_starts = np.concatenate([[0], document_ends[:-1]])
        if by_sentence:
            starts, stops = self._sentences(documents, numbers, document_starts, document_ends)
        elif self.rule.unit == "span":
            starts, stops = _spans(document_starts, document_ends, self.rule.span_words, self.rule.span_stride)
        else:
            starts, stops = document_starts, document_ends
        tally = np.concatenate([[0], np.cumsum(self._tally.array()[numbers])])
        of_unit = tally[stops] - tally[starts]
        counted, unknown = of_unit & 0xFFFFFFFF, of_unit >> 32
        long_enough = counted >= self.rule.min_words
        in_vocabulary = unknown <= counted * self.rule.max_oov
        kept = long_enough & in_vocabulary
        words = stops - starts
        units = [unit.lower() for unit in scan.joined(starts[kept], stops[kept])]
        per_document = np.bincount(np.searchsorted(document_ends, starts[kept], side="right"), minlength=len(documents))
        self.counts.add(
            FilterCounts(
                documents=len(documents),
                documents_kept=int((per_document > 0).sum()),
                units_seen=len(starts),
                units_short=int((~long_enough).sum()),
                units_out_of_vocabulary=int((long_enough & ~in_vocabulary).sum()),
                units_kept=len(units),
                words_seen=int(words.sum()),
                words_kept=int(words[kept].sum()),
                counted_words=int(counted.sum()),
                counted_out_of_vocabulary=int(unknown.sum()),
            )
        )
        cuts = np.concatenate([[0], np.cumsum(per_document)]).tolist()
        return [units[a:b] for a, b in itertools.pairwise(cuts)]

    def _sentences(
        self, documents: Sequence[Document], numbers: np.ndarray, document_starts: np.ndarray, document_ends: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where sentences start and stop: at blank lines, at document ends, and where `can_end` meets `can_start`."""
        if len(numbers) == 0:
            return document_starts[:0], document_ends[:0]
        flags = self._flags.array()[numbers]
        is_break = numbers == self._break
        may_end, may_start = (flags & 1).astype(bool), (flags & 2).astype(bool)
        for i, document in enumerate(documents):
            inside = slice(int(document_starts[i]), int(document_ends[i]))
            if document.ready:
                may_end[inside] = False
            elif document.text.islower():  # a lower-cased text shows no sentence starts: every end counts
                may_start[inside] = True
        last = np.empty(len(numbers), dtype=bool)
        last[:-1] = (may_end[:-1] & may_start[1:]) | is_break[1:] | is_break[:-1]
        last[document_ends[document_ends > 0] - 1] = True
        stops = np.flatnonzero(last) + 1
        starts = np.concatenate([[0], stops[:-1]])
        real = ~is_break[starts]  # a break is a unit of its own so far, and no sentence
        return starts[real], stops[real]

    def top_unknown(self, n: int) -> list[tuple[str, int]]:
        """The n most frequent words out of vocabulary in the documents seen, with their counts; ties by spelling."""
        unknown = self._unknown + self._unknown_now()
        return sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:n]

    def _unknown_now(self) -> Counter[str]:
        known = self.vocabulary
        if known is None:
            return Counter()
        return Counter({w: n for w, n in self._lexicon.word_counts().items() if w not in known})

    def _put_away(self) -> None:
        self._unknown += self._unknown_now()
        if len(self._unknown) > _LEXICON_LIMIT:  # one-off spellings of a very large text
            self._unknown = Counter(dict(self._unknown.most_common(_LEXICON_LIMIT // 2)))
        self._begin()


def _spans(starts: np.ndarray, ends: np.ndarray, words: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of `words` surfaces every `stride`, per document, until its end is covered; the last may be shorter."""
    sizes = ends - starts
    counts = np.where(sizes > 0, np.maximum(1, 1 + -(-(sizes - words) // stride)), 0)
    first = np.cumsum(counts) - counts
    nth = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(first, counts)
    from_ = np.repeat(starts, counts) + nth * stride
    return from_, np.minimum(from_ + words, np.repeat(ends, counts))
