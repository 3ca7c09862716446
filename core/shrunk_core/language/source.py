"""One source of text, and what is met while it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One file, the embedded corpus, or one hub data set. kind: `text`, `jsonl`, `csv`, `parquet`, `kjv`, `hub`.

    entry: which of the recipe's `sources` it belongs to; a folder is many files of one entry.
    """

    name: str
    kind: str
    path: Path | None = None
    compression: str = ""
    revision: str = ""
    entry: int = 0

    @property
    def file(self) -> Path:
        assert self.path is not None
        return self.path


@dataclass
class Tally:
    """What reading one source, or a part of it, met. `position`: bytes of its file read so far; 0 in some row groups."""

    documents: int = 0
    empty: int = 0
    replaced_characters: int = 0
    position: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def __sub__(self, other: Tally) -> Tally:
        return Tally(**{name: value - getattr(other, name) for name, value in vars(self).items()})

    def valid(self, data: bytes) -> bytes:
        """UTF-8; each invalid sequence becomes U+FFFD and is counted."""
        if data.isascii():
            return data
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("utf-8", errors="replace")
            self.replaced_characters += text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
            return text.encode()
        return data

    def mend(self, text: str) -> str:
        """`text` without halves of characters (lone surrogates, which JSON can spell); each becomes U+FFFD, counted."""
        try:
            text.encode()
        except UnicodeEncodeError:
            mended = text.encode("utf-16", "surrogatepass").decode("utf-16", errors="replace")
            self.replaced_characters += mended.count("\ufffd") - text.count("\ufffd")
            return mended
        return text
