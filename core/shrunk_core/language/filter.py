"""The filter that shrinks a language: units of a document are kept if their words are in the vocabulary.

A text becomes an array of surface numbers (lexicon.py); ends of units, counted words and words out of vocabulary are
then sums over that array. A kept unit is stored with single spaces, in lower case unless the recipe says otherwise.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from ..config.language_spec import CorpusSpec
from .lexicon import LIMIT, Lexicon, Scan
from .sentences import sentence_flags
from .units import documents_of, grown_spans, sentences, spans
from .words import ALWAYS_KNOWN, THE_PAPERS, Normalisation, normalise, simple_words

if TYPE_CHECKING:
    import pyarrow as pa

_BREAK = "\0"
"""Stands for a blank line among the surfaces of a document; no sentence goes across it."""

_BLANK_LINES = re.compile(r"\n[ \t\r\f\v]*\n\s*")
EXAMPLES = 10
"""Units of a batch that are told of as examples, evenly spread, at most."""

_UNKNOWN = 1 << 32
"""Counted words and unknown words of a surface in one number, so that one sum gives both."""


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

    units: strings [k] in order. words: int64 [k], words of each. per_document: int64 [documents], its kept units.
    unknown: occurrences of each word out of vocabulary. dropped: some units with unknown words, as they were written.
    """

    units: pa.Array
    words: np.ndarray
    per_document: np.ndarray
    counts: FilterCounts
    unknown: Counter[str]
    dropped: list[str]


@dataclass
class _Growing:
    """An array that grows at its end, in blocks that are joined when it is read."""

    values: np.ndarray
    waiting: list[np.ndarray] = field(default_factory=list)

    def array(self) -> np.ndarray:
        if self.waiting:
            self.values = np.concatenate([self.values, *self.waiting])
            self.waiting.clear()
        return self.values


class Filter:
    """Applies one rule with one vocabulary to documents. `vocabulary` None: every word is known.

    What is kept of a document depends on that document alone.
    """

    def __init__(self, vocabulary: frozenset[str] | None, rule: Rule) -> None:
        self.vocabulary = None if vocabulary is None else vocabulary | ALWAYS_KNOWN
        self.rule = rule
        self.counts = FilterCounts()
        self._unknown: Counter[str] = Counter()
        self._begin()

    def _begin(self) -> None:
        self._lexicon = Lexicon(self._learn)
        self._tally = _Growing(np.empty(0, dtype=np.int64))
        self._flags = _Growing(np.empty(0, dtype=np.uint8))  # 1: a sentence may end here; 2: one may start here
        self._strange: dict[int, tuple[str, ...]] = {}  # the unknown words of surfaces that have some
        self._break = int(self._lexicon.numbers([_BREAK])[0])

    def _learn(self, new: list[str]) -> None:
        """Counted and unknown words of surfaces met first, and whether sentences may end or start there."""
        import pyarrow as pa

        base = len(self._lexicon) - len(new)
        known = self.vocabulary
        how = self.rule.how
        surfaces = pa.array(new, pa.large_string())
        if how.skip_punctuation:
            simple, words = simple_words(surfaces, how)
            plain = simple.to_numpy(zero_copy_only=False).copy()
        else:
            words, plain = surfaces, np.zeros(len(new), dtype=bool)
        listed = words.to_pylist()
        tally = np.zeros(len(new), dtype=np.int64)
        for i in np.flatnonzero(plain).tolist():
            word = listed[i]
            if len(word) > 1 or not how.skip_letters:
                if known is None or word in known:
                    tally[i] = 1
                else:
                    tally[i] = 1 + _UNKNOWN
                    self._strange[base + i] = (word,)
        for i in np.flatnonzero(~plain).tolist():
            found = normalise(new[i], how)
            strange = () if known is None else tuple(word for word in found if word not in known)
            tally[i] = len(found) + _UNKNOWN * len(strange)
            if strange:
                self._strange[base + i] = strange
        self._tally.waiting.append(tally)
        self._flags.waiting.append(sentence_flags(new, surfaces))

    def keep(self, documents: Sequence[Document]) -> list[list[str]]:
        """The kept units of each document, in order; counts are added to `counts`."""
        if not documents:
            return []
        kept = self.apply(documents)
        self.counts.add(kept.counts)
        self._unknown.update(kept.unknown)
        units = kept.units.to_pylist()
        cuts = np.concatenate([[0], np.cumsum(kept.per_document)]).tolist()
        return [units[a:b] for a, b in itertools.pairwise(cuts)]

    @property
    def lexicon(self) -> Lexicon:
        """The surfaces of the documents so far, or since the lexicon was full and began anew."""
        return self._lexicon

    def bounds(self, documents: Sequence[Document]) -> tuple[Scan, np.ndarray, np.ndarray, int]:
        """Documents as surfaces, where their units start and stop, and how many units were too short to begin."""
        if len(self._lexicon) > LIMIT:
            self._begin()
        rule = self.rule
        texts = [document.text.replace(_BREAK, " ") for document in documents]
        if rule.unit in ("sentence", "grown-span"):
            texts = [_BLANK_LINES.sub(f"\n{_BREAK}\n", text.strip()) for text in texts]
        scan = self._lexicon.scan(texts)
        if rule.unit == "grown-span":
            return self._grown(documents, scan)
        if rule.unit == "sentence":
            return scan, *self._sentences(documents, scan), 0
        if rule.unit == "span":
            return scan, *spans(scan.ends, rule.span_words, rule.span_stride), 0
        return scan, *documents_of(scan.ends), 0

    def apply(self, documents: Sequence[Document]) -> Kept:
        """What is kept of some documents, and counts. Fastest with a few megabytes of text at once."""
        import pyarrow.compute as pc

        rule = self.rule
        scan, starts, stops, short = self.bounds(documents)
        of_surface = self._tally.array()[scan.numbers]
        sums = np.concatenate([[0], np.cumsum(of_surface)])
        of_unit = sums[stops] - sums[starts]
        counted, unknown = of_unit % _UNKNOWN, of_unit // _UNKNOWN
        long_enough = counted >= rule.min_words
        in_vocabulary = unknown <= counted * rule.max_oov if rule.unit != "grown-span" else np.ones(len(starts), bool)
        kept = long_enough & in_vocabulary
        short += int((~long_enough).sum())
        strange = long_enough & ~in_vocabulary
        words = stops - starts
        units = scan.joined(starts[kept], stops[kept])
        if rule.lower_case:
            units = pc.call_function("utf8_lower", [units])
        where = np.searchsorted(scan.ends, starts[kept], side="right")
        per_document = np.bincount(where, minlength=len(documents))
        counts = FilterCounts(
            documents=len(documents),
            documents_kept=int((per_document > 0).sum()),
            units_seen=int(kept.sum()) + short + int(strange.sum()),
            units_short=short,
            units_out_of_vocabulary=int(strange.sum()),
            units_kept=int(kept.sum()),
            words_seen=int(words.sum()) if rule.unit != "grown-span" else len(scan.numbers),
            words_kept=int(words[kept].sum()),
            counted_words=int(counted.sum()),
            counted_out_of_vocabulary=int(unknown.sum()),
        )
        examples = np.flatnonzero(strange)
        examples = examples[:: len(examples) // EXAMPLES + 1]
        dropped = scan.joined(starts[examples], stops[examples]).to_pylist()
        return Kept(units, words[kept], per_document, counts, self._unknown_in(scan, of_surface), dropped)

    def _sentences(self, documents: Sequence[Document], scan: Scan) -> tuple[np.ndarray, np.ndarray]:
        flags = self._flags.array()[scan.numbers]
        may_end, may_start = (flags & 1).astype(bool), (flags & 2).astype(bool)
        start = 0
        for document, end in zip(documents, scan.ends.tolist(), strict=True):
            if document.ready:
                may_end[start:end] = False
            elif document.text.islower():  # a lower-cased text shows no sentence starts: every end counts
                may_start[start:end] = True
            start = end
        return sentences(may_end, may_start, scan.numbers == self._break, scan.ends)

    def _grown(self, documents: Sequence[Document], scan: Scan) -> tuple[Scan, np.ndarray, np.ndarray, int]:
        """Grown spans in the scan without its breaks, over which they go, and how many starts were in vain."""
        import pyarrow as pa

        starts, _ = self._sentences(documents, scan)
        real = scan.numbers != self._break
        place = np.concatenate([[0], np.cumsum(real)])  # where each surface is when the breaks are gone
        scan = Scan(scan.surfaces.filter(pa.array(real)), scan.numbers[real], place[scan.ends])
        sums = np.concatenate([[0], np.cumsum(self._tally.array()[scan.numbers])])
        counted, unknown = sums % _UNKNOWN, sums // _UNKNOWN
        rule = self.rule
        return scan, *grown_spans(place[starts], scan.ends, counted, unknown, rule.min_words, rule.max_oov)

    def _unknown_in(self, scan: Scan, of_surface: np.ndarray) -> Counter[str]:
        found: Counter[str] = Counter()
        numbers, times = np.unique(scan.numbers[of_surface >= _UNKNOWN], return_counts=True)
        for number, n in zip(numbers.tolist(), times.tolist(), strict=True):
            for word in self._strange[number]:
                found[word] += n
        return found

    def top_unknown(self, n: int) -> list[tuple[str, int]]:
        """The n most frequent words out of vocabulary in the documents that `keep` saw, with their counts."""
        return most_frequent(self._unknown, n)


def most_frequent(counts: Counter[str], n: int) -> list[tuple[str, int]]:
    """The n words counted most often, ties by spelling."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]
