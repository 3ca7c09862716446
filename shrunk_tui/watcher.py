"""A lab's logs as rows of runs, read again and again: the live half of the screens. No database, no Textual.

The first look at a run reads backwards from the end of its log to what decides where it stands, so that a lab of
hundreds of long runs opens at once; every later look reads new bytes only.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from shrunk_core.engine.standing import Standing, Watch, fold
from shrunk_core.errors import RunError
from shrunk_core.record.eventlog import read_new
from shrunk_core.record.events import (
    RUN_EVENTS,
    Evaluated,
    Event,
    GridSubmitted,
    NewerVersion,
    decode,
)
from shrunk_core.record.rundir import RunDir, SpecFile, read_spec
from shrunk_core.record.status import RunStatus

from .look import Look

TAIL_BYTES = 32_768
"""First stretch that is read from a log's end; doubled until it holds what decides the run's standing."""

DECIDING = (b'"kind":"started"', b'"kind":"resumed"', b'"kind":"left"', b'"kind":"finished"', b'"kind":"failed"')
MEASURING = (b'"kind":"step"', b'"kind":"started"', b'"kind":"resumed"')
"""Events that say how many updates are done."""
LAST_OF = tuple(f'"kind":"{cls.kind}"'.encode() for cls in RUN_EVENTS if cls is not Evaluated)
HEAD_BYTES = 24
"""The kind stands within so many bytes of a line's beginning."""
ALIVE_SECONDS = 2.0
"""How often it is asked whether the workers of running runs still live."""
RESCAN_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run as the screens see it: what was asked (`spec`), what its logs say (`standing`), where it stands."""

    spec: SpecFile
    standing: Standing
    status: RunStatus

    @property
    def run_id(self) -> str:
        return self.spec.run_id

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(sorted(self.standing.tags))

    @property
    def note(self) -> str:
        return self.standing.note


class Watcher:
    """Follows a lab. Not for two threads at once; `rows` is replaced as a whole, so other threads may read it."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        self.rows: dict[str, Row] = {}
        self.watch = Watch(lab, set())
        """Reads the journals; the runs' logs are read here and folded into its standings."""
        self.unreadable: dict[str, str] = {}
        """Runs whose spec cannot be read, and why."""
        self._specs: dict[str, SpecFile] = {}
        self._offsets: dict[Path, int] = {}
        self._runs_stamp = 0
        self._scanned_at = self._asked_alive_at = 0.0
        self._first = True

    @property
    def grids(self) -> dict[str, GridSubmitted]:
        return self.watch.grids

    def look(self) -> Look:
        """Read what is new. FileNotFoundError when the lab's folder is gone."""
        if not self.lab.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the lab's folder is gone", str(self.lab))
        dirty: set[str] = set()
        removed = self._scan(dirty)
        events = self.watch.look()
        dirty |= {run_id for run_id, _ in events}
        for run_id in self._specs:
            for event in self._run_log(run_id):
                events.append((run_id, event))
                dirty.add(run_id)
        changed = self._rebuild(dirty, removed)
        first, self._first = self._first, False
        return Look(changed=frozenset(changed), removed=frozenset(removed), events=() if first else tuple(events))

    # ------------------------------------------------------------------ folders

    def _scan(self, dirty: set[str]) -> set[str]:
        """Take in runs that were born and return those that are gone."""
        folder, now = self.lab / "runs", time.monotonic()
        try:
            stamp = folder.stat().st_mtime_ns
        except FileNotFoundError:
            stamp = 0
        if stamp == self._runs_stamp and now - self._scanned_at < RESCAN_SECONDS:
            return set()
        there = {p.name for p in folder.iterdir() if (p / "spec.json").exists()} if stamp else set()
        for name in sorted(there - self._specs.keys()):
            try:
                self._specs[name] = read_spec(RunDir(folder / name))
                self.unreadable.pop(name, None)
                dirty.add(name)
            except RunError as problem:
                self.unreadable[name] = str(problem)
        removed = self._specs.keys() - there
        for name in removed:
            self._specs.pop(name)
            self.watch.standings.pop(name, None)
            self._offsets.pop(folder / name / "events.jsonl", None)
        # a run's folder is made a moment before its spec: look again soon after a change
        self._runs_stamp = stamp
        self._scanned_at = now if time.time_ns() - stamp > 3_000_000_000 else 0.0
        return removed

    # ------------------------------------------------------------------ logs

    def _run_log(self, run_id: str) -> Iterator[Event]:
        path, standings = self.lab / "runs" / run_id / "events.jsonl", self.watch.standings
        if path not in self._offsets:
            standings[run_id], self._offsets[path] = last_words(path, standings.get(run_id, Standing()))
            return
        for event in self._new(path):
            standings[run_id] = fold(standings.get(run_id, Standing()), event)
            yield event

    def _new(self, path: Path) -> Iterator[Event]:
        offset = self._offsets.get(path, 0)
        try:
            if path.stat().st_size == offset:
                return
        except FileNotFoundError:
            return
        lines, self._offsets[path] = read_new(path, offset)
        yield from decoded(lines)

    # ------------------------------------------------------------------ rows

    def _rebuild(self, dirty: set[str], removed: set[str]) -> set[str]:
        """New rows for the runs that may have changed; returns those that did."""
        now, changed = time.time(), set()
        if time.monotonic() - self._asked_alive_at > ALIVE_SECONDS:
            self._asked_alive_at = time.monotonic()
            dirty |= {i for i, row in self.rows.items() if row.status.status == "running"}
        rows = {i: row for i, row in self.rows.items() if i not in removed}
        for run_id in dirty & self._specs.keys():
            standing = self.watch.standings.get(run_id, Standing())
            row = Row(spec=self._specs[run_id], standing=standing, status=standing.status(now))
            if row != rows.get(run_id):
                rows[run_id] = row
                changed.add(run_id)
        if changed or removed:
            self.rows = rows
        return changed


def decoded(lines: list[bytes]) -> Iterator[Event]:
    """The events of log lines; what this version cannot read is left out, as `shrunk doctor` tells in full."""
    for line in lines:
        with contextlib.suppress(ValueError, NewerVersion):
            yield decode(line)


def last_words(path: Path, standing: Standing) -> tuple[Standing, int]:
    """A run's standing from the end of its log, and the offset after the last whole line.

    Only as much is read as decides: back to the last event that starts or ends an attempt and to one that says how many
    updates are done. Of each kind the last event is folded, in the order of the log.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return standing, 0
    length = TAIL_BYTES
    with open(path, "rb") as file:
        while True:
            start = max(0, size - length)
            file.seek(start)
            data = file.read(size - start)
            if start:
                data = data[data.find(b"\n") + 1 :]
            if start == 0 or (any(kind in data for kind in DECIDING) and any(kind in data for kind in MEASURING)):
                break
            length *= 8
    end = data.rfind(b"\n") + 1
    found = [_last_line(data, end, kind) for kind in LAST_OF]
    for _, line in sorted(item for item in found if item is not None):
        for event in decoded([line]):
            standing = fold(standing, event)
    if (evaluated := _last_validation(data, end) or _last_validation(*_further(path, size))) is not None:
        standing = replace(standing, evaluated=evaluated)
    return standing, size - (len(data) - end)


def _last_line(data: bytes, end: int, kind: bytes) -> tuple[int, bytes] | None:
    """The last whole line of a kind before `end`, with its place."""
    at = end
    while (at := data.rfind(kind, 0, at)) >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        if at - start < HEAD_BYTES:
            return start, data[start : data.find(b"\n", at)]
    return None


def _last_validation(data: bytes, end: int) -> Evaluated | None:
    """The last evaluation on the validation split before `end`."""
    while (found := _last_line(data, end, b'"kind":"evaluated"')) is not None:
        end = found[0]
        for event in decoded([found[1]]):
            if isinstance(event, Evaluated) and event.split == "validation":
                return event
    return None


def _further(path: Path, size: int) -> tuple[bytes, int]:
    """A longer stretch of a log's end, for a validation loss that lies further back, and where its last line ends."""
    with open(path, "rb") as file:
        file.seek(max(0, size - 64 * TAIL_BYTES))
        data = file.read()
    return data, data.rfind(b"\n") + 1
