"""Logs to rows, exactly once: the rows of new lines and the offsets after them are one transaction.

A killed refresh therefore leaves either both or neither, and the next one goes on from the offsets. Steps, which are
nearly all lines, are parsed by DuckDB itself from whole pieces of a log (2 µs a line, against 9 µs to decode one here);
everything else is decoded here, because a run's state is folded from it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from ..errors import RunError
from ..record.events import (
    Evaluated,
    Event,
    NewerVersion,
    Resumed,
    RunDequeued,
    RunLaunched,
    RunQueued,
    RunReaped,
    Started,
    Step,
    Unknown,
    decode,
)
from ..record.lab_events import HardwareSampled
from ..record.rundir import Process, is_cell
from ..record.status import QueueWord, alive_or_none, derive_status, fold_queue, worker_alive
from .batch import ALL_JOURNALS, STEP_PREFIX, Batch, bump_generation, replace_states, transaction
from .logs import FoundLog, LogPosition, is_continuation, next_lines, scan
from .rows import cell_row, evaluation_row, event_row, hardware_row, is_well_formed, spec_row, step_row
from .runstate import RunState, fold_event
from .schema import NEVER_CUT

BATCH_BYTES = 32 << 20
"""Log bytes a transaction: bounds memory, and what a killed rebuild has to do again."""

PIECE_LINES = 2000
"""Lines of a log that DuckDB splits as one value; longer values are slower."""


class Ingest:
    """One pass over a lab's logs into an open index. `run()` returns the number of lines taken in."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lab: Path) -> None:
        self.con = con
        self.lab = lab
        self.batch = Batch()
        self.lines = 0
        self.states: dict[str, RunState] = {}
        self.cuts: dict[str, list[int]] = {}
        self.words: dict[str, QueueWord] = {}

    def run(self) -> int:
        found = scan(self.lab)
        known = {
            row[0]: LogPosition(**dict(zip(_POSITION, row, strict=True))) for row in self._all("select * from raw.logs")
        }
        changed = [log for log in found.values() if log.source not in known or known[log.source].stamp != log.stamp]
        gone = known.keys() - found.keys()
        if gone or changed:
            self._load(changed)
            changed = self._forget_replaced(gone, changed, found, known)
            for log in changed:
                self._take(log, known.get(log.source, LogPosition(source=log.source)))
            self._commit()
        self._derive_statuses()
        return self.lines

    # ------------------------------------------------------------------ what is known

    def _all(self, query: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self.con.execute(query, params).fetchall()

    def _load(self, changed: list[FoundLog]) -> None:
        """States, segments and queue words that the changed logs continue."""
        ids = [log.source for log in changed if log.is_run]
        for row in self._all("select * from raw.run_states where run_id in (select unnest(?::varchar[]))", [ids]):
            self.states[row[0]] = _state(row)
        query = "select run_id, last_update from raw.segments where run_id in (select unnest(?::varchar[]))"
        for run_id, last in self._all(query + " order by segment", [ids]):
            self.cuts.setdefault(run_id, []).append(last)
        self.words = queue_words(self.con) if any(_is_journal(log.source) for log in changed) else {}

    def _forget_replaced(
        self, gone: Iterable[str], changed: list[FoundLog], found: dict[str, FoundLog], known: dict[str, LogPosition]
    ) -> list[FoundLog]:
        """Drop the rows of logs that vanished, were replaced or were left out before; return the logs to read.

        What the journals say is folded over all of them, so that if one is replaced all are read again.
        """
        again = set(gone)
        for log in changed:
            position = known.get(log.source)
            if position and (position.problem or not is_continuation(log.path, position)):
                again.add(log.source)
        runs = {source for source in again if not _is_journal(source)}
        if any(_is_journal(source) for source in again):
            journals = {source for source in known.keys() | found.keys() if _is_journal(source)}
            again |= journals
            self.words = {}
            self.batch.forgotten |= {ALL_JOURNALS}
            changed = [log for log in changed if not _is_journal(log.source)]
            changed += [log for log in found.values() if _is_journal(log.source)]
        for source in again:
            known.pop(source, None)
        for run_id in runs:
            self.states.pop(run_id, None)
            self.cuts.pop(run_id, None)
        self.batch.forgotten |= again
        return changed

    # ------------------------------------------------------------------ one log

    def _take(self, log: FoundLog, position: LogPosition) -> None:
        """Collect everything new of one log; commit whenever a batch is full."""
        try:
            if log.is_run:
                self._take_spec(log)
            elif is_cell(log.source):
                self.batch.cells[log.source] = cell_row(log)
            done = position
            while True:
                lines, moved = next_lines(log.path, done)
                if not lines:
                    break
                if log.is_run:
                    self._take_run_lines(log.source, lines, done.lines)
                else:
                    self._take_journal_lines(log.source, lines, done.lines)
                self.lines += len(lines)
                self.batch.size += moved.position - done.position
                done = moved
                self.batch.positions[log.source] = done  # stamp still old: a kill here leaves the rest to be read
                if self.batch.size >= BATCH_BYTES:
                    self._commit()
            self.batch.positions[log.source] = dataclasses.replace(done, stamp=log.stamp)
        except (RunError, NewerVersion, OSError) as problem:
            self._leave_out(log, str(problem))

    def _take_spec(self, log: FoundLog) -> None:
        if not log.has_spec:
            raise RunError(f"{log.path.parent} holds a log but no spec.json; put the file back or remove the folder")
        self.batch.specs[log.source] = spec_row(log)
        self.batch.states[log.source] = self.states.setdefault(log.source, RunState(run_id=log.source))
        self.batch.cuts[log.source] = self.cuts.setdefault(log.source, [NEVER_CUT])

    def _take_run_lines(self, run_id: str, lines: list[bytes], first: int) -> None:
        """Steps go to DuckDB as text, cut at resumptions so that a piece lies in one segment; the rest is decoded."""
        state, cuts = self.states[run_id], self.cuts[run_id]
        start = 0
        for i in [i for i, line in enumerate(lines) if not line.startswith(STEP_PREFIX)]:
            state = _fold_step_before(state, lines, i)
            event = _decode(lines[i])
            if event is None:
                continue
            seq, segment = first + i, len(cuts) - 1
            back_to = _taken_back_to(event, state)
            if back_to is not None:
                self._stage(run_id, segment, first, lines, start, i)
                start = i
                cuts[:] = [min(last, back_to) for last in cuts] + [NEVER_CUT]
                segment += 1
            state = fold_event(state, event)
            self._collect(event, run_id, seq, segment)
        state = _fold_step_before(state, lines, len(lines))
        self._stage(run_id, len(cuts) - 1, first, lines, start, len(lines))
        self.states[run_id] = self.batch.states[run_id] = dataclasses.replace(state, status=None)
        self.batch.cuts[run_id] = cuts

    def _stage(self, run_id: str, segment: int, first: int, lines: list[bytes], start: int, end: int) -> None:
        for at in range(start, end, PIECE_LINES):
            text = b"\n".join(lines[at : min(end, at + PIECE_LINES)])
            if STEP_PREFIX in text:
                self.batch.pieces.append((run_id, segment, first + at, text.decode(errors="replace")))

    def _collect(self, event: Event, run_id: str, seq: int, segment: int) -> None:
        if isinstance(event, Step):
            self.batch.steps.append(step_row(event, run_id, seq, segment))
        elif isinstance(event, Evaluated):
            self.batch.evaluations.append(evaluation_row(event, run_id, seq, segment))
        else:
            self.batch.events.append(event_row(event, run_id, run_id, seq, segment))

    def _take_journal_lines(self, source: str, lines: list[bytes], first: int) -> None:
        for i, line in enumerate(lines):
            event = _decode(line)
            if event is None:
                continue
            run_id = event.fields.get("run_id") if isinstance(event, Unknown) else getattr(event, "run_id", None)
            run_id = source if is_cell(source) else run_id if isinstance(run_id, str) else None
            if isinstance(event, RunQueued | RunLaunched | RunReaped | RunDequeued):
                word = fold_queue(self.words.get(event.run_id, QueueWord()), event)
                self.words[event.run_id] = self.batch.words[event.run_id] = word
            if isinstance(event, HardwareSampled):
                self.batch.hardware.append(hardware_row(event, source, first + i))
                continue
            self.batch.events.append(event_row(event, source, run_id, first + i, None))

    def _leave_out(self, log: FoundLog, problem: str) -> None:
        """A log that cannot be read: none of its rows, a problem in every report until its files change."""
        batch, source = self.batch, log.source
        batch.forgotten.add(source)
        for part in (batch.specs, batch.states, batch.cuts, batch.cells):
            part.pop(source, None)
        for rows in (batch.pieces, batch.steps, batch.evaluations, batch.events):
            rows[:] = [row for row in rows if row[0] != source]  # pyright: ignore[reportArgumentType]
        text = problem if str(log.path.parent) in problem else f"{log.path}: {problem}"
        batch.positions[source] = LogPosition(source=source, stamp=log.stamp, problem=text)

    # ------------------------------------------------------------------ writing

    def _commit(self) -> None:
        batch, self.batch = self.batch, Batch()
        if batch.positions or batch.forgotten:
            batch.write(self.con)

    def _derive_statuses(self) -> None:
        """Status and liveness of the runs that may have moved: new words, or a process that may have died."""
        query = "select * from raw.run_states where status is null or status in ('queued', 'running')"
        candidates = [_state(row) for row in self._all(query)]
        if not candidates:
            return
        words = queue_words(self.con)
        now = time.time()
        moved: dict[str, RunState] = {}
        for run in candidates:
            alive = worker_alive(run.word, run.last_logged_at or 0.0, now)
            word = words.get(run.run_id, QueueWord())
            launched = alive_or_none(word)
            verdict = derive_status(run.word, word, worker_alive=alive, launched_alive=launched, now=now)
            after = dataclasses.replace(run, status=verdict.status, status_reason=verdict.reason, worker_alive=alive)
            if after != run:
                moved[run.run_id] = after
        if moved:
            with transaction(self.con):
                replace_states(self.con, moved)
                bump_generation(self.con)


_POSITION = tuple(f.name for f in dataclasses.fields(LogPosition))
_STATE = tuple(f.name for f in dataclasses.fields(RunState))


def _state(row: tuple[Any, ...]) -> RunState:
    return RunState(**dict(zip(_STATE, row, strict=True)))


def problems(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Logs that are left out of the index: (source, why)."""
    return con.execute("select source, problem from raw.logs where problem <> '' order by source").fetchall()


def _is_journal(source: str) -> bool:
    return source.endswith(".jsonl")


def _decode(line: bytes) -> Event | None:
    """The event of a line, None for a damaged one; NewerVersion passes."""
    if not line:
        return None
    try:
        event = decode(line)
    except NewerVersion:
        raise
    except (ValueError, TypeError, RecursionError):
        return None
    return event if is_well_formed(event) else None


def _taken_back_to(event: Event, state: RunState) -> int | None:
    """The update that an event of a run takes its log back to, if it does: a second `Started` begins it anew."""
    if isinstance(event, Resumed):
        return event.from_update
    return 0 if isinstance(event, Started) and state.attempt > 0 else None


def _fold_step_before(state: RunState, lines: list[bytes], i: int) -> RunState:
    """Fold the step right before line i, the last of its stretch, if there is one."""
    for line in _steps_backwards(lines, i):
        event = _decode(line)
        if event is not None:
            return fold_event(state, event)
    return state


def _steps_backwards(lines: list[bytes], i: int) -> Iterator[bytes]:
    while i > 0 and lines[i - 1].startswith(STEP_PREFIX):
        i -= 1
        yield lines[i]


def queue_words(con: duckdb.DuckDBPyConnection) -> dict[str, QueueWord]:
    columns = "run_id, state, status, reason, logged_at, host, pid, process_started_at"
    words = {}
    for run_id, state, status, reason, at, host, pid, born in con.execute(
        f"select {columns} from raw.queue_words"
    ).fetchall():
        worker = None if host is None else Process(host=host, pid=pid, started_at=born)
        words[run_id] = QueueWord(state=state, status=status, reason=reason, logged_at=at, worker=worker)
    return words
