"""What each byte of a text is to the rules for words: white space, a separator, or part of a form.

A form is what stands between separators, `don't` and `3,000` say: the largest stretch of a surface (what stands between
two spaces) whose words depend on nothing around it. So each distinct form is normalised once, and text is cut into forms
by tables of 256 bytes: nothing here looks at one character at a time but what is rare.
"""

from __future__ import annotations

import string
import unicodedata
from functools import lru_cache

import numpy as np

from .words import APOSTROPHES, CONTROLS, HYPHENS, NUMBER_JOINTS, Normalisation, is_link

# Classes are bytes that UTF-8 never uses, so that all others can stand for themselves.
WHITE = 0xFF
SEPARATOR = 0xFE
SLASH = 0xFD
STOP = 0xFC
"""`.`, `!`, `?` and the last byte of `…`, where they separate."""

LINKED = 0xF8
"""A form of this byte alone stands for a surface with a link."""

FORM_BELOW = 0xFA
"""Smaller bytes belong to forms."""

_AS_IT_IS = 0
WHITE_ASCII = b"\0\t\n\v\f\r\x1c\x1d\x1e\x1f "


class ByteClasses:
    """Classes of bytes under one normalisation. how = None: white space alone separates, so that forms are surfaces."""

    def __init__(self, how: Normalisation | None) -> None:
        self.how = how
        self._separates = how is not None and how.skip_punctuation
        table = bytearray(range(256))
        for byte in WHITE_ASCII:
            table[byte] = WHITE
        if how is not None and how.lower_case:
            for letter in string.ascii_uppercase:
                table[ord(letter)] = ord(letter.lower())
        if self._separates:
            for sign in string.punctuation + CONTROLS:
                if table[ord(sign)] != WHITE and sign != "'" and (sign != "-" or (how and how.split_hyphens)):
                    table[ord(sign)] = {"/": SLASH, ".": STOP, "!": STOP, "?": STOP}.get(sign, SEPARATOR)
        self._table = bytes(table)

    def of(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [bytes]: the class of each byte of a text that begins and ends with white space, without links marked. And
        int64: the signs in numbers that do not separate, though they would elsewhere."""
        classes = np.frombuffer(bytearray(data.translate(self._table)), dtype=np.uint8)
        raw = np.frombuffer(data, dtype=np.uint8)
        ascii_only = data.isascii()
        if not ascii_only:
            self._beyond_ascii(data, raw, classes)
        return classes, _join_numbers(raw, classes, ascii_only) if self._separates else np.empty(0, dtype=np.int64)

    def _beyond_ascii(self, data: bytes, raw: np.ndarray, classes: np.ndarray) -> None:
        """White space, and separators, of two and three bytes."""
        for lead, tables in _rare_characters().items():
            if lead not in data:
                continue
            places = np.flatnonzero(raw == lead)
            for second, table in tables:
                at = places[raw[places + 1] == second] if second else places
                behind = 2 if second else 1
                found = table[raw[at + behind]]
                if not self._separates:
                    found[found != WHITE] = _AS_IT_IS
                some = np.flatnonzero(found)
                at, found = at[some], found[some]
                for k in range(behind):
                    classes[at + k] = np.where(found == STOP, SEPARATOR, found)
                classes[at + behind] = found

    def mark_links(self, data: bytes, classes: np.ndarray, suspicious: list[int]) -> bool:
        """Surfaces at these places that are links become one form `LINKED`; True if any does."""
        flat = classes.tobytes()
        any_link = False
        behind = -1
        for at in suspicious:
            if at < behind:
                continue
            start, behind = flat.rfind(WHITE, 0, at) + 1, flat.index(WHITE, at)
            if is_link(data[start:behind].decode()):
                of_link = classes[start:behind]
                of_link[of_link != STOP] = SEPARATOR  # a sentence may still end here
                of_link[0] = LINKED
                any_link = True
        return any_link


def _join_numbers(raw: np.ndarray, classes: np.ndarray, ascii_only: bool) -> np.ndarray:
    """`3,000.50` and `10:30` are one form each: their joints do not separate. So with any non-ASCII neighbour, which may
    be a digit too."""
    inner = (classes - np.uint8(48)) < 10
    if not ascii_only:
        inner |= (classes - np.uint8(0x80)) < FORM_BELOW - 0x80
    joint = np.flatnonzero(inner) + 1
    joint = joint[_JOINTS[raw[joint]]]
    joint = joint[inner[joint + 1]]
    classes[joint] = raw[joint]
    return joint


_JOINTS = np.zeros(256, dtype=bool)
_JOINTS[list(NUMBER_JOINTS.encode())] = True


@lru_cache(maxsize=1)
def _rare_characters() -> dict[int, list[tuple[int, np.ndarray]]]:
    """By first byte: (second byte or 0, class by last byte) of the blocks where Unicode's white space and the punctuation
    of most texts are. What composes with other characters (U+00A8) is left to `normalise`."""
    found: dict[int, list[tuple[int, np.ndarray]]] = {}
    for first in (0x80, 0x1680, 0x2000, 0x2040, 0x3000):
        table = np.full(256, _AS_IT_IS, dtype=np.uint8)
        for code in range(first, first + 64):
            c = chr(code)
            if c.isspace():
                table[c.encode()[-1]] = WHITE
            elif c == "\u2026":
                table[c.encode()[-1]] = STOP
            elif first in _PUNCTUATED and not _may_belong_to_words(c):
                table[c.encode()[-1]] = SEPARATOR
        lead = chr(first).encode()
        found.setdefault(lead[0], []).append((lead[1] if len(lead) == 3 else 0, table))
    return found


def _may_belong_to_words(c: str) -> bool:
    return c.isalnum() or unicodedata.category(c)[0] == "M" or c in APOSTROPHES + HYPHENS + "\u00a8"


_PUNCTUATED = (0x80, 0x2000, 0x3000)
