"""How fast a pass over the sources is, and how long it will take."""

from __future__ import annotations

import time


class Pace:
    """Text and time of one pass. total: bytes of the sources' files, 0 if unknown."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._began = time.monotonic()
        self._characters = 0
        self._first: int | None = None

    def add(self, characters: int) -> None:
        self._characters += characters

    def message(self, position: int) -> str:
        """`24.1 MB/s, 1m 05s left`: text a second since the pass began, and time left by the bytes of the files.

        position: bytes of the files that are behind us.
        """
        seconds = max(1e-9, time.monotonic() - self._began)
        rate = f"{self._characters / 1e6 / seconds:.1f} MB/s"
        if self._first is None:
            self._first = position  # a continued pass begins in the middle
            return rate
        if position <= self._first or position > self.total:
            return rate
        left = round(seconds * (self.total - position) / (position - self._first))
        return f"{rate}, {left // 60}m {left % 60:02d}s left"
