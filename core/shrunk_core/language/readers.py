"""Reading one source as a stream of documents: text, JSON lines, Parquet, CSV, the embedded corpus, hub data.

A reader holds one document or one block of rows at a time. What is wrong with a file is a DataError with its path.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ..errors import DataError
from .scan import Document


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


def read_source(
    source: Source, text_column: str, document: str, tally: Tally, rows: tuple[int, int] | None = None
) -> Iterator[Document]:
    """The documents of a source. `document` is `row`, `file` or `paragraph`; blank ones are counted and left out.

    rows: of a Parquet file, the first row group to read and the one behind the last.
    """
    try:
        if rows is None:
            items = _READERS[source.kind](source, text_column, document, tally)
        else:
            items = _parquet(source, text_column, document, tally, rows)
        for item in items:
            if _blank(item.data):
                tally.empty += 1
                continue
            tally.documents += 1
            yield item
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as problem:
        raise DataError(
            f"{source.path} is truncated or damaged ({problem}). Copy or download it again, or unpack what is left."
        ) from problem
    except FileNotFoundError as problem:
        raise DataError(f"{source.path} has vanished while it was to be read; bring it back and run again") from problem
    except OSError as problem:
        raise DataError(f"cannot read {source.path or source.name}: {problem.strerror or problem}") from problem


def _blank(data: bytes) -> bool:
    return not b" " < data[:1] < b"\x80" and not data.decode().strip()  # most begin with a letter


# ---------------------------------------------------------------- bytes


def _unpacked(source: Source, raw: io.BufferedReader) -> IO[bytes]:
    """The bytes of a file as they were before it was compressed."""
    if source.compression == "gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if source.compression == "xz":
        return cast(IO[bytes], lzma.LZMAFile(raw))
    if source.compression == "zst":
        return io.BufferedReader(_ZstdReader(raw), 1 << 18)
    if raw.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{source.path} is UTF-16, not UTF-8. Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW")
    return raw


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


def _lines(source: Source, tally: Tally) -> Iterator[bytes]:
    """Lines of UTF-8 with their ends, without a byte order mark."""
    with open(source.file, "rb") as raw:
        for i, line in enumerate(_unpacked(source, raw)):
            if i == 0:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if i % 64 == 0:
                tally.position = raw.tell()
            yield tally.valid(line)
        tally.position = raw.tell()


# ---------------------------------------------------------------- formats


def _text(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    if document == "row":
        raise DataError(f'{source.path}: a text file has no rows; choose document = "paragraph" or "file"')
    if document == "file":
        yield Document(b"".join(_lines(source, tally)))
        return
    yield from map(Document, _paragraphs(_lines(source, tally)))


def _paragraphs(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Blank-line blocks."""
    for blank, block in itertools.groupby(lines, key=_blank):
        if not blank:
            yield b"".join(block)


def _rows(source: Source, texts: Iterator[bytes], document: str) -> Iterator[Document]:
    """Documents from the texts of a table's rows."""
    if document == "row":
        yield from map(Document, texts)
    elif document == "file":
        yield Document(b"\n\n".join(texts))
    else:
        for text in texts:
            yield from map(Document, _paragraphs(line.encode() for line in text.decode().splitlines(keepends=True)))


def _jsonl(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    def texts() -> Iterator[bytes]:
        for number, line in enumerate(_lines(source, tally), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as problem:
                if line.lstrip().startswith(b"[") and number == 1:
                    raise DataError(
                        f"{source.path} is one JSON array, not JSON lines. Convert it: jq -c '.[]' FILE > NEW.jsonl"
                    ) from None
                raise DataError(f"{source.path}, line {number}: broken JSON ({problem})") from None
            if not isinstance(row, dict):
                raise DataError(f"{source.path}, line {number}: expected an object with the field `{text_column}`")
            if text_column not in row:
                raise DataError(_no_column(f"{source.path}, line {number}", "field", text_column, list(row)))
            text = _cell(row[text_column], f"{source.path}, line {number}", text_column)
            yield (tally.mend(text) if b"\\u" in line else text).encode()

    yield from _rows(source, texts(), document)


def _csv(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    csv.field_size_limit(1 << 30)  # a cell may hold a book

    def texts() -> Iterator[bytes]:
        reader = csv.reader(line.decode() for line in _lines(source, tally))
        header = next(reader, [])
        if text_column not in header:
            raise DataError(_no_column(str(source.path), "column", text_column, header))
        column = header.index(text_column)
        try:
            for row in reader:
                if not row:
                    continue
                if len(row) <= column:
                    raise DataError(
                        f"{source.path}, line {reader.line_num}: {len(row)} cells, the header has {len(header)}"
                    )
                yield row[column].encode()
        except csv.Error as problem:
            raise DataError(f"{source.path}, line {reader.line_num}: {problem}") from problem

    yield from _rows(source, texts(), document)


def _parquet(
    source: Source, text_column: str, document: str, tally: Tally, part: tuple[int, int] | None = None
) -> Iterator[Document]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def texts() -> Iterator[bytes]:
        try:
            with pq.ParquetFile(source.file) as file:
                names = file.schema_arrow.names
                if text_column not in names:
                    raise DataError(_no_column(str(source.path), "column", text_column, names))
                kind = file.schema_arrow.field(text_column).type
                if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                    raise DataError(f"{source.path}: column `{text_column}` holds {kind}, not text")
                size = 0 if part else source.file.stat().st_size
                groups = range(*part) if part else range(file.num_row_groups)
                rows = sum(file.metadata.row_group(i).num_rows for i in groups)
                done = 0
                for batch in file.iter_batches(batch_size=64, row_groups=list(groups), columns=[text_column]):
                    # As bytes: Arrow does not check that its strings are UTF-8, and we count what is not.
                    for value in batch.column(0).cast(pa.large_binary()):
                        done += 1
                        data = value.as_py()
                        yield b"" if data is None else tally.valid(data)
                    tally.position = size * done // max(1, rows)
        except pa.ArrowException as problem:
            raise DataError(f"{source.path} is no readable Parquet file: {problem}") from problem

    yield from _rows(source, texts(), document)


def _kjv(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    if document not in ("auto", "row"):
        raise DataError(f'{source.name}: its documents are chapters; leave document = "auto"')
    stream = map(json.loads, _lines(source, tally))
    for _, verses in itertools.groupby(stream, key=lambda row: (row["book"], row["chapter"])):
        yield Document("\n\n".join(row["text"] for row in verses).encode(), ready=True)


def _hub(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    from .hub import read_hub

    def texts() -> Iterator[bytes]:
        for row in read_hub(source):
            if text_column not in row:
                raise DataError(_no_column(source.name, "column", text_column, list(row)))
            yield _cell(row[text_column], source.name, text_column).encode()

    yield from _rows(source, texts(), document)


def _cell(value: Any, where: str, column: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: `{column}` holds {type(value).__name__}, not text")
    return value


def _no_column(where: str, noun: str, column: str, names: list[str]) -> str:
    has = ", ".join(f"`{n}`" for n in names) or "none"
    return (
        f'{where}: no {noun} `{column}`; it has {has}. Set [corpus] text_column = "..." to the one that holds the text.'
    )


_READERS: dict[str, Callable[[Source, str, str, Tally], Iterator[Document]]] = {
    "text": _text,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "kjv": _kjv,
    "hub": _hub,
}
