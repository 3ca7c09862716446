"""What each byte of a text is to the rules for words: white space, a separator, or part of a form.

A form is what stands between separators, `don't` and `3,000` say: the largest stretch of a surface (what stands between
two spaces) whose words depend on nothing around it. So each distinct form is normalised once, and text is cut into forms
by tables (scan_kernel.py): nothing here looks at one character at a time.
"""

from __future__ import annotations

import string
import unicodedata

import numpy as np

from .sentences import ABBREVIATIONS, CLOSING, OPENING
from .words import APOSTROPHES, CONTROLS, HYPHENS, NUMBER_JOINTS, Normalisation

# Kinds are bytes that UTF-8 never uses, so that all others can stand for themselves.
WHITE = 0xFF
SEPARATOR = 0xFE
LEAD = 0xFD
"""The first byte of a character that may be white space or a separator: `of_characters` says which."""

FORM_BELOW = 0xFA
"""Smaller bytes belong to forms."""

WHITE_ASCII = b"\0\t\n\v\f\r\x1c\x1d\x1e\x1f "

# What else a byte is, to the rules of sentences.py and for numbers: one bit each.
BLANK, STOP, CLOSES, OPENS, JOINT, DIGIT, UPPER, LETTER = (1 << k for k in range(8))

# Documents are cut at stops and blank lines, at blank lines only, or at stops whatever follows them.
AS_WRITTEN, READY, LOWER_CASED = range(3)

# Whether a sentence ends here or starts there; the rule in Python must be asked where bytes do not tell, and for which.
NO, YES, ASK, SURELY = range(4)
ASK_END, ASK_START = 1, 2

ROWS = (0x80, 0x1680, 0x2000, 0x2040, 0x3000)
"""The blocks of 64 characters where Unicode's white space and the punctuation of most texts are."""

_PUNCTUATED = (0x80, 0x2000, 0x3000)
_LEADS = (0xC2, 0xE1, 0xE2, 0xE3)


class ByteClasses:
    """Tables of one normalisation. how = None: white space alone separates, so that forms are surfaces.

    kinds: uint8 [256], of each byte `WHITE`, `SEPARATOR`, `LEAD`, or itself, in lower case if that is asked for. folded:
    uint8 [256], each byte as it is in a form. of_characters: uint8 [rows * 64 + 1], `WHITE`, `SEPARATOR` or 0, part of a form;
    the last is of all other characters.
    """

    def __init__(self, how: Normalisation | None) -> None:
        self.folded = np.arange(256, dtype=np.uint8)
        if how is not None and how.lower_case:
            for letter in string.ascii_uppercase:
                self.folded[ord(letter)] = ord(letter.lower())
        self.fold = self.folded[ord("A") : ord("A") + 1].repeat(8) ^ ord("A")
        self.fold = self.fold.view(np.uint64)[0]
        self.kinds = self.folded.copy()
        self.kinds[list(WHITE_ASCII)] = WHITE
        self.kinds[list(_LEADS)] = LEAD
        separates = how is not None and how.skip_punctuation
        if how is not None and separates:
            for sign in string.punctuation + CONTROLS:
                if self.kinds[ord(sign)] != WHITE and sign != "'" and (sign != "-" or how.split_hyphens):
                    self.kinds[ord(sign)] = SEPARATOR
        kinds = [_kind(chr(row + k), separates, row) for row in ROWS for k in range(64)]
        self.of_characters = np.array([*kinds, 0], dtype=np.uint8)


def _kind(c: str, separates: bool, row: int) -> int:
    """What composes with other characters (U+00A8) is left to `normalise`."""
    if c.isspace():
        return WHITE
    if not separates or row not in _PUNCTUATED:
        return 0
    in_words = c.isalnum() or unicodedata.category(c)[0] == "M" or c in APOSTROPHES + HYPHENS + "\u00a8"
    return 0 if in_words else SEPARATOR


def _signs() -> np.ndarray:
    table = np.zeros(256, dtype=np.uint8)
    for bit, signs in (
        (BLANK, " \t\r\f\v"),
        (STOP, ".!?"),
        (CLOSES, CLOSING),
        (OPENS, OPENING),
        (JOINT, NUMBER_JOINTS),
        (DIGIT, string.digits),
        (UPPER, string.ascii_uppercase),
        (LETTER, string.ascii_letters),
    ):
        table[[ord(c) for c in signs if ord(c) < 128]] |= bit
    return table


SIGNS = _signs()
"""uint8 [256]: the bits above; of bytes beyond ASCII none."""


def _endings() -> np.ndarray:
    table = np.zeros(32 * 32 * 32, dtype=np.uint8)
    for abbreviation in sorted(ABBREVIATIONS, key=len, reverse=True):  # short ones last, which are whole
        if abbreviation[-2:].isalpha():
            one, two, three, *_ = (*(ord(c) & 31 for c in reversed(abbreviation)), 0, 0)
            table[one << 10 | two << 5 | three] = len(abbreviation) if len(abbreviation) <= 3 else 1
    return table


ABBREVIATION_ENDINGS = _endings()
"""uint8 [32 ** 3], by the last letter and the two before, 0 for none, five bits each: 2 or 3 where so many letters are an
abbreviation, 1 where a longer one ends so, 0 elsewhere."""
