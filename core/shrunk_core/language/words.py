"""From a written word to the words that count: the normalisation of text and of vocabularies alike.

The rules are the paper's: lower case; hyphens and all other punctuation separate words; apostrophes are deleted, so
that `don't` and `dont` are one word; numbers and links are words that every vocabulary knows; one-letter words do not
count.

A text has a hundred times more words than distinct written forms ("surfaces": what stands between two spaces), so each
surface is normalised once. `Lexicon` numbers the surfaces; everything after that is arithmetic on arrays of numbers.
Splitting and numbering are Arrow's (three times the speed of `str.split` and a dict).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = "#NUMBER"
LINK = "#HLINK"
ALWAYS_KNOWN = frozenset((NUMBER, LINK))

_APOSTROPHES = "'\u2019\u2018\u02bc\u2032\uff07"
_KEPT = ".,:/"
"""Punctuation that survives the first step, because it may stand inside a number."""

_EDGES = string.punctuation + _APOSTROPHES + "\u201c\u201d\u2014\u2026"
_TABLE: dict[int, str | None] = {ord(c): " " for c in string.punctuation if c not in _KEPT}
_TABLE.update({ord(c): None for c in _APOSTROPHES})
_LINK = re.compile(r"(?:\w://|\bwww\.)\S")
_WORD = re.compile(rf"(\d+(?:[{_KEPT}]\d+)*(?:st|nd|rd|th|s)?(?![^\s{_KEPT}]))|[^\s{_KEPT}]+")


def normalise(surface: str) -> tuple[str, ...]:
    """The counted words of one surface, in order: `Well-known,` gives `("well", "known")`; `I` and `--` give `()`.

    Numbers (`12`, `3,000.50`, `10:30`, `3rd`, `1950s`) are `NUMBER`, links are `LINK`.
    """
    bare = surface.strip(_EDGES)
    if bare.isalpha() and bare.isascii():  # most surfaces: one word and punctuation around it
        return (bare.lower(),) if len(bare) > 1 else ()
    text = surface.lower()
    if _LINK.search(text):
        return (LINK,)
    words = []
    for match in _WORD.finditer(_without_punctuation(text)):
        if match.group(1):
            words.append(NUMBER)
        elif len(match.group()) > 1:
            words.append(match.group())
    return tuple(words)


def entry_words(entry: str) -> tuple[str, ...]:
    """The words that an entry of a vocabulary stands for. Unlike in a text, one letter is a word; digits are kept."""
    return tuple(m.group() for m in _WORD.finditer(_without_punctuation(entry.lower())))


def _without_punctuation(text: str) -> str:
    """`text` without apostrophes, a space for what belongs to no word; `.,:/` stay.

    Combining marks stay with their letter, and so does U+FFFD, which stands for a letter that was broken.
    """
    text = text.translate(_TABLE)
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    return "".join(
        c if c in _KEPT or c == "\ufffd" or c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text
    )


@dataclass(frozen=True, eq=False)
class Scan:
    """Texts as surfaces, one after the other.

    surfaces: strings [n]. numbers: int64 [n], each surface's number in the lexicon that made this.
    ends: int64 [texts], where each text ends among the surfaces.
    """

    surfaces: pa.Array
    numbers: np.ndarray
    ends: np.ndarray

    def joined(self, starts: np.ndarray, stops: np.ndarray) -> list[str]:
        """The surfaces from each of `starts` to before the same of `stops`, with single spaces between them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        lengths = stops - starts
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        at = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
        offsets = np.concatenate([[0], ends]).astype(np.int64)
        lists = pa.LargeListArray.from_arrays(pa.array(offsets), self.surfaces.take(pa.array(at)))
        return pc.call_function("binary_join", [lists, pa.scalar(" ", pa.large_string())]).to_pylist()


class Lexicon(dict[str, int]):
    """Numbers surfaces in the order in which they are first asked for, and counts them.

    `self[surface]` is the number of a surface, given on first sight; `on_new(surface)` is called then.
    """

    def __init__(self, on_new: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self._on_new = on_new
        self._counts = np.zeros(1024, dtype=np.int64)

    def __missing__(self, surface: str) -> int:
        number = self[surface] = len(self)
        if self._on_new is not None:
            self._on_new(surface)
        return number

    def numbers(self, surfaces: Sequence[str]) -> np.ndarray:
        """int64 [n]: the numbers of n surfaces."""
        return np.fromiter(map(self.__getitem__, surfaces), dtype=np.int64, count=len(surfaces))

    def scan(self, texts: Sequence[str]) -> Scan:
        """Split texts at white space (Unicode's) and number their surfaces. Fastest with some megabytes at once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        # A null has no surfaces; an empty string would have one, and so would the space around a text.
        lists = pc.call_function(
            "utf8_split_whitespace", [pa.array([text.strip() or None for text in texts], pa.large_string())]
        )
        encoded = lists.values.dictionary_encode()
        numbers = self.numbers(encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]
        return Scan(lists.values, numbers, lists.offsets.to_numpy()[1:].astype(np.int64))

    def count(self, numbers: np.ndarray) -> None:
        """Count one occurrence of every number in `numbers`."""
        if len(self._counts) < len(self):
            self._counts = np.concatenate([self._counts, np.zeros(len(self) + len(self._counts), dtype=np.int64)])
        found = np.bincount(numbers)
        self._counts[: len(found)] += found

    def word_counts(self) -> Counter[str]:
        """Occurrences of every normalised word among the counted surfaces."""
        total: Counter[str] = Counter()
        for surface, n in zip(self, self._counts[: len(self)].tolist(), strict=True):
            if n:
                for word in normalise(surface):
                    total[word] += n
        return total
