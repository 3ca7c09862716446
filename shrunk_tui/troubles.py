"""What is wrong with a lab as a whole, in words with what to do: shown as a banner, never as a traceback."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from shrunk_core.engine.desk import Desk

from .format import several

if TYPE_CHECKING:
    from .watcher import Row, Watcher

LEAST_FREE_BYTES = 500_000_000


def troubles(lab: Path, watcher: Watcher) -> dict[str, str]:
    """Causes and words; empty when all is well. Reads a lock and two small files."""
    found = {"supervisor": _supervisor(lab, watcher.rows), "disk": _disk(lab), "specs": _unreadable(watcher.unreadable)}
    return {cause: words for cause, words in found.items() if words}


def _unreadable(specs: Mapping[str, str]) -> str:
    if not specs:
        return ""
    first = next(iter(specs.values()))
    return f"{several(len(specs), 'run')} not shown: {first} `shrunk doctor` checks them all."


def _supervisor(lab: Path, rows: Mapping[str, Row]) -> str:
    """Runs that wait or work while nobody serves them."""
    queued = sum(row.status.status == "queued" for row in rows.values())
    running = sum(row.status.status == "running" for row in rows.values())
    if not queued and not running:
        return ""
    desk = Desk(lab)
    if desk.serving() or desk.served_elsewhere(time.time()):
        return ""
    last = ""
    try:
        last = desk.log.read_text(errors="replace").strip().splitlines()[-1][:160]
    except (OSError, IndexError):
        pass
    left = [f"{queued} in the queue wait"] if queued else []
    left += [f"{running} running go on without it"] if running else []
    word = f"No supervisor serves this lab: {', '.join(left)}. ! starts one (so does `shrunk run GRID`)."
    return word + (f" Its last word: {last}" if last else "")


def _disk(lab: Path) -> str:
    try:
        free = shutil.disk_usage(lab).free
    except OSError:
        return ""
    if free >= LEAST_FREE_BYTES:
        return ""
    return (
        f"The disk of {lab} has only {free / 1e6:.0f} MB left: runs will fail. `shrunk doctor` shows where space went."
    )
