"""Sources in pieces that are worked on one by one, in any process: read here, or left to be read where they are needed.

Small files, row groups of Parquet files and stretches of JSON lines can be read by themselves, so that reading them is
part of the work on them and is done on all cores. Everything else (large compressed files, texts and CSV, data from the
hub) can only be read from front to back: here, a few megabytes at a time. What becomes a batch depends on the sources
alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from .readers import read_source
from .row_groups import row_groups
from .scan import Document
from .source import Source, Tally
from .sources import Reading

READ_AT_ONCE = 8_000_000
"""Bytes of text in a batch that is read here."""

SMALL_FILE = 32_000_000
"""Files up to this size are a batch each."""

STRETCH = 16_000_000
"""Larger files of JSON lines are cut into stretches of at most this size."""

_UNPACKED = 16
"""Compressed text seldom has more bytes than so many times those of its file."""


@dataclass(frozen=True, eq=False)
class Part:
    """What can be read by itself: a whole file, or some `range` of it (`read_source`)."""

    source: Source
    text_column: str
    document: str
    range: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Documents of one source, or the part of it that holds them.

    source: number of the file or data set; entry: of the recipe's `sources` it belongs to. tally: what was met where the
    documents were read here. position: bytes of all sources behind the end of the batch.
    """

    source: int
    entry: int
    documents: list[Document]
    tally: Tally
    position: int
    part: Part | None = None

    def read(self) -> tuple[list[Document], Tally]:
        """The documents, and what was met while they were read."""
        if self.part is None:
            return self.documents, self.tally
        tally = Tally()
        part = self.part
        return list(read_source(part.source, part.text_column, part.document, tally, part.range)), tally


def batches(reading: Reading, start: int = 0) -> Iterator[Batch]:
    """Everything to be read from source number `start` on, never of two sources in one batch."""
    position = reading.size_before(start)
    for number in range(start, len(reading.sources)):
        source = reading.sources[number]
        parts = _parts(reading, number)
        if not parts:
            yield from _read_here(reading, number, position)
        for nth, part in enumerate(parts, 1):
            behind = position + reading.sizes[number] * nth // len(parts)
            yield Batch(number, source.entry, [], Tally(), behind, part)
        position += reading.sizes[number]


def _parts(reading: Reading, number: int) -> list[Part]:
    """The parts of a source; none of one that is read from front to back."""
    source, size = reading.sources[number], reading.sizes[number]
    column, document = reading.corpus.text_column, reading.document(number)
    if source.kind in ("hub", "kjv") or size == 0:
        return []
    if source.kind == "parquet":
        groups = row_groups(source.file, column) if document != "file" else []
        return [Part(source, column, document, rows) for rows in groups]
    if source.kind == "jsonl" and not source.compression and document != "file" and size > SMALL_FILE:
        count = -(-size // STRETCH)
        bounds = [size * k // count for k in range(count + 1)]
        return [Part(source, column, document, stretch) for stretch in itertools.pairwise(bounds)]
    return [Part(source, column, document)] if size * (_UNPACKED if source.compression else 1) <= SMALL_FILE else []


def _read_here(reading: Reading, number: int, position: int) -> Iterator[Batch]:
    source, met = reading.sources[number], Tally()
    told = Tally()
    documents: list[Document] = []
    size = 0
    for document in itertools.chain(reading.read(number, met), [None]):
        if size >= READ_AT_ONCE or (document is None and met != told):
            yield Batch(number, source.entry, documents, met - told, position + met.position)
            told = dataclasses.replace(met)
            documents, size = [], 0
        if document is not None:
            documents.append(document)
            size += len(document.data)
