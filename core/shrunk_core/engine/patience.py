"""A full disk costs time, not events: the supervisor keeps what the disk does not take and waits until there is space."""

from __future__ import annotations

import errno
from pathlib import Path

from ..errors import RunError
from ..record.events import Event
from ..record.journal import open_journal

FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(problem: BaseException) -> bool:
    """True for a failure, or one caused by a failure, of a disk or a quota that is full."""
    cause = problem if isinstance(problem, OSError) else problem.__cause__
    return isinstance(cause, OSError) and cause.errno in FULL


class PatientJournal:
    """This process's journal. Events that a full disk refuses wait in memory, in order; `flush` tries them again."""

    def __init__(self, lab: Path) -> None:
        self._writer = open_journal(lab)
        self._waiting: list[Event] = []

    def append(self, *events: Event) -> None:
        """Write, or keep for later. RunError for any trouble but a full disk."""
        self._waiting += events
        self.flush()

    def flush(self) -> bool:
        """True when everything appended so far is in the file."""
        try:
            if self._waiting:
                self._writer.append(*self._waiting)
                self._waiting.clear()
            return True
        except RunError as problem:
            if not is_full(problem):
                raise
            return False

    def close(self) -> None:
        self._writer.close()
