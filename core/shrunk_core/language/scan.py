"""Documents as bytes: their forms as numbers, and where their units begin and end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from .byte_classes import AS_WRITTEN, ASK_END, ASK_START, LOWER_CASED, READY, ByteClasses
from .lexicon import LIMIT, Lexicon, Scan, Text
from .sentences import can_end, can_start
from .units import documents_of, spans
from .words import APOSTROPHES, LINK, Normalisation, is_link, normalise

BLOCK = 600_000
"""Bytes of documents looked at together, at least; one document is never cut."""

_LINK_NUMBER = 0


@dataclass(frozen=True)
class Document:
    """One text as UTF-8. `ready`: its blank lines are the only ends of sentences (verses, say), whatever the
    punctuation."""

    data: bytes
    ready: bool = False


@dataclass(frozen=True, eq=False)
class Block:
    """Some documents, one after the other, and their units; valid until the next block.

    first, last: int64 [units], the surfaces of each, from `first` to before `last`. document: int64 [units], which of the
    `documents` each is of. words: surfaces in all of them, once more for each further unit they are in. in_vain: units
    that were too short to begin with.
    """

    text: Text
    scan: Scan
    first: np.ndarray
    last: np.ndarray
    document: np.ndarray
    documents: int
    words: int
    in_vain: int = 0


class Forms:
    """The lexicon of texts under one normalisation.

    on_new: called with the first number and `plain` (lexicon.py) of forms met first.
    """

    def __init__(self, how: Normalisation, on_new: Callable[[int, np.ndarray], None] | None = None) -> None:
        self._how = how
        self._links = how.links_known and how.skip_punctuation
        # Number 0 stands for a whole surface that is a link.
        self._lexicon = Lexicon(ByteClasses(how), on_new or (lambda first, plain: None), (LINK,))
        self._given = 0

    def __len__(self) -> int:
        return len(self._lexicon)

    @property
    def names(self) -> list[str]:
        """All forms met so far, by number."""
        return self._lexicon.names

    def words(self, number: int) -> tuple[str, ...]:
        """The counted words of a form."""
        form = self._lexicon.names[number]
        if number == _LINK_NUMBER:
            return (LINK,)
        return normalise(form, self._how)

    def words_of(self, numbers: list[int]) -> list[str]:
        """The counted words of many forms, of each in one string with spaces: no collection of garbage has to look at those."""
        bare = " ".join([self.names[n] for n in numbers])
        if self._how.join_apostrophes and self._how.skip_punctuation:
            for sign in APOSTROPHES:
                bare = bare.replace(sign, "")
        # What is ASCII letters once the apostrophes are gone is a word as it is, and that most are.
        return [
            word if word.isascii() and word.isalpha() and len(word) > 1 else " ".join(self.words(n))
            for n, word in zip(numbers, bare.split(" "), strict=bool(numbers))
        ]

    def scan(self, text: Text, ways: np.ndarray | None = None) -> Scan:
        """The surfaces and forms of a text; a link is one form."""
        scan = self._lexicon.scan(text, ways, self._links)
        links = [
            surface
            for surface in scan.doubts.tolist()
            if is_link(text.data[scan.begin[surface] : scan.stop[surface]].decode())
        ]
        return _with_links(scan, links) if links else scan

    def counted(self, texts: Iterable[bytes]) -> Counter[str]:
        """How often each counted word is in some texts."""
        times = np.bincount(self.scan(Text.of(texts)).numbers)
        counts: Counter[str] = Counter()
        for number, n in zip(np.flatnonzero(times).tolist(), times[times > 0].tolist(), strict=True):
            for word in self.words(number):
                counts[word] += n
        return counts

    def meet(self, words: Iterable[str]) -> None:
        """Give words that most of a text is made of their numbers first."""
        self._lexicon.scan(Text.of([" ".join(words).encode()]))
        self._given = len(self._lexicon)

    @property
    def full(self) -> bool:
        """True if so many forms are met that a new lexicon should be begun."""
        return len(self._lexicon) - self._given > LIMIT


def _with_links(scan: Scan, links: list[int]) -> Scan:
    """The scan with one form, number 0, in each of these surfaces."""
    before = scan.before.astype(np.int64)
    numbers = scan.numbers.copy()
    numbers[before[links]] = _LINK_NUMBER
    stays = np.ones(len(numbers), dtype=bool)
    for surface in links:
        stays[before[surface] + 1 : before[surface + 1]] = False
    kept_before = np.concatenate([[0], np.cumsum(stays)]).astype(np.int32)
    return replace(scan, before=kept_before[before], numbers=numbers[stays])


Grow = Callable[[np.ndarray, Scan], tuple[np.ndarray, np.ndarray, int]]
"""Grown spans of (surfaces that start sentences, scan): first surfaces, those behind the last, and how many starts were
in vain."""


class Scanner:
    """Cuts documents into blocks, forms and units. unit, span: see `CorpusSpec`; of grown spans `grow` knows the rule."""

    def __init__(self, unit: str, span: tuple[int, int], grow: Grow) -> None:
        self._unit = unit
        self._span = span
        self._grow = grow
        self.forget()

    def forget(self) -> None:
        """Forget what was remembered of surfaces."""
        self._ends: dict[bytes, bool] = {}
        self._starts: dict[bytes, bool] = {}

    def blocks(self, documents: Iterable[Document], forms: Forms) -> Iterator[Block]:
        """The documents, some at once."""
        waiting: list[Document] = []
        size = 0
        for document in documents:
            waiting.append(document)
            size += len(document.data)
            if size >= BLOCK:
                yield self._block(waiting, forms)
                waiting, size = [], 0
        if waiting:
            yield self._block(waiting, forms)

    def _block(self, documents: list[Document], forms: Forms) -> Block:
        text = Text.of(d.data for d in documents)
        sentences = self._unit in ("sentence", "grown-span")
        ways = [
            READY if d.ready or not sentences else LOWER_CASED if _is_lower(d.data) else AS_WRITTEN for d in documents
        ]
        scan = forms.scan(text, np.array(ways, dtype=np.uint8))
        ends = scan.first[1:]
        words = len(scan.begin)
        in_vain = 0
        if self._unit == "sentence":
            first = self._heads(text, scan)
            last = np.append(first[1:], words)
        elif self._unit == "grown-span":
            first, last, in_vain = self._grow(self._heads(text, scan), scan)
        elif self._unit == "span":
            first, last = spans(ends, *self._span)
            words = int((last - first).sum())
        else:
            first, last = documents_of(ends)
        document = np.searchsorted(ends, first, side="right")
        return Block(text, scan, first, last, document, len(documents), words, in_vain)

    def _heads(self, text: Text, scan: Scan) -> np.ndarray:
        """int64: surfaces that start sentences. The rule (sentences.py) is asked of what bytes do not tell, once for each
        distinct surface."""
        heads = scan.heads.astype(np.int64)
        no: list[np.ndarray] = []
        for bit, rule, answers, place in ((ASK_START, can_start, self._starts, 0), (ASK_END, can_end, self._ends, -1)):
            asked = np.flatnonzero(scan.asked & bit)
            surfaces = heads[asked] + place
            places = zip(scan.begin[surfaces].tolist(), scan.stop[surfaces].tolist(), strict=True)
            written = [text.data[a:b] for a, b in places]
            for surface in set(written).difference(answers):
                answers[surface] = rule(surface.decode())
            yes = np.fromiter(map(answers.__getitem__, written), dtype=bool, count=len(written))
            no.append(asked[~yes])
        return np.delete(heads, np.concatenate(no))


def _is_lower(data: bytes) -> bool:
    if data.isascii():
        return data.islower()
    return not _ASCII_UPPER.search(data) and data.decode().islower()


_ASCII_UPPER = re.compile(rb"[A-Z]")
