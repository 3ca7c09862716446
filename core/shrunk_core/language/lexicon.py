"""Texts as arrays of numbers: each distinct form (byte_classes.py) has one.

A text has a hundred times more forms than distinct ones, so each distinct one is looked at once, and many new ones
together; everything after that is arithmetic on arrays. No string is made of a form that was met before: its bytes, as
numbers of 64 bits, are looked up in a table whose keys are compared whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .byte_classes import FORM_BELOW, WHITE

LIMIT = 600_000
"""Forms that a lexicon of a long text should remember at once (about 100 MB) before it starts anew."""

MARGIN = 40
"""Bytes of white space that a text needs behind it, because forms are read 8 bytes at a time."""

_PART = 1 << 20
"""Bytes looked at together: what is made of them on the way is twenty times as much."""

_MULTIPLIERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64
)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Scan:
    """A text as forms. starts: int64 [n], where each begins among the bytes. numbers: int64 [n], its number."""

    starts: np.ndarray
    numbers: np.ndarray


class Lexicon:
    """Numbers forms in the order in which they are first met. `on_new(forms)` is called for those met first."""

    def __init__(self, on_new: Callable[[list[bytes]], None]) -> None:
        self._on_new = on_new
        self._tables = [_Table(1), _Table(2), _Table(4)]
        self._long: dict[bytes, int] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def scan(self, classes: np.ndarray) -> Scan:
        """The forms of a text by the classes of its bytes; white space before it and `MARGIN` of it behind."""
        windows = np.lib.stride_tricks.as_strided(classes[:8].view(np.uint64), (len(classes) - 7,), (1,))
        edges = _part_edges(classes)
        parts: list[tuple[np.ndarray, ...]] = [
            self._part(classes, windows, a, b + 1) for a, b in zip(edges[:-1], edges[1:], strict=True)
        ]
        before = np.cumsum([0, *(len(part[0]) for part in parts[:-1])])
        starts, lengths, numbers, others, keys, slots = (
            [part[k] for part in parts][0] if len(parts) == 1 else np.concatenate([part[k] for part in parts])
            for k in range(6)
        )
        others = others + np.repeat(before, [len(part[3]) for part in parts])
        numbers[others] = self._numbers(self._tables[0], keys[:, None], slots)
        long = np.flatnonzero(lengths > 8)
        if len(long):
            numbers[long] = self._longer(windows, starts[long], lengths[long])
        return Scan(starts, numbers)

    def _part(self, classes: np.ndarray, windows: np.ndarray, first: int, last: int) -> tuple[np.ndarray, ...]:
        """Of the forms of a part: starts, lengths, and numbers of those of at most eight bytes that are in the row of the
        table where they should be; of the other short ones which they are, their keys and rows."""
        inside = classes[first:last] < FORM_BELOW  # begins and ends with white space
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        starts = edges[0::2] + (first + 1)
        lengths = edges[1::2] - edges[0::2]
        keys = windows[starts]
        keys &= _MASKS.take(lengths, mode="clip")
        numbers, others, slots = self._tables[0].at_home(keys)
        short = lengths[others] <= 8
        others = others[short]
        return starts, lengths, numbers, others, keys[others], slots[short]

    def _numbers(self, table: _Table, keys: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """int64 [n]: numbers of forms uint64 [n, width]; those that are new are learnt."""
        found = table.probe(keys, slots)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            found[missing] = self._learn(table, keys[missing])
        return found

    def _longer(self, windows: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Numbers of forms of more than eight bytes: a table for those of up to 16, one up to 32, one by one beyond."""
        numbers = np.empty(len(starts), dtype=np.int64)
        least = 8
        for table in self._tables[1:]:
            most = 8 * table.width
            these = np.flatnonzero((lengths > least) & (lengths <= most))
            least = most
            if len(these) == 0:
                continue
            at, size = starts[these], lengths[these]
            keys = np.empty((len(these), table.width), dtype=np.uint64)
            for j in range(table.width):
                keys[:, j] = windows[at + 8 * j] & _MASKS.take(size - 8 * j, mode="clip")
            numbers[these] = self._numbers(table, keys, table.slots(keys))
        for i in np.flatnonzero(lengths > least).tolist():
            start, size = int(starts[i]), int(lengths[i])
            form = b"".join(int(windows[start + k]).to_bytes(8, "little") for k in range(0, size, 8))[:size]
            number = self._long.get(form)
            if number is None:
                number = self._long[form] = self._size
                self._size += 1
                self._on_new([form])
            numbers[i] = number
        return numbers

    def _learn(self, table: _Table, keys: np.ndarray) -> np.ndarray:
        """Numbers of forms that are not in the table yet. keys: uint64 [n, width], with repetitions."""
        order = np.lexsort(keys.T) if table.width > 1 else np.argsort(keys[:, 0], kind="stable")
        ordered = keys[order]
        begins = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
        new = ordered[begins]
        numbers = np.empty(len(keys), dtype=np.int64)
        numbers[order] = np.cumsum(begins) + (self._size - 1)
        table.add(new, np.arange(self._size, self._size + len(new)))
        self._size += len(new)
        self._on_new(np.ascontiguousarray(new).view(f"S{8 * table.width}").ravel().tolist())
        return numbers


class _Table:
    """Keys of `width` times 8 bytes, each with a number: open addressing, at most half full.

    A row is a key and its number, side by side, so that both are in the cache once one is. A first part of 0 is a free row.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._used = 0
        self._make(1 << 12)

    def _make(self, size: int) -> None:
        self._rows = np.zeros((size, self._row), dtype=np.uint64)
        self._flat = self._rows.ravel()
        self._size = size
        self._shift = np.uint64(64 - (size.bit_length() - 1))

    @property
    def _row(self) -> int:
        return 1 << self.width.bit_length()  # room for the key and the number

    def slots(self, keys: np.ndarray) -> np.ndarray:
        """int64 [n]: the row each of uint64 [n, width] should be in."""
        mixed = keys[:, 0] * _MULTIPLIERS[0]
        for j in range(1, self.width):
            mixed ^= mixed >> np.uint64(29)
            mixed += keys[:, j] * _MULTIPLIERS[j]
            mixed *= _MULTIPLIERS[0]
        mixed >>= self._shift
        return mixed.view(np.int64)

    def at_home(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of keys of one part, uint64 [n]: int64 [n], the numbers of those that are in the row they should be in; which
        are not, and what row that is."""
        assert self.width == 1
        slots = keys * _MULTIPLIERS[0]
        slots >>= self._shift
        at = slots.view(np.int64)
        at <<= 1
        others = np.flatnonzero(self._flat.take(at) != keys)
        elsewhere = at[others] >> 1
        at |= 1
        return self._flat.take(at).view(np.int64), others, elsewhere

    def probe(self, keys: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """int64 [n]: numbers of uint64 [n, width], looked for from these rows on until a free one; -1 if not here."""
        numbers = np.full(len(keys), -1, dtype=np.int64)
        waiting = np.arange(len(keys))
        row = self._row
        while len(waiting):
            at = slots * row
            firsts = self._flat.take(at)
            same = firsts == keys[:, 0]
            for j in range(1, self.width):
                same &= self._flat.take(at + j) == keys[:, j]
            here = np.flatnonzero(same)
            numbers[waiting[here]] = self._flat.take(at[here] + self.width).view(np.int64)
            on = np.flatnonzero((firsts != 0) & ~same)
            waiting, keys, slots = waiting[on], keys[on], (slots[on] + 1) & (self._size - 1)
        return numbers

    def add(self, keys: np.ndarray, numbers: np.ndarray) -> None:
        """Add distinct keys uint64 [n, width] that are not here."""
        self._used += len(keys)
        if 2 * self._used > self._size:
            old = self._rows[self._rows[:, 0] != 0]
            self._make(1 << (5 * self._used // 2).bit_length())
            self._put(old[:, : self.width], old[:, self.width])
        self._put(keys, numbers.astype(np.uint64))

    def _put(self, keys: np.ndarray, numbers: np.ndarray) -> None:
        slots = self.slots(keys)
        while len(keys):
            free = np.flatnonzero(self._rows[slots, 0] == 0)
            at = slots[free]
            self._rows[at, self.width] = numbers[free]  # of several that want a row one gets it
            got = free[self._rows[at, self.width] == numbers[free]]
            self._rows[slots[got], : self.width] = keys[got]
            left = np.ones(len(keys), dtype=bool)
            left[got] = False
            keys, numbers, slots = keys[left], numbers[left], (slots[left] + 1) & (self._size - 1)


def _part_edges(classes: np.ndarray) -> list[int]:
    """Where to cut a text, at white space, into parts of about `_PART` bytes; each part begins and ends with some."""
    edges = [0]
    while len(classes) - edges[-1] > 2 * _PART:
        at = edges[-1] + _PART
        while True:
            white = np.flatnonzero(classes[at : at + 4096] == WHITE)
            if len(white) or at + 4096 >= len(classes):
                break
            at += 4096
        edges.append(int(at + white[0]) if len(white) else len(classes))
        if edges[-1] >= len(classes) - 1:
            edges.pop()
            break
    return [*edges, len(classes)]


class Growing:
    """int64 values of forms by number: an array that grows at its end."""

    def __init__(self) -> None:
        self._values = np.zeros(1 << 12, dtype=np.int64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, values: np.ndarray) -> None:
        while self._size + len(values) > len(self._values):
            self._values = np.concatenate([self._values, np.zeros_like(self._values)])
        self._values[self._size : self._size + len(values)] = values
        self._size += len(values)

    def array(self) -> np.ndarray:
        return self._values[: self._size]
