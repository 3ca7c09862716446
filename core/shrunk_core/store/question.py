"""One question of a person who may change their mind: it runs in a thread, counts as it goes and can be called off.

`Store.query` answers our own queries as rows of Python values under a timeout. A question answers as an Arrow table, which
holds a million rows in tens of megabytes and from which a screen takes only the rows that it shows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from ..errors import StoreError
from . import sandbox
from .result import unique

if TYPE_CHECKING:
    import pyarrow

MAX_ROWS = 2_000_000
MAX_BYTES = 256 * 2**20
"""What an answer may hold in memory; more is left out and `Answer.truncated` says so."""

BATCH_ROWS = 65_536


class Cancelled(StoreError):
    """The question was called off by the person who asked it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back.

    table: columns with unique names, times as UTC without a zone; truncated: there were more rows than an answer may hold;
    seconds: wall time from asking to the last row.
    """

    table: pyarrow.Table
    truncated: bool
    seconds: float


class Question:
    """One statement that reads, on a cursor of its own. `answer()` is called once, in any thread; `cancel()` from any."""

    def __init__(
        self,
        cursor: Callable[[], duckdb.DuckDBPyConnection],
        sql: str,
        *,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.sql = sql
        self.rows = 0
        self._open = cursor
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._guard = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Stop as soon as the database notices, which is at once; `answer` then raises Cancelled."""
        with self._guard:
            self._cancelled = True
            if self._cursor is not None:
                self._cursor.interrupt()

    def answer(self) -> Answer:
        """Run it to its end. StoreError with the database's words and a hint; Cancelled when it was called off.

        `rows` grows while it runs, for whoever wants to show it.
        """
        sandbox.check(self.sql)
        began = time.perf_counter()
        cursor = self._open()
        with self._guard:
            self._cursor = cursor
        try:
            cursor.execute("use lab")
            table, truncated = self._fetch(cursor)
        except duckdb.Error as problem:
            if self._cancelled:
                raise Cancelled("the query was stopped") from None
            raise StoreError(sandbox.explained(problem)) from None
        finally:
            with self._guard:
                self._cursor = None
            cursor.close()
        return Answer(table=table, truncated=truncated, seconds=time.perf_counter() - began)

    def _fetch(self, cursor: duckdb.DuckDBPyConnection) -> tuple[pyarrow.Table, bool]:
        import pyarrow

        relation = cursor.sql(self.sql)
        if relation is None:
            raise StoreError("the statement returns no rows")
        reader = relation.to_arrow_reader(BATCH_ROWS)
        batches: list[Any] = []
        held, truncated = 0, False
        for batch in reader:
            if self._cancelled:
                raise Cancelled("the query was stopped")
            if self.rows + batch.num_rows > self._max_rows:
                batch, truncated = batch.slice(0, self._max_rows - self.rows), True
            batches.append(batch)
            held += batch.nbytes
            self.rows += batch.num_rows
            truncated = truncated or held > self._max_bytes
            if truncated:
                break
        names = unique(reader.schema.names)
        table = pyarrow.Table.from_batches(batches, schema=reader.schema).rename_columns(list(names))
        return _without_zones(table), truncated


def _without_zones(table: pyarrow.Table) -> pyarrow.Table:
    """Times with a zone as UTC without one: an export or a cell then needs no database of time zones."""
    import pyarrow

    for i, f in enumerate(table.schema):
        if pyarrow.types.is_timestamp(f.type) and f.type.tz is not None:
            column = table.column(i).cast(pyarrow.timestamp(f.type.unit, tz="UTC")).cast(pyarrow.timestamp(f.type.unit))
            table = table.set_column(i, f.name, column)
    return table
