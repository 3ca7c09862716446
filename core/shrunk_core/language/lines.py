"""Lines of text files, whole or a stretch of them, packed or not."""

from __future__ import annotations

import gzip
import io
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from ..errors import DataError
from .source import Source, Tally

_MARK = b"\xef\xbb\xbf"
"""Of byte order, which says nothing in UTF-8."""


def _unpacked(source: Source, raw: io.BufferedReader) -> IO[bytes]:
    """The bytes of a file as they were before it was compressed."""
    if source.compression == "gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if source.compression == "xz":
        return cast(IO[bytes], lzma.LZMAFile(raw))
    if source.compression == "zst":
        return io.BufferedReader(_ZstdReader(raw), 1 << 18)
    _refuse_utf16(source, raw)
    return raw


def _refuse_utf16(source: Source, raw: io.BufferedReader) -> None:
    if raw.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{source.path} is UTF-16, not UTF-8. Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW")


class _ZstdReader(io.RawIOBase):
    """Unpacks zstandard frames in a row. The library lets a truncated last one pass; here it is an EOFError."""

    def __init__(self, raw: IO[bytes]) -> None:
        import zstandard

        self._raw = raw
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._rest = b""
        self._error = zstandard.ZstdError
        self._out = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._out:
            data = self._rest or self._raw.read(1 << 17)
            self._rest = b""
            if not data:
                if self._frame is not None:
                    raise EOFError("the compressed file ends in the middle of a frame")
                return 0
            if self._frame is None:
                self._frame = self._new()
            try:
                self._out = memoryview(self._frame.decompress(data))
            except self._error as problem:
                raise EOFError(str(problem)) from problem
            if self._frame.eof:
                self._rest = self._frame.unused_data
                self._frame = None
        n = min(len(buffer), len(self._out))
        buffer[:n] = self._out[:n]
        self._out = self._out[n:]
        return n


def lines_of(source: Source, tally: Tally) -> Iterator[bytes]:
    """Lines of UTF-8 with their ends, without a byte order mark."""
    with open(source.file, "rb") as raw:
        for i, line in enumerate(_unpacked(source, raw)):
            if i == 0:
                line = line.removeprefix(_MARK)
            if i % 64 == 0:
                tally.position = raw.tell()
            yield tally.valid(line)
        tally.position = raw.tell()


def lines_of_part(source: Source, tally: Tally, start: int, stop: int) -> Iterator[bytes]:
    """The lines of a file that begin from byte `start` to before byte `stop`."""
    with open(source.file, "rb") as raw:
        if start:
            raw.seek(start - 1)
            raw.readline()  # the rest of the line before
        else:
            _refuse_utf16(source, raw)
            raw.seek(len(_MARK) if raw.peek(3)[:3] == _MARK else 0)
        while raw.tell() < stop:
            line = raw.readline()
            if not line:
                break
            yield tally.valid(line)
    tally.position = stop - start


def lines_before(path: Path, place: int) -> int:
    """How many lines begin before this byte."""
    count, left = 1, place - 1
    with open(path, "rb") as raw:
        while left > 0 and (some := raw.read(min(left, 1 << 20))):
            count += some.count(b"\n")
            left -= len(some)
    return count if place else 0
