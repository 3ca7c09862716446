"""The rows of one transaction: collected first, then written together with the offsets after them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field

import duckdb

from ..record.status import QueueWord
from .logs import LogPosition
from .rows import LATEST, Row, queue_row
from .runstate import RunState
from .schema import STEP_FIELDS

ALL_JOURNALS = "*"
"""In `forgotten`: what was folded over all journals goes too."""

STEP_PREFIX = b'{"v":1,"kind":"step",'
"""How our own writer spells a step of this version. Any other spelling is decoded line by line, with the same rows."""


@dataclass
class Batch:
    """The rows of one transaction, collected before it begins."""

    pieces: list[tuple[str, int, int, str]] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    evaluations: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    hardware: list[Row] = field(default_factory=list)
    specs: dict[str, Row] = field(default_factory=dict)
    cells: dict[str, Row] = field(default_factory=dict)
    states: dict[str, RunState] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    words: dict[str, QueueWord] = field(default_factory=dict)
    positions: dict[str, LogPosition] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    size: int = 0

    def write(self, con: duckdb.DuckDBPyConnection) -> None:
        """Everything in one transaction, the offsets included; the index is a generation newer after it."""
        with transaction(con):
            _forget(con, self.forgotten)
            if self.pieces:
                con.execute(_PIECES)
                _append(con, "pieces", self.pieces)
                con.execute(_PARSE_STEPS)
                con.execute("drop table pieces")
            _append(con, "raw.steps", self.steps)
            _append(con, "raw.evaluations", self.evaluations)
            _append(con, "raw.events", self.events)
            _append(con, "raw.hardware", self.hardware)
            _replace(con, "run_specs", "run_id", self.specs, self.specs.values())
            _replace(con, "cells", "job_id", self.cells, self.cells.values())
            replace_states(con, self.states)
            segments = ((run_id, i, last) for run_id, cuts in self.cuts.items() for i, last in enumerate(cuts))
            _replace(con, "segments", "run_id", self.cuts, segments)
            words = (queue_row(run_id, word) for run_id, word in self.words.items())
            _replace(con, "queue_words", "run_id", self.words, words)
            _replace(con, "logs", "source", self.positions, map(dataclasses.astuple, self.positions.values()))
            if ALL_JOURNALS in self.forgotten:
                con.execute("update raw.run_states set status = null")
            elif self.words:
                stale = "update raw.run_states set status = null where run_id in (select unnest(?::varchar[]))"
                con.execute(stale, [list(self.words)])
            bump_generation(con)


_PIECES = "create or replace temp table pieces (run_id varchar, segment integer, first bigint, lines varchar)"

_PARSE_STEPS = f"""
insert into raw.steps
with lines as (
    select run_id, segment, first + generate_subscripts(lines, 1) - 1 as seq, unnest(lines) as line
    from (select run_id, segment, first, string_split(lines, chr(10)) as lines from pieces)
),
found as materialized (
    select run_id, segment, seq, json_extract_string(line, [{", ".join(f"'$.{name}'" for name, _ in STEP_FIELDS)}]) as v
    from lines where starts_with(line, '{STEP_PREFIX.decode()}') and json_valid(line)
),
typed as (
    select run_id, seq, segment,
    {", ".join(f"try_cast(v[{i}] as {sql_type}) as {name}" for i, (name, sql_type) in enumerate(STEP_FIELDS, 1))}
    from found
)
from typed where {" and ".join(f"{name} is not null" for name, _ in STEP_FIELDS)} and logged_at between 0 and {LATEST}
"""
"""A line that is no whole step (damaged, or a field short) gives no row, as in `events.decode`. Materialized, because
the test for NULLs would otherwise parse each line once a column."""


class transaction:
    """`with transaction(con):` commits at its end and rolls back on any error."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def __enter__(self) -> None:
        self.con.execute("begin")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.con.execute("commit")
            return
        try:
            self.con.execute("rollback")
        except duckdb.Error:
            pass  # a full disk may have ended the transaction already; the first error is the one to report


def bump_generation(con: duckdb.DuckDBPyConnection) -> None:
    """Mark the index as newer than what is published."""
    con.execute("update raw.meta set generation = generation + 1")


def replace_states(con: duckdb.DuckDBPyConnection, states: dict[str, RunState]) -> None:
    """The rows of these runs in `raw.run_states` become the given ones."""
    _replace(con, "run_states", "run_id", states, map(dataclasses.astuple, states.values()))


def _append(con: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Row]) -> None:
    with con.appender(table) as appender:
        for row in rows:
            appender.append_row(*row)


def _replace(con: duckdb.DuckDBPyConnection, table: str, key: str, keys: Iterable[str], rows: Iterable[Row]) -> None:
    """Rows of these keys become `rows`."""
    names = list(keys)
    if names:
        con.execute(f"delete from raw.{table} where {key} in (select unnest(?::varchar[]))", [names])
        _append(con, f"raw.{table}", rows)


def _forget(con: duckdb.DuckDBPyConnection, sources: set[str]) -> None:
    """Drop all rows of these logs; ALL_JOURNALS also drops what was folded over all journals."""
    if not sources:
        return
    names = [list(sources)]
    for table in ("segments", "run_specs", "run_states", "steps", "evaluations"):
        con.execute(f"delete from raw.{table} where run_id in (select unnest(?::varchar[]))", names)
    con.execute("delete from raw.cells where job_id in (select unnest(?::varchar[]))", names)
    for table in ("logs", "events", "hardware"):
        con.execute(f"delete from raw.{table} where source in (select unnest(?::varchar[]))", names)
    if ALL_JOURNALS in sources:
        con.execute("delete from raw.queue_words")
