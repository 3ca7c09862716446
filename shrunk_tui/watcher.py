"""A lab's logs as rows of runs, read again and again: the live half of the screens. No database, no Textual."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from pathlib import Path

from shrunk_core.engine.standing import Standing
from shrunk_core.engine.watch import Watch
from shrunk_core.errors import RunError
from shrunk_core.record.events import GridSubmitted
from shrunk_core.record.rundir import SpecFile, read_spec, run_dir
from shrunk_core.record.status import RunStatus

from .look import Look

ALIVE_SECONDS = 2.0
"""How often it is asked whether the workers of running runs still live."""


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

    def __init__(self, lab: Path, *, keep: bool = False) -> None:
        """keep: leave in the lab what was read, so that the next one who looks has less to read (`Watch.keep`)."""
        self.lab, self._keep = lab, keep
        self.rows: dict[str, Row] = {}
        self.watch = Watch(lab)
        self.unreadable: dict[str, str] = {}
        """Runs whose spec cannot be read, and why."""
        self._specs: dict[str, SpecFile] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._asked_alive_at = 0.0
        self._first = True

    @property
    def grids(self) -> dict[str, GridSubmitted]:
        return self.watch.grids

    def look(self) -> Look:
        """Read what is new. FileNotFoundError when the lab's folder is gone."""
        if not self.lab.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the lab's folder is gone", str(self.lab))
        events = self.watch.look()
        dirty = {run_id for run_id, _ in events}
        removed = self._take_in(dirty)
        changed = self._rebuild(dirty, removed)
        if self._keep:
            self.watch.keep()
        first, self._first = self._first, False
        return Look(changed=frozenset(changed), removed=frozenset(removed), events=() if first else tuple(events))

    def _take_in(self, dirty: set[str]) -> set[str]:
        """Read the specs of runs that were born and return the runs that are gone."""
        for run_id, stamp in self.watch.born.items():
            if self._stamps.get(run_id) == stamp:
                continue
            self._stamps[run_id] = stamp
            try:
                self._specs[run_id] = read_spec(run_dir(self.lab, run_id))
                self.unreadable.pop(run_id, None)
                dirty.add(run_id)
            except RunError as problem:
                self.unreadable[run_id] = str(problem)
        for run_id in self._stamps.keys() - self.watch.born.keys():
            del self._stamps[run_id]
            self.unreadable.pop(run_id, None)
        removed = self._specs.keys() - self.watch.born.keys()
        for run_id in removed:
            del self._specs[run_id]
        return removed

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
