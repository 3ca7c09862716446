"""Where sentences start among the bytes of a text: the rule of sentences.py, looked at only where one may end.

Stops are one byte of seventy. What follows each is settled by tables for plain ASCII; whatever is not (other alphabets,
`J.`, `Mr.`, numbers, dots in a row) is asked of the rule itself, once for each distinct surface.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from .byte_classes import STOP, WHITE
from .sentences import ABBREVIATIONS, CLOSING, OPENING, can_end, can_start

_STEPS = 40
"""Bytes skipped together; whoever has more white space or quotes in a row than that is looked at alone."""


def _table(signs: str) -> np.ndarray:
    table = np.zeros(256, dtype=bool)
    table[[ord(c) for c in signs if ord(c) < 128]] = True
    return table


_CLOSES, _OPENS = _table(CLOSING), _table(OPENING)
_BETWEEN_NEWLINES = _table(" \t\r\f\v")
_UPPER = _table("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LETTER = _table("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_UPPER_OR_DIGIT = _UPPER | _table("0123456789")
_NOT_WHITE = re.compile(rb"[^\xff]")

# The last three bytes of abbreviations in lower case, packed; 0 first for those of two letters.
_ENDINGS = np.unique([int.from_bytes(a[-3:].encode(), "big") for a in ABBREVIATIONS if a[-2:].isalpha()])


class SentenceStarts:
    """Finds starts of sentences; remembers what the rule said about surfaces. separate: stops have a class of their own."""

    def __init__(self, separate: bool) -> None:
        self._separate = separate
        self._ends: dict[bytes, bool] = {}
        self._starts: dict[bytes, bool] = {}

    def of(
        self,
        data: bytes,
        classes: np.ndarray,
        joints: np.ndarray,
        ready: np.ndarray | None,
        lower: np.ndarray | None,
    ) -> np.ndarray:
        """int64, ascending: where sentences start, the first at the first byte that is not white.

        data: the text, ended by a blank line and a byte that is not white. classes: see byte_classes.py. joints: signs
        whose class hides that they may be stops. ready, lower: bool [bytes] or None: where stops end nothing, and where
        whatever follows one may start a sentence.
        """
        raw = np.frombuffer(data, dtype=np.uint8)
        flat = classes.tobytes()
        first = _NOT_WHITE.search(flat)
        assert first is not None
        found = [np.array([first.start()]), _after_blank_lines(raw, classes, flat)]
        if ready is None or not ready[1:-1].all():
            found.append(self._after_stops(data, raw, classes, joints, flat, ready, lower))
        starts = np.concatenate(found)
        starts.sort(kind="stable")
        return starts[np.concatenate([[True], starts[1:] != starts[:-1]])]

    def _after_stops(
        self,
        data: bytes,
        raw: np.ndarray,
        classes: np.ndarray,
        joints: np.ndarray,
        flat: bytes,
        ready: np.ndarray | None,
        lower: np.ndarray | None,
    ) -> np.ndarray:
        if self._separate:
            stops = np.flatnonzero(classes == STOP)
            if len(joints):
                stops = np.sort(np.concatenate([stops, joints[raw[joints] == 46]]), kind="stable")
        else:
            stop = (raw == 46) | (raw == 33) | (raw == 63)
            stop[2:] |= (raw[2:] == 0xA6) & (raw[1:-1] == 0x80) & (raw[:-2] == 0xE2)  # the last byte of an ellipsis
            stops = np.flatnonzero(stop)
        if ready is not None:
            stops = stops[~ready[stops]]
        behind = stops + 1
        _skip_signs(behind, raw, _CLOSES, _closing_beyond_ascii)
        ended = np.flatnonzero(classes[behind] == WHITE)
        stops, behind = stops[ended], behind[ended]
        starts = behind.copy()
        skip_white(starts, classes, flat)
        opened = starts.copy()
        _skip_signs(opened, raw, _OPENS, _opening_beyond_ascii)
        starting = _UPPER_OR_DIGIT[raw[opened]]
        unsure = np.flatnonzero(raw[opened] >= 0x80)
        starting[unsure] = [self._may_start(data, flat, at) for at in starts[unsure].tolist()]
        if lower is not None:
            starting |= lower[starts]
        yes = np.flatnonzero(starting)
        stops, behind, starts = stops[yes], behind[yes], starts[yes]
        keep, unsure = _may_end(raw, classes, stops, behind)
        for i in unsure.tolist():
            keep[i] = self._may_end(data, flat, int(behind[i]))
        return starts[keep]

    def _may_start(self, data: bytes, flat: bytes, at: int) -> bool:
        surface = data[at : flat.find(WHITE, at)]
        known = self._starts.get(surface)
        if known is None:
            known = self._starts[surface] = can_start(surface.decode())
        return known

    def _may_end(self, data: bytes, flat: bytes, behind: int) -> bool:
        surface = data[flat.rfind(WHITE, 0, behind) + 1 : behind]
        known = self._ends.get(surface)
        if known is None:
            known = self._ends[surface] = can_end(surface.decode())
        return known

    def forget(self) -> None:
        self._ends.clear()
        self._starts.clear()


def _may_end(
    raw: np.ndarray, classes: np.ndarray, stops: np.ndarray, behind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """bool [n]: surfaces after which a sentence may end; and where that is not sure: their last byte is a `.` after what
    may be an abbreviation, an initial, or no plain word."""
    may = np.ones(len(stops), dtype=bool)
    dots = np.flatnonzero((behind == stops + 1) & (raw[stops] == 46))
    at = stops[dots]
    one, two, three = (raw[at - k] for k in (1, 2, 3))
    letter = _LETTER[one]
    letters = letter & _LETTER[two]
    third = _LETTER[three]
    code = (one | 32).astype(np.int64) + ((two | 32).astype(np.int64) << 8)
    code += np.where(third, (three | 32).astype(np.int64) << 16, 0)
    abbreviation = letters & (_ENDINGS.take(np.searchsorted(_ENDINGS, code), mode="clip") == code)
    initial = _UPPER[one] & (one != ord("I")) & (classes[at - 2] == WHITE)
    no = initial | (abbreviation & ~third & (classes[at - 3] == WHITE))
    may[dots[no]] = False
    return may, dots[~no & (~letters | abbreviation)]


def _after_blank_lines(raw: np.ndarray, classes: np.ndarray, flat: bytes) -> np.ndarray:
    """Where text goes on after blank lines: two line ends with nothing but blanks between them."""
    newline = raw == 10
    at = np.flatnonzero(newline[:-1] & (classes[1:] == WHITE)) + 1
    moving = np.flatnonzero(_BETWEEN_NEWLINES[raw[at]])
    while len(moving):
        at[moving] += 1
        moving = moving[_BETWEEN_NEWLINES[raw[at[moving]]]]
    at = at[newline[at]]
    skip_white(at, classes, flat)
    return at


def skip_white(at: np.ndarray, classes: np.ndarray, flat: bytes) -> None:
    """Move each place on to the first byte from it that is not white. There is one at the end of the text."""
    moving = np.flatnonzero(classes[at] == WHITE)
    for _ in range(_STEPS):
        if len(moving) == 0:
            return
        at[moving] += 1
        moving = moving[classes[at[moving]] == WHITE]
    for i in moving.tolist():
        found = _NOT_WHITE.search(flat, int(at[i]))
        assert found is not None
        at[i] = found.start()


def skip_white_back(at: np.ndarray, classes: np.ndarray) -> None:
    """Move each place back to behind the last byte before it that is not white. There is one before the first."""
    moving = np.flatnonzero(classes[at - 1] == WHITE)
    for _ in range(_STEPS):
        if len(moving) == 0:
            return
        at[moving] -= 1
        moving = moving[classes[at[moving] - 1] == WHITE]
    for i in moving.tolist():
        at[i] = len(classes[: at[i]].tobytes().rstrip(b"\xff"))


def _skip_signs(
    at: np.ndarray,
    raw: np.ndarray,
    signs: np.ndarray,
    beyond_ascii: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    """Move each place on behind the signs there."""
    moving = np.arange(len(at))
    while len(moving):
        here = raw[at[moving]]
        steps = signs[here].astype(np.int64)
        other = np.flatnonzero(here >= 0x80)
        if len(other):
            steps[other] = beyond_ascii(raw, at[moving[other]])
        on = np.flatnonzero(steps)
        moving = moving[on]
        at[moving] += steps[on]


def _closing_beyond_ascii(raw: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Bytes of the closing sign at each place, 0 where there is none."""
    one, two, three = (raw[at + k] for k in range(3))
    quote = (one == 0xE2) & (two == 0x80) & ((three == 0x9D) | (three == 0x99))
    return np.where(quote, 3, np.where((one == 0xC2) & (two == 0xBB), 2, 0))


def _opening_beyond_ascii(raw: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Bytes of the opening sign at each place, 0 where there is none."""
    one, two, three = (raw[at + k] for k in range(3))
    sign = (one == 0xE2) & (two == 0x80) & ((three == 0x9C) | (three == 0x98) | (three == 0x94))
    return np.where(sign, 3, np.where((one == 0xC2) & (two == 0xAB), 2, 0))
