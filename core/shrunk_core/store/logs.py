"""Which logs a lab has, and which bytes of them are new: everything of ingesting that needs no database."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..record.eventlog import read_new
from ..record.journal import journal_files
from ..record.rundir import CHILDREN

CHUNK_BYTES = 8 << 20
"""Most bytes of one log read at once."""


@dataclass(frozen=True, kw_only=True)
class FoundLog:
    """A log on disk now. source: a run's id, a cell's `RUN/CELL`, or a journal's file name. stamp changes whenever its
    files do. is_run: of a run, not of a cell or a journal.
    """

    source: str
    path: Path
    is_run: bool
    stamp: str
    has_spec: bool = True


@dataclass(frozen=True, kw_only=True)
class LogPosition:
    """How far a log is ingested: one row of `raw.logs`.

    position: bytes, always just after a newline; tail_length, tail_digest: of the last ingested line, newline included,
    by which a log that was replaced or cut back is noticed; lines: lines ingested; problem: why it is left out, or "".
    """

    source: str
    stamp: str = ""
    position: int = 0
    tail_length: int = 0
    tail_digest: str = ""
    lines: int = 0
    problem: str = ""


def scan(lab: Path) -> dict[str, FoundLog]:
    """All logs of a lab by source. Costs two stats a run and opens nothing."""
    found: dict[str, FoundLog] = {}
    try:
        entries = [e for e in os.scandir(lab / "runs") if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        entries = []
    for entry in sorted(entries, key=lambda e: e.name):
        spec, log = _stamp(entry.path + "/spec.json"), _stamp(entry.path + "/events.jsonl")
        if not spec and not log:
            continue  # a run that is being born: its spec is written last
        path = Path(entry.path) / "events.jsonl"
        found[entry.name] = FoundLog(
            source=entry.name, path=path, is_run=True, stamp=f"{spec}|{log}", has_spec=bool(spec)
        )
        found |= _cells(entry.name, entry.path)
    for path in journal_files(lab):
        found[path.name] = FoundLog(source=path.name, path=path, is_run=False, stamp=_stamp(str(path)))
    return found


def _cells(run_id: str, folder: str) -> dict[str, FoundLog]:
    """Logs of a run's downstream cells. A cell's spec is written before its log."""
    try:
        entries = sorted(os.listdir(f"{folder}/{CHILDREN}"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = {}
    for name in entries:
        path = f"{folder}/{CHILDREN}/{name}"
        spec, log = _stamp(path + "/spec.json"), _stamp(path + "/events.jsonl")
        if spec:
            source = f"{run_id}/{name}"
            found[source] = FoundLog(
                source=source, path=Path(path) / "events.jsonl", is_run=False, stamp=f"{spec}|{log}"
            )
    return found


def _stamp(path: str) -> str:
    """Size and time of the last change; the inode's time, which a `chmod` that makes a file readable moves too."""
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return f"{stat.st_size}:{stat.st_ctime_ns}"


def is_continuation(path: Path, position: LogPosition) -> bool:
    """True if the log still holds what was ingested of it, right up to `position`."""
    if position.position == 0:
        return True
    try:
        with open(path, "rb") as file:
            file.seek(position.position - position.tail_length)
            tail = file.read(position.tail_length)
    except FileNotFoundError:
        return False
    return len(tail) == position.tail_length and _digest(tail) == position.tail_digest


def next_lines(path: Path, position: LogPosition) -> tuple[list[bytes], LogPosition]:
    """The next whole lines of a log, at most `CHUNK_BYTES`, and the position after them; none at its end."""
    lines, end = read_new(path, position.position, CHUNK_BYTES)
    if not lines:
        return [], position
    tail = lines[-1] + b"\n"
    moved = dataclasses.replace(
        position, position=end, tail_length=len(tail), tail_digest=_digest(tail), lines=position.lines + len(lines)
    )
    return lines, moved


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
