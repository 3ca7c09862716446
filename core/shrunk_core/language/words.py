"""From a written word to the words that count: the normalisation of text and of vocabularies alike.

The rules are the paper's: lower case; hyphens, all other punctuation and control characters separate words; apostrophes are
deleted, so that `don't` and `dont` are one word; numbers and links are words that every vocabulary knows; one-letter words do not
count. Each of them can be switched off by the setting of that name (`CorpusSpec`).
"""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass

from ..config.language_spec import CorpusSpec

NUMBER = "#NUMBER"
LINK = "#HLINK"
ALWAYS_KNOWN = frozenset((NUMBER, LINK))

APOSTROPHES = "'\u2019\u2018\u02bc\u2032\uff07"
HYPHENS = "-\u2010\u2011"
CONTROLS = "".join(map(chr, (*range(32), 127)))
NUMBER_JOINTS = ".,:/"
"""Punctuation that may stand inside a number."""

_EDGES = string.punctuation + APOSTROPHES + "\u201c\u201d\u2014\u2026"
_JOINED = {ord(c): None for c in APOSTROPHES}
_LINK = re.compile(r"(?:\w://|\bwww\.)\S")
_WORD = re.compile(rf"(\d+(?:[{NUMBER_JOINTS}]\d+)*(?:st|nd|rd|th|s)?(?![^\s{NUMBER_JOINTS}]))|[^\s{NUMBER_JOINTS}]+")
_PUNCTUATION = re.compile(r"[^\w\s]+")


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Which pieces of the normalisation are in use; all of them are the paper's. See the settings of these names."""

    lower_case: bool = True
    split_hyphens: bool = True
    join_apostrophes: bool = True
    numbers_known: bool = True
    links_known: bool = True
    skip_letters: bool = True
    skip_punctuation: bool = True

    @classmethod
    def of(cls, corpus: CorpusSpec) -> Normalisation:
        return cls(**{name: getattr(corpus, name) for name in cls.__dataclass_fields__})

    def table(self) -> dict[int, str | None]:
        """Of `str.translate`: punctuation and control characters to spaces, apostrophes to nothing."""
        table: dict[int, str | None] = {ord(c): " " for c in string.punctuation + CONTROLS if c not in NUMBER_JOINTS}
        table.update({ord(c): None if self.join_apostrophes else " " for c in APOSTROPHES})
        if not self.split_hyphens:
            for c in HYPHENS:
                table[ord(c)] = "-"
        return table


THE_PAPERS = Normalisation()
_TABLES: dict[Normalisation, dict[int, str | None]] = {}


def normalise(surface: str, how: Normalisation = THE_PAPERS) -> tuple[str, ...]:
    """The counted words of one surface, in order: `Well-known,` gives `("well", "known")`; `I` and `--` give `()`.

    Numbers (`12`, `3,000.50`, `10:30`, `3rd`, `1950s`) are `NUMBER`, links are `LINK`.
    """
    bare = surface.strip(_EDGES)
    if how.join_apostrophes and not bare.isalpha():
        bare = bare.translate(_JOINED)
    stripped = len(bare) < len(surface)  # of a link perhaps
    if (
        how.skip_punctuation and bare.isalpha() and bare.isascii()  # most surfaces: one word, punctuation around it
        and not (how.links_known and stripped and is_link(surface))
    ):  # fmt: skip
        return (bare.lower() if how.lower_case else bare,) if len(bare) > 1 or not how.skip_letters else ()
    text = surface.lower() if how.lower_case else surface
    if how.links_known and is_link(text):
        return (LINK,)
    words = []
    for match in _WORD.finditer(_without_punctuation(text, how)):
        word = match.group()
        if match.group(1) and how.numbers_known:
            words.append(NUMBER)
        elif (len(word) > 1 or not how.skip_letters) and word.strip("-"):
            words.append(word.strip("-"))
    if not how.skip_punctuation:
        apostrophes = APOSTROPHES if how.join_apostrophes else ""
        inner = "-" if not how.split_hyphens else ""
        words += [m for m in _PUNCTUATION.findall(text) if m.strip(apostrophes + inner)]
    return tuple(words)


def entry_words(entry: str, how: Normalisation = THE_PAPERS) -> tuple[str, ...]:
    """The words that an entry of a vocabulary stands for. Unlike in a text, one letter is a word; digits are kept."""
    text = entry.strip()
    if not how.skip_punctuation and text and _PUNCTUATION.fullmatch(text):
        return (text,)
    bare = _without_punctuation(text.lower() if how.lower_case else text, how)
    return tuple(w for m in _WORD.finditer(bare) if (w := m.group().strip("-")))


def is_link(surface: str) -> bool:
    """True if a surface holds a link, whatever its case."""
    return _LINK.search(surface.lower()) is not None


def _without_punctuation(text: str, how: Normalisation) -> str:
    """`text` without apostrophes, a space for what belongs to no word; `.,:/` stay.

    Combining marks stay with their letter, and so does U+FFFD, which stands for a letter that was broken.
    """
    table = _TABLES.get(how)
    if table is None:
        table = _TABLES[how] = how.table()
    text = text.translate(table)
    if text.isascii():
        return text
    kept = NUMBER_JOINTS + "\ufffd" + ("" if how.split_hyphens else "-")
    text = unicodedata.normalize("NFC", text)
    return "".join(c if c in kept or c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)
