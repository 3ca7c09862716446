"""Reading one source as a stream of documents: text, JSON lines, Parquet, CSV, the embedded corpus, hub data.

A reader holds one document or one block of rows at a time. What is wrong with a file is a DataError with its path.
"""

from __future__ import annotations

import csv
import functools
import gzip
import itertools
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..errors import DataError
from .lines import lines_before, lines_of, lines_of_part
from .scan import Document
from .source import Source, Tally


def read_source(
    source: Source, text_column: str, document: str, tally: Tally, part: tuple[int, int] | None = None
) -> Iterator[Document]:
    """The documents of a source. `document` is `row`, `file` or `paragraph`; blank ones are counted and left out.

    part: of a Parquet file, the first row group to read and the one behind the last; of JSON lines that are not compressed,
    two places, in bytes, between which the lines begin that are to be read.
    """
    try:
        reader = _READERS[source.kind] if part is None else functools.partial(_READERS_OF_PARTS[source.kind], part=part)
        for item in reader(source, text_column, document, tally):
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


def _text(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    if document == "row":
        raise DataError(f'{source.path}: a text file has no rows; choose document = "paragraph" or "file"')
    if document == "file":
        yield Document(b"".join(lines_of(source, tally)))
        return
    yield from map(Document, _paragraphs(lines_of(source, tally)))


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


def _jsonl(
    source: Source, text_column: str, document: str, tally: Tally, part: tuple[int, int] | None = None
) -> Iterator[Document]:
    def where(number: int) -> str:
        """A line of the file, by its number among those that are read."""
        return f"{source.path}, line {number + (lines_before(source.file, part[0]) if part else 0)}"

    def texts() -> Iterator[bytes]:
        lines = lines_of_part(source, tally, *part) if part else lines_of(source, tally)
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as problem:
                if line.lstrip().startswith(b"[") and number == 1 and not (part and part[0]):
                    raise DataError(
                        f"{source.path} is one JSON array, not JSON lines. Convert it: jq -c '.[]' FILE > NEW.jsonl"
                    ) from None
                raise DataError(f"{where(number)}: broken JSON ({problem})") from None
            if not isinstance(row, dict):
                raise DataError(f"{where(number)}: expected an object with the field `{text_column}`")
            if text_column not in row:
                raise DataError(_no_column(where(number), "field", text_column, list(row)))
            value = row[text_column]
            text = value if isinstance(value, str) else _cell(value, where(number), text_column)
            yield (tally.mend(text) if b"\\u" in line else text).encode()

    yield from _rows(source, texts(), document)


def _csv(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    csv.field_size_limit(1 << 30)  # a cell may hold a book

    def texts() -> Iterator[bytes]:
        reader = csv.reader(line.decode() for line in lines_of(source, tally))
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
                # As bytes: Arrow does not check that its strings are UTF-8, and we count what is not.
                as_bytes = pa.binary() if pa.types.is_string(kind) else pa.large_binary()
                for batch in file.iter_batches(batch_size=32, row_groups=list(groups), columns=[text_column]):
                    for value in batch.column(0).cast(as_bytes):
                        done += 1
                        data = value.as_py()
                        yield b"" if data is None else tally.valid(data)
                    tally.position = size * done // max(1, rows)
        except pa.ArrowException as problem:
            raise DataError(f"{source.path} is no readable Parquet file: {problem}") from problem
        finally:
            pa.default_memory_pool().release_unused()  # the pool keeps more than one part has

    yield from _rows(source, texts(), document)


def _kjv(source: Source, text_column: str, document: str, tally: Tally) -> Iterator[Document]:
    if document not in ("auto", "row"):
        raise DataError(f'{source.name}: its documents are chapters; leave document = "auto"')
    stream = map(json.loads, lines_of(source, tally))
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

_READERS_OF_PARTS = {"jsonl": _jsonl, "parquet": _parquet}
