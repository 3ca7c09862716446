"""The copy that people open. It is made beside the old one and swapped in by a rename, so that nobody waits.

    lab.duckdb -> .shrunk/published/<K>/lab.duckdb     mode 0444, one folder a publication
                  .shrunk/published/<K>/manifest.json  which state of the index it is, and what the file looked like

A folder of its own for each copy, because DuckDB keeps a write-ahead log beside the file that it really opened: what a
stranger left there when he was killed stays with the old copy and cannot make the new one unopenable.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from ..errors import StoreError
from . import views_file

SMALLEST_INTERVAL = 2.0
"""Seconds between two publications, at least."""

LARGEST_SHARE = 0.02
"""Of one core's time that publishing may take: the interval is at least the last publication's CPU seconds / this."""

BYTES_PER_SECOND = 4 << 20
"""Of disk writing that publishing may cause on average: 240 MiB a minute."""

KEEP_OLD = 10.0
"""Seconds that a copy stays after it was replaced, for a reader who has read the link and not yet opened the file."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What was published.

    index_id, generation: a state of the index; size, mtime_ns: the copy's own, so that a stranger's writing shows;
    seconds: CPU time of publishing; views_stamp, views_problems: of the lab's `views.sql`.
    """

    index_id: str
    generation: int
    size: int
    mtime_ns: int
    seconds: float
    views_stamp: str
    views_problems: tuple[str, ...]


def link(lab: Path) -> Path:
    return lab / "lab.duckdb"


def folder(lab: Path) -> Path:
    return lab / ".shrunk" / "published"


def current(lab: Path) -> Path | None:
    """The copy that `lab.duckdb` points to, or None if there is none of ours."""
    try:
        target = os.readlink(link(lab))
    except OSError:
        return None
    path = lab / target
    return path if path.parent.parent == folder(lab) and path.exists() else None


def manifest(copy: Path) -> Manifest | None:
    """The manifest of a copy; None if it is absent or broken."""
    try:
        body = json.loads((copy.parent / "manifest.json").read_text())
        return Manifest(**{**body, "views_problems": tuple(body["views_problems"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_intact(copy: Path, known: Manifest) -> bool:
    """True if nobody has written to the copy since, nor left a write-ahead log beside it."""
    try:
        stat = copy.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (known.size, known.mtime_ns) and not _wal(copy).exists()


def interval(known: Manifest) -> float:
    """Seconds between this publication and the next one: at most one in 2 s, 2 % of a core and 4 MiB/s on average."""
    return max(SMALLEST_INTERVAL, known.seconds / LARGEST_SHARE, known.size / BYTES_PER_SECOND)


def wait(copy: Path, known: Manifest) -> float:
    """Seconds until the next publication is due."""
    try:
        age = time.time() - (copy.parent / "manifest.json").stat().st_mtime
    except OSError:
        return 0.0
    return min(interval(known), max(0.0, interval(known) - age))


def publish(lab: Path, index: Path, index_id: str, generation: int) -> Manifest:
    """Copy the closed index and swap it in. OSError or duckdb.Error leaves the old copy in place.

    The index must be closed: a process that closes any handle of a file loses its locks on it, DuckDB's too.
    """
    if _wal(index).exists():
        raise StoreError(f"{index} was not closed cleanly; run the same command again")
    began = time.thread_time()
    folder(lab).mkdir(exist_ok=True)
    numbers = [int(p.name) for p in folder(lab).iterdir() if p.name.isdigit()]
    place = folder(lab) / str(max(numbers, default=0) + 1)
    copy = place / "lab.duckdb"
    try:
        place.mkdir()
        shutil.copyfile(index, copy)
        stamp = views_file.stamp(lab)
        problems = views_file.apply(lab, copy)
        copy.chmod(0o444)
        _sync(copy)
        stat = copy.stat()
        made = Manifest(
            index_id=index_id,
            generation=generation,
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            seconds=time.thread_time() - began,
            views_stamp=stamp,
            views_problems=problems,
        )
        (place / "manifest.json").write_text(json.dumps(asdict(made), indent=1) + "\n")
        for path in (place / "manifest.json", place, folder(lab)):
            _sync(path)
        _swap(lab, copy)
    except (OSError, duckdb.Error):
        shutil.rmtree(place, ignore_errors=True)
        raise
    return made


def remove_old(lab: Path) -> None:
    """Remove copies that nobody can be about to open. Who has one open keeps it until he closes it."""
    kept = current(lab)
    if kept is None:
        return
    replaced_at = os.lstat(link(lab)).st_mtime
    for place in folder(lab).iterdir():
        if place == kept.parent or not place.name.isdigit():
            continue
        newest_but_one = place.name == str(int(kept.parent.name) - 1)
        if not newest_but_one or time.time() - replaced_at > KEEP_OLD:
            shutil.rmtree(place, ignore_errors=True)


def _swap(lab: Path, copy: Path) -> None:
    temporary = lab / f".lab.duckdb.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    os.symlink(os.path.relpath(copy, lab), temporary)
    try:
        os.replace(temporary, link(lab))
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync(lab)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
