"""Texts as arrays of numbers: each distinct form (byte_classes.py) has one.

A text has a hundred times more forms than distinct ones, so each distinct one is looked at once, and many new ones
together; everything after that is arithmetic on arrays. No string is made of a form that was met before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .byte_classes import ABBREVIATION_ENDINGS, READY, SIGNS, ByteClasses

LIMIT = 600_000
"""Forms that a lexicon of a long text should remember at once (about 100 MB) before it starts anew."""

_AHEAD = 8
"""Bytes of white space behind a text, because a few bytes are read ahead."""

_MOST_BYTES = 2**31 - 1
_ROOM_KEPT = 1 << 24


@dataclass(frozen=True, eq=False)
class Text:
    """Documents one after the other, white space around each. limits: int64 [documents, 2], the first byte of
    each and the one behind it."""

    data: bytes
    limits: np.ndarray

    @classmethod
    def of(cls, documents: Iterable[bytes]) -> Text:
        documents = list(documents)
        sizes = np.array([len(d) for d in documents], dtype=np.int64)
        stops = np.cumsum(sizes + 1)
        if len(sizes) and stops[-1] + _AHEAD > _MOST_BYTES:
            raise DataError(
                f"a document of {max(sizes) / 1e9:.1f} GB: at most 2 GB of text can be one document. Cut it finer "
                '(`document = "paragraph"`: blank-line blocks; `"row"` of a table).'
            )
        data = b"\n".join([b"", *documents, b"\n" * _AHEAD])
        return cls(data, np.column_stack([stops - sizes, stops]))


@dataclass(frozen=True, eq=False)
class Scan:
    """A text as surfaces and forms; valid until the next one, whose arrays are in the same place.

    begin, stop: int32 [surfaces], the bytes of each. before: int32 [surfaces + 1], the forms before each. numbers: int32
    [forms]. first: int64 [documents + 1], the surfaces before each. heads: int32, surfaces that start sentences if what is
    `asked` of them (uint8) is answered so. doubts: int32, surfaces that may be links.
    """

    begin: np.ndarray
    stop: np.ndarray
    before: np.ndarray
    numbers: np.ndarray
    first: np.ndarray
    heads: np.ndarray
    asked: np.ndarray
    doubts: np.ndarray


class Lexicon:
    """Numbers forms in the order in which they are first met, from behind what is `reserved`.

    on_new: called with the first number and `plain`, bool, of forms met first: whether each is of several ASCII letters
    and nothing else. names: all forms by number.
    """

    def __init__(
        self, classes: ByteClasses, on_new: Callable[[int, np.ndarray], None], reserved: tuple[str, ...] = ()
    ) -> None:
        from . import number_kernel, scan_kernel  # as late as this, because it takes most of a second

        self._scan = scan_kernel.scan
        self._classes = classes
        self._on_new = on_new
        self.names: list[str] = list(reserved)
        self._used = 0  # of the arena
        self._rows = np.zeros(4 << 12, dtype=np.uint64)
        self._often = np.zeros(2 * number_kernel.OFTEN, dtype=np.uint64)
        self._arena = np.empty(1 << 15, dtype=np.uint8)
        self._ends = np.empty(1 << 11, dtype=np.int64)
        self._plain = np.empty(1 << 11, dtype=np.uint8)
        self._room = np.empty(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.names)

    def scan(self, text: Text, ways: np.ndarray | None = None, links: bool = False) -> Scan:
        """The surfaces and forms of a text. ways: uint8 [documents], how each is cut into sentences (byte_classes.py)."""
        raw = np.frombuffer(text.data, dtype=np.uint8)
        windows = np.lib.stride_tricks.as_strided(raw[:8].view(np.uint64), (len(raw) - 7,), (1,), writeable=False)
        documents = len(text.limits)
        most = len(raw) // 2 + 2  # surfaces, and forms, and sentences
        begin, stop, before, numbers, heads, doubts, asked = self._outputs(most)
        first = np.zeros(documents + 1, dtype=np.int64)
        ways = np.full(documents, READY, dtype=np.uint8) if ways is None else ways
        c = self._classes
        known, used = len(self.names), self._used
        *lexicon, new_known, self._used, surfaces, forms, n_heads, n_doubts = self._scan(
            raw, windows, c.fold, text.limits, ways, links,
            c.kinds, c.folded, c.of_characters, SIGNS, ABBREVIATION_ENDINGS,
            self._rows, self._often, self._arena, self._ends, self._plain, known, used,
            begin, stop, before, numbers, first, heads, asked, doubts,
        )  # fmt: skip
        self._rows, self._arena, self._ends, self._plain = lexicon
        if new_known > known:
            self.names += self._arena[used : self._used - 1].tobytes().decode().split(" ")
            self._on_new(known, self._plain[known:new_known].astype(bool))
        return Scan(
            begin[:surfaces], stop[:surfaces], before[: surfaces + 1], numbers[:forms], first,
            heads[:n_heads], asked[:n_heads], doubts[:n_doubts],
        )  # fmt: skip

    def _outputs(self, most: int) -> list[np.ndarray]:
        """Room for what a scan writes; of what is not written the system makes no memory. A large room is not kept."""
        room = self._room if 7 * most <= len(self._room) else np.empty(7 * most, dtype=np.int32)
        if len(room) <= _ROOM_KEPT:
            self._room = room
        parts = [room[k * most : (k + 1) * most] for k in range(7)]
        return [*parts[:6], parts[6].view(np.uint8)]


class Growing:
    """Values of forms by number: an array that grows at its end."""

    def __init__(self, dtype: type = np.int64) -> None:
        self._values = np.zeros(1 << 12, dtype=dtype)
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
