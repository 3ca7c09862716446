"""The door to a lab's index: bring it up to date with the logs, and ask it questions.

The writer's file, `.shrunk/index.duckdb`, is private and open only while a refresh holds `.shrunk/index.lock`; what
people and our own commands read is the copy that it publishes. Deleting both loses nothing.
"""

from __future__ import annotations

import errno
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ..errors import StoreError
from ..record.lock import FileLock
from . import publish, sandbox, schema, views_file
from .ingest import Ingest, problems
from .question import Question
from .result import Result

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""What a lab says that may be read and not written."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that a person should look at. source: a run's id, a journal's file name or `views.sql`."""

    source: str
    message: str


@dataclass(frozen=True, kw_only=True)
class RefreshReport:
    """What a refresh did.

    busy: another process holds the index lock; what it published is what there is to read. lines: log lines taken in.
    published: `lab.duckdb` is a new copy. pending: seconds until the rows that are in the index but not in `lab.duckdb`
    may be published (0 when nothing waits). problems: logs that are left out, statements of views.sql that failed.
    """

    busy: bool
    lines: int
    published: bool
    pending: float
    problems: tuple[Problem, ...]
    seconds: float


def open_store(lab: Path) -> Store:
    """The store of an existing lab folder; nothing is opened yet. StoreError when the folder is not there."""
    if not Path(lab).is_dir():
        raise StoreError(f"no lab at {lab}: the folder does not exist (`shrunk init {lab}` makes one)")
    return Store(Path(lab))


class Store:
    """Of one lab. Any number may exist, in any number of processes; methods may be called from several threads."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._reading: Path | None = None
        self._guard = threading.Lock()

    # ------------------------------------------------------------------ refresh

    def refresh(self, force: bool = False) -> RefreshReport:
        """Take in what is new in the logs and publish it if a publication is due (see `publish.wait`), or if forced.

        A copy that is missing, or that somebody has written to, is replaced at once. StoreError when the disk or the
        index fails: what was published stays readable, and the next refresh goes on where this one stood.
        """
        return self._refresh(force=force, anew=False)

    def _refresh(self, *, force: bool, anew: bool) -> RefreshReport:
        """`anew`: publish even what is published already, because the copy cannot be used."""
        began = time.perf_counter()
        try:
            with self._lock() as held:
                if not held:
                    return _report(began, busy=True)
                lines, index_id, generation, left_out = self._ingest()
                published, pending, view_problems = self._publish(index_id, generation, force, anew)
        except (OSError, duckdb.Error) as problem:
            if isinstance(problem, OSError) and problem.errno in READ_ONLY and publish.current(self.lab):
                message = "the lab cannot be written: answers are of what was published before, without later lines"
                return _report(began, problems=(Problem(source=".shrunk", message=message),))
            raise StoreError(_explained(self.lab, problem)) from problem
        found = [Problem(source=source, message=message) for source, message in left_out]
        found += [Problem(source="views.sql", message=message) for message in view_problems]
        return _report(began, lines=lines, published=published, pending=pending, problems=tuple(found))

    @property
    def _index(self) -> Path:
        return self.lab / ".shrunk" / "index.duckdb"

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """The lab's index lock, without waiting: False if another process or thread holds it."""
        lock = FileLock(self.lab / ".shrunk" / "index.lock")
        try:
            yield lock.take()
        finally:
            lock.release()

    def _ingest(self) -> tuple[int, str, int, list[tuple[str, str]]]:
        """New lines into the index, which is closed again: (lines, index id, generation, problems).

        An index that proves broken on the way, because a refresher was killed in the middle of a write, is made anew.
        """
        try:
            return self._ingest_into(self._open_index())
        except duckdb.Error as problem:
            if "Corrupt database file" not in str(problem):
                raise
        return self._ingest_into(self._new_index())

    def _ingest_into(self, con: duckdb.DuckDBPyConnection) -> tuple[int, str, int, list[tuple[str, str]]]:
        try:
            lines = Ingest(con, self.lab).run()
            left_out = problems(con)
            index_id, generation = con.execute("select index_id, generation from raw.meta").fetchall()[0]
            con.execute("checkpoint")
        finally:
            con.close()
        return lines, index_id, generation, left_out

    def _open_index(self) -> duckdb.DuckDBPyConnection:
        """The private index, made anew if it is absent, of another version, or broken."""
        try:
            con = _connect(self._index)
            if schema.is_current(con):
                return con
            con.close()
        except duckdb.Error as problem:
            if "Could not set lock" in str(problem):
                raise  # open in another program: not ours to throw away
        return self._new_index()

    def _new_index(self) -> duckdb.DuckDBPyConnection:
        for path in (self._index, self._index.with_name(self._index.name + ".wal")):
            path.unlink(missing_ok=True)
        con = _connect(self._index)
        schema.create(con, index_id=uuid.uuid4().hex)
        return con

    def _publish(self, index_id: str, generation: int, force: bool, anew: bool) -> tuple[bool, float, tuple[str, ...]]:
        """Publish if something is new and it is time: (published, seconds until it may be, problems of views.sql)."""
        copy = publish.current(self.lab)
        known = publish.manifest(copy) if copy else None
        if copy and known and publish.is_intact(copy, known) and not anew:
            is_new = (known.index_id, known.generation, known.views_stamp) != (
                index_id,
                generation,
                views_file.stamp(self.lab),
            )
            pending = publish.wait(copy, known) if is_new and not force else 0.0
            if not is_new or pending > 0:
                publish.remove_old(self.lab)
                return False, pending, known.views_problems
        made = publish.publish(self.lab, self._index, index_id, generation)
        publish.remove_old(self.lab)
        return True, 0.0, made.views_problems

    # ------------------------------------------------------------------ questions

    def query(
        self,
        sql: str,
        *,
        timeout: float = 30.0,
        limit: int | None = None,
        params: Sequence[Any] | Mapping[str, Any] | None = None,
    ) -> Result:
        """Answer one reading statement from the published copy; a first one is made if there is none.

        timeout: seconds; limit: most rows to fetch, with `Result.truncated` if there were more; params: for `?` (a
        sequence) or `$name` (a mapping). StoreError with DuckDB's own message and a hint for everything that goes
        wrong, and for statements that are several, or write, or reach outside the lab.
        """
        sandbox.check(sql)
        return sandbox.run(self.cursor(), sql, timeout=timeout, limit=limit, params=params)

    def ask(self, sql: str) -> Question:
        """A question of a person: it may take long, answers as an Arrow table of bounded size and can be called off."""
        return Question(self.cursor, sql)

    def close(self) -> None:
        """Let go of the published copy. The store may be used again; it opens what it needs."""
        with self._guard:
            if self._reader is not None:
                with suppress(duckdb.Error):  # a thread that still asks keeps it open until its answer
                    self._reader.close()
            self._reader = self._reading = None

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A sandboxed cursor on the copy that is published now, for this package. A copy that cannot be opened is replaced."""
        with self._guard:
            copy = publish.current(self.lab)
            known = publish.manifest(copy) if copy else None
            if copy is None or known is None or not publish.is_intact(copy, known):
                self.refresh(force=True)
                copy = publish.current(self.lab)
            if copy is None:
                raise StoreError(f"nothing is published in {self.lab} yet and another process is refreshing; try again")
            if self._reader is None or copy != self._reading:
                reader = self._open_reader(copy)
                if self._reader is not None:
                    with suppress(duckdb.Error):  # a thread that still asks keeps it open until its answer
                        self._reader.close()
                self._reader, self._reading = reader, publish.current(self.lab)
            return self._reader.cursor()

    def _open_reader(self, copy: Path) -> duckdb.DuckDBPyConnection:
        try:
            return sandbox.connect(copy)
        except duckdb.Error:  # a stranger holds it for writing, or it was replaced at this moment
            self._refresh(force=True, anew=publish.current(self.lab) == copy)
        try:
            return sandbox.connect(publish.current(self.lab) or copy)
        except duckdb.Error as problem:
            raise StoreError(f"{publish.link(self.lab)} cannot be opened: {problem}") from None


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Few threads and little memory, since trainings run beside us; a storage version that older clients read."""
    version = schema.STORAGE_VERSION
    return duckdb.connect(
        str(path), config={"storage_compatibility_version": version, "threads": "2", "memory_limit": "1GB"}
    )


def _report(
    began: float,
    *,
    busy: bool = False,
    lines: int = 0,
    published: bool = False,
    pending: float = 0.0,
    problems: tuple[Problem, ...] = (),
) -> RefreshReport:
    seconds = time.perf_counter() - began
    return RefreshReport(
        busy=busy, lines=lines, published=published, pending=pending, problems=problems, seconds=seconds
    )


def _explained(lab: Path, problem: Exception) -> str:
    text = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
    return (
        f"the index of {lab} could not be refreshed: {text}. What was published before stays readable and the logs are "
        "whole; make space or mend the cause and run the same command again (deleting .shrunk/index.duckdb is safe)."
    )
