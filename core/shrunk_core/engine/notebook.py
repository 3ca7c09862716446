"""What people write about runs: tags, notes, archive marks, and the removal of runs. Journal events, no database."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..errors import BusyError, ConfigError, PlanError
from ..record.eventlog import EventWriter
from ..record.events import Event
from ..record.journal import open_journal
from ..record.lab_events import RunArchived, RunDeleted, RunNoted, RunTagged
from ..record.lock import FileLock
from ..record.rundir import read_spec, run_dir
from .watch import Watch

_TAG = re.compile(r"[^\s,]{1,64}")


def tag(lab: Path, run_ids: Iterable[str], add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Add and remove tags. ConfigError for a tag that is empty, longer than 64 characters, or has spaces or commas."""
    added, removed = tuple(add), tuple(remove)
    for word in added + removed:
        if not _TAG.fullmatch(word):
            raise ConfigError(f"`{word}` is no tag: 1 to 64 characters without spaces and commas")
    _write(lab, [RunTagged(run_id=r, added=added, removed=removed) for r in _known(lab, run_ids)])


def note(lab: Path, run_id: str, text: str) -> None:
    """Set the note of a run; an empty text takes it away."""
    _write(lab, [RunNoted(run_id=r, text=text.strip()) for r in _known(lab, [run_id])])


def archive(lab: Path, run_ids: Iterable[str], on: bool = True) -> None:
    """Put runs out of the way, or bring them back. Nothing on disk changes."""
    _write(lab, [RunArchived(run_id=r, archived=on) for r in _known(lab, run_ids)])


def size_of(lab: Path, run_id: str) -> int:
    """Bytes that a run's folder holds."""
    return sum(p.lstat().st_size for p in run_dir(lab, run_id).path.rglob("*") if not p.is_dir())


def delete(lab: Path, run_ids: Iterable[str]) -> int:
    """Remove runs with their checkpoints and models for good and return the bytes freed.

    BusyError when one is queued or running or its worker still holds it: nothing is removed then. What the journals say
    of the runs stays.
    """
    chosen = _known(lab, run_ids)
    watch = Watch(lab, set(chosen))
    watch.look()
    for run_id in chosen:
        status = watch.status(run_id).status
        if status in ("queued", "running"):
            raise BusyError(f"run {run_id} is {status}: cancel it first (`shrunk cancel {run_id}`)")
    freed = 0
    for run_id in chosen:
        run = run_dir(lab, run_id)
        lock = FileLock(run.path / "worker.lock")
        if not lock.take(1.0):
            lock.release()
            raise BusyError(f"a worker still has run {run_id}; try again in a moment")
        spec, size = read_spec(run), size_of(lab, run_id)
        _write(lab, [RunDeleted(run_id=run_id, grid=spec.grid, name=spec.name, num_bytes=size)])
        run.spec_file.unlink(missing_ok=True)  # first: a half-removed run is no run
        shutil.rmtree(run.path, ignore_errors=True)
        lock.release()
        freed += size
    return freed


def _known(lab: Path, run_ids: Iterable[str]) -> list[str]:
    """The ids, each once. PlanError for one that is no run of the lab."""
    chosen = list(dict.fromkeys(run_ids))
    for run_id in chosen:
        if not run_dir(lab, run_id).spec_file.exists():
            raise PlanError(f"no run `{run_id}` in {lab}; `shrunk status` lists them")
    return chosen


def _write(lab: Path, events: list[Event]) -> None:
    if not events:
        return
    journal: EventWriter = open_journal(lab)
    try:
        journal.append(*events)
        journal.sync()
    finally:
        journal.close()
