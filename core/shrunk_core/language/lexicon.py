"""Texts as arrays of numbers: each distinct written form ("surface": what stands between two spaces) has one.

A text has a hundred times more words than surfaces, so each surface is looked at once, and many new ones together;
everything after that is arithmetic on arrays. Splitting and numbering are Arrow's (three times the speed of
`str.split` and a dict).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

LIMIT = 600_000
"""Surfaces that a lexicon of a long text should remember at once (about 150 MB) before it starts anew."""


@dataclass(frozen=True, eq=False)
class Scan:
    """Texts as surfaces, one after the other.

    surfaces: strings [n]. numbers: int64 [n], each surface's number in the lexicon that made this.
    ends: int64 [texts], where each text ends among the surfaces.
    """

    surfaces: pa.Array
    numbers: np.ndarray
    ends: np.ndarray

    def joined(self, starts: np.ndarray, stops: np.ndarray) -> pa.Array:
        """The surfaces from each of `starts` to before the same of `stops`, with single spaces between them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        lengths = stops - starts
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        at = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
        offsets = np.concatenate([[0], ends]).astype(np.int64)
        lists = pa.LargeListArray.from_arrays(pa.array(offsets), self.surfaces.take(pa.array(at)))
        return pc.call_function("binary_join", [lists, pa.scalar(" ", pa.large_string())])


class Lexicon(dict[str, int]):
    """Numbers surfaces in the order in which they are first met. `on_new(surfaces)` is called for those met first."""

    def __init__(self, on_new: Callable[[list[str]], None] | None = None) -> None:
        super().__init__()
        self._on_new = on_new

    def numbers(self, surfaces: Sequence[str]) -> np.ndarray:
        """int64 [n]: the numbers of n surfaces."""
        found = list(map(self.get, surfaces))
        if None in found:
            new = list(dict.fromkeys(s for s, number in zip(surfaces, found, strict=True) if number is None))
            self.update(zip(new, range(len(self), len(self) + len(new)), strict=True))
            if self._on_new is not None:
                self._on_new(new)
            found = list(map(self.get, surfaces))
        return np.array(found, dtype=np.int64)

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
