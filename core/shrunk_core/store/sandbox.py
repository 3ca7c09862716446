"""Questions that cannot do harm: one statement that only reads, of a read-only copy, without files or network.

Two walls. The statement's kind is checked before it runs; and the connection itself has the published file attached
read-only, external access off, its configuration locked, bounded memory and no spilling to disk.
"""

from __future__ import annotations

import difflib
import os
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ..errors import StoreError
from .result import Result, unique
from .views import columns_by_view

MEMORY_LIMIT = "512MB"
THREADS = 4
"""At most: trainings have the cores, and each thread holds memory of its own, which shows on a box with 64."""

_READS = {"SELECT", "MULTI"}
"""DuckDB's kinds of statements that only read. MULTI is PIVOT; FROM, VALUES, SHOW, DESCRIBE, SUMMARIZE are SELECT."""

_EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\s+(?:analyze\s+)?(?:\([^)]*\)\s*)?", re.I | re.S)


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that sees one published file as `lab` and nothing else. duckdb.Error when it cannot be read.

    In memory, because a second connection to one path in one process would be given the first one's instance.
    """
    con = duckdb.connect(":memory:", config={
        "memory_limit": MEMORY_LIMIT, "threads": str(min(THREADS, os.cpu_count() or 1)), "temp_directory": "",
    })  # fmt: skip
    try:
        con.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as lab (read_only)")
        con.execute("set TimeZone = 'UTC'")
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
    except duckdb.Error:
        con.close()
        raise
    return con


def check(sql: str) -> None:
    """StoreError unless `sql` is a single statement that reads only."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as problem:
        raise StoreError(explained(problem)) from None
    if not statements:
        raise StoreError("the query is empty")
    if len(statements) > 1:
        raise StoreError(f"{len(statements)} statements: give one at a time")
    kind = statements[0].type.name
    if kind == "EXPLAIN":
        inner = _EXPLAIN.sub("", sql, count=1)
        if _EXPLAIN.match(sql) and inner.strip():
            check(inner)
            return
    if kind not in _READS:
        raise StoreError(
            f"{kind} is refused: this is a read-only look at the lab. Statements that start with SELECT, FROM, WITH, "
            "VALUES, PIVOT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN work; views of your own belong in the lab's views.sql."
        )


def run(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    *,
    timeout: float,
    limit: int | None,
    params: Sequence[Any] | Mapping[str, Any] | None,
) -> Result:
    """Run one checked query on a cursor of its own, which is closed after it: several threads may ask at once."""
    late = threading.Event()

    def interrupt() -> None:
        late.set()
        cursor.interrupt()

    timer = threading.Timer(timeout, interrupt)
    timer.daemon = True
    try:
        cursor.execute("use lab")
        timer.start()
        types, columns = _execute(cursor, sql, params)
        rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    except duckdb.InterruptException:
        raise StoreError(f"the query was stopped after {timeout:g} s; ask for less, or allow more time") from None
    except duckdb.Error as problem:
        if late.is_set():
            raise StoreError(f"the query was stopped after {timeout:g} s; ask for less, or allow more time") from None
        raise StoreError(explained(problem)) from None
    finally:
        timer.cancel()
        cursor.close()
    truncated = limit is not None and len(rows) > limit
    return Result(columns=columns, types=types, rows=rows[:limit], truncated=truncated)


def _execute(
    cursor: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] | Mapping[str, Any] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Execute and return types and column names. Times with a zone are turned into UTC, which Python can take."""
    cursor.execute(sql, params)
    names, types = _described(cursor)
    zoned = [i for i, t in enumerate(types) if t == "TIMESTAMP WITH TIME ZONE"]
    if zoned:
        columns = unique(names)
        quoted = [_quoted(c) for c in columns]
        listed = ", ".join(f"{c}::timestamp as {c}" if i in zoned else c for i, c in enumerate(quoted))
        body = duckdb.extract_statements(sql)[0].query.strip().rstrip(";")
        cursor.execute(f"select {listed} from (\n{body}\n) as q({', '.join(quoted)})", params)
        names, types = _described(cursor)
    return tuple(types), unique(names)


def _described(cursor: duckdb.DuckDBPyConnection) -> tuple[list[str], list[str]]:
    description = cursor.description or []
    return [d[0] for d in description], [str(d[1]) for d in description]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_MISSING = re.compile(
    r'(?:Table with name|Referenced (?:column|table)) "?([A-Za-z_][\w.]*)"? (?:does not exist|(?:was )?not found)'
)


def explained(problem: duckdb.Error) -> str:
    """DuckDB's own message, and the nearest view or column of ours when a name is unknown."""
    text = str(problem).strip()
    match = _MISSING.search(text)
    if match is None:
        return text
    name = match[1].split(".")[-1].lower()
    tables = columns_by_view()
    lines = []
    if "Table with name" in text:
        near = difflib.get_close_matches(name, tables, n=1)
        lines.append(f"Did you mean the view {near[0]}?" if near else "")
        lines.append(f"Views: {', '.join(tables)}.")
        text = re.sub(r'\nDid you mean "[^"]*"\?', "", text)  # DuckDB's guess is among its own catalog tables
    else:
        near = difflib.get_close_matches(name, sorted({c for columns in tables.values() for c in columns}), n=3)
        where = [f"{c} ({', '.join(v for v, columns in tables.items() if c in columns)})" for c in near]
        lines.append(f"Did you mean {' or '.join(where)}?" if near else "`describe runs` lists the columns of a view.")
    return text + "\nHint: " + " ".join(line for line in lines if line)
