"""Documents as bytes: their forms as numbers, and where their units begin and end."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .byte_classes import LINKED, WHITE, ByteClasses
from .lexicon import MARGIN, Lexicon, Scan
from .sentence_starts import SentenceStarts, skip_white_back
from .units import documents_of, spans
from .words import LINK, Normalisation, normalise

BLOCK = 600_000
"""Bytes of documents looked at together, at least; one document is never cut."""

_END = b"\n\nX" + b" " * MARGIN
"""Behind the last document: a blank line, and something that is not white, so that every search finds an end."""


def framed(texts: Iterable[bytes], end: bytes = b" " * MARGIN) -> bytes:
    """Texts one after the other, blank lines between them, as a lexicon wants them: white space around, no NUL."""
    data = b"\n" + b"\n\n".join(texts) + end
    return data.replace(b"\0", b" ") if b"\0" in data else data


@dataclass(frozen=True)
class Document:
    """One text as UTF-8. `ready`: its blank lines are the only ends of sentences (verses, say), whatever the
    punctuation."""

    data: bytes
    ready: bool = False


@dataclass(frozen=True, eq=False)
class Block:
    """Some documents, one after the other, and their units.

    data: the text. forms: its forms. starts, stops: int64 [units], the bytes of each, without white space around. first,
    last: int64 [units], its forms. document: int64 [units], which of the `documents` each is of. words: surfaces in all of
    them, once more for each further unit they are in. in_vain: units that were too short to begin with.
    """

    data: bytes
    forms: Scan
    starts: np.ndarray
    stops: np.ndarray
    first: np.ndarray
    last: np.ndarray
    document: np.ndarray
    documents: int
    words: int
    in_vain: int = 0


class Forms:
    """The lexicon of texts under one normalisation.

    met: the forms met so far, by number. on_new: called with those met first, in order of numbers.
    """

    def __init__(self, how: Normalisation, on_new: Callable[[list[bytes]], None] | None = None) -> None:
        self.met: list[bytes] = []
        self._how = how
        self._on_new = on_new
        self._links: list[int] = []  # forms that are part of a link, if a dot follows them
        self._classes = ByteClasses(how)
        self._lexicon = Lexicon(self._learn)

    def _learn(self, new: list[bytes]) -> None:
        first = len(self.met)
        self.met += new
        self._links += [first + i for i, form in enumerate(new) if form.endswith(_WWW)]
        if self._on_new is not None:
            self._on_new(new)

    def words(self, form: bytes) -> tuple[str, ...]:
        """The counted words of a form."""
        if form.isalpha() and (len(form) > 1 or not self._how.skip_letters):  # of ASCII: a word as it is
            return (form.decode(),)
        return (LINK,) if form[0] == LINKED else normalise(form.decode(), self._how)

    def scan(self, data: bytes) -> tuple[Scan, np.ndarray, np.ndarray]:
        """The forms of a text that begins with white space and ends with `MARGIN` of it, the classes of its bytes, and
        where signs in numbers are."""
        classes, joints = self._classes.of(data)
        forms = self._lexicon.scan(classes)
        if self._how.links_known and self._how.skip_punctuation:
            found = _all(data, b"://")
            for number in self._links:
                found += forms.starts[forms.numbers == number].tolist()
            if found and self._classes.mark_links(data, classes, sorted(found)):
                forms = self._lexicon.scan(classes)
        return forms, classes, joints


_WWW = tuple(bytes(c) for c in itertools.product(b"wW", repeat=3))


def _all(data: bytes, wanted: bytes) -> list[int]:
    """Where `wanted` is in a text. Most texts have none, so one byte of it is looked for first."""
    if wanted[-1:] not in data:
        return []
    found = []
    at = data.find(wanted)
    while at >= 0:
        found.append(at)
        at = data.find(wanted, at + 1)
    return found


Grow = Callable[[np.ndarray, np.ndarray, np.ndarray, Scan], tuple[np.ndarray, np.ndarray, int]]
"""Grown spans of (surfaces that start sentences, surfaces that end documents, forms before each surface, forms): first
surfaces, those behind the last, and how many starts were in vain."""


class Scanner:
    """Cuts documents into blocks, forms and units. unit, span: see `CorpusSpec`; of grown spans `grow` knows the rule."""

    def __init__(self, unit: str, span: tuple[int, int], how: Normalisation, grow: Grow) -> None:
        self._unit = unit
        self._span = span
        self._grow = grow
        self._starts = SentenceStarts(how.skip_punctuation)

    def forget(self) -> None:
        """Forget what was remembered of surfaces."""
        self._starts.forget()

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
        data = framed([d.data for d in documents], _END)
        scan, classes, joints = forms.scan(data)
        end = len(data) - MARGIN - 1  # where the documents and the blank line behind them end
        count = int(np.searchsorted(scan.starts, end))
        scan = Scan(scan.starts[:count], scan.numbers[:count])  # without the byte that ends every search
        limits = np.cumsum([len(d.data) + 2 for d in documents]) + 1  # where each next document would begin
        white = classes[: end + 1] == WHITE
        in_vain = 0
        if self._unit == "sentence":
            edges = self._sentence_starts(documents, data, classes, joints, limits)
            first = np.searchsorted(scan.starts, edges)
            starts, stops, first, last = edges[:-1], edges[1:].copy(), first[:-1], first[1:]
            skip_white_back(stops, classes)
            words = int(np.count_nonzero(white[:-1] > white[1:])) - 1
        else:
            begin = np.flatnonzero(white[:-1] > white[1:])[:-1] + 1  # of surfaces, without the byte at the end
            behind = np.flatnonzero(white[:-1] < white[1:]) + 1
            ends = np.searchsorted(begin, limits)
            words = len(begin)
            if self._unit == "grown-span":
                heads = np.searchsorted(begin, self._sentence_starts(documents, data, classes, joints, limits)[:-1])
                one, other, in_vain = self._grow(heads, ends, np.searchsorted(scan.starts, begin), scan)
            elif self._unit == "span":
                one, other = spans(ends, *self._span)
                words = int((other - one).sum())
            else:
                one, other = documents_of(ends)
            starts, stops = begin[one], behind[other - 1]
            first, last = np.searchsorted(scan.starts, starts), np.searchsorted(scan.starts, stops)
        document = np.searchsorted(limits, starts, side="right")
        return Block(data, scan, starts, stops, first, last, document, len(documents), words, in_vain)

    def _sentence_starts(
        self, documents: list[Document], data: bytes, classes: np.ndarray, joints: np.ndarray, limits: np.ndarray
    ) -> np.ndarray:
        """Where sentences start, and then where the text ends."""
        begin = np.concatenate([[0], limits[:-1]])
        ready = [i for i, d in enumerate(documents) if d.ready]
        # A lower-cased text shows no starts of sentences: every end counts.
        lower = [i for i, d in enumerate(documents) if not d.ready and _is_lower(d.data)]
        ranges = (_ranges(wanted, begin, limits, data) for wanted in (ready, lower))
        return self._starts.of(data, classes, joints, *ranges)


def _is_lower(data: bytes) -> bool:
    if data.isascii():
        return data.islower()
    return not _ASCII_UPPER.search(data) and data.decode().islower()


_ASCII_UPPER = re.compile(rb"[A-Z]")


def _ranges(wanted: list[int], begin: np.ndarray, limits: np.ndarray, data: bytes) -> np.ndarray | None:
    """bool [bytes]: True in the wanted documents; None if there are none."""
    if not wanted:
        return None
    found = np.zeros(len(data), dtype=bool)
    for i in wanted:
        found[begin[i] : limits[i]] = True
    return found
