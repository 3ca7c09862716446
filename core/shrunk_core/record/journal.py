"""Lab-level events: what is in no run's log. One file a writing process, so that no two processes share a file."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from .eventlog import EventWriter, read_events
from .events import Event


def journal_folder(lab: Path) -> Path:
    return lab / "journal"


SAMPLES = ".samples.jsonl"
"""Ending of the journals that hold measurements of the machine, so that readers who need none of them can pass by."""


def open_journal(lab: Path, ending: str = ".jsonl") -> EventWriter:
    """A journal of this process's own: `journal/<host>-<pid>-<start>.jsonl`, or with another ending (`SAMPLES`)."""
    host = re.sub(r"[^A-Za-z0-9.]+", "_", socket.gethostname()) or "host"
    return EventWriter(journal_folder(lab) / f"{host}-{os.getpid()}-{time.time_ns() // 1_000_000}{ending}")


def is_sample_file(path: Path) -> bool:
    return path.name.endswith(SAMPLES)


def journal_files(lab: Path) -> list[Path]:
    """All journals of a lab, in name order."""
    return sorted(journal_folder(lab).glob("*.jsonl"))


def read_journal(lab: Path) -> Iterator[Event]:
    """All events of all journals in order of time."""
    events = [event for path in journal_files(lab) for event in read_events(path)]
    events.sort(key=lambda e: e.logged_at)
    yield from events
