"""A disk that takes nothing costs time, not events: the supervisor keeps what it refuses and waits until it takes it."""

from __future__ import annotations

import errno
from pathlib import Path

from ..errors import RunError
from ..record.events import Event
from ..record.journal import open_journal

TAKES_NOTHING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def disk_trouble(problem: BaseException) -> str:
    """What the system says of a disk or a quota that is full, or of a disk that is read-only (as one becomes that fails);
    "" for any other problem."""
    cause = problem if isinstance(problem, OSError) else problem.__cause__
    return str(cause.strerror) if isinstance(cause, OSError) and cause.errno in TAKES_NOTHING else ""


class PatientJournal:
    """This process's journal. Events that a disk refuses wait in memory, in order; `flush` tries them again."""

    def __init__(self, lab: Path) -> None:
        self._writer = open_journal(lab)
        self._waiting: list[Event] = []
        self.trouble = ""
        """Why events wait, "" while none does."""

    def append(self, *events: Event) -> None:
        """Write, or keep for later. RunError for any trouble that is not the disk's."""
        self._waiting += events
        self.flush()

    def flush(self) -> bool:
        """True when everything appended so far is in the file."""
        try:
            if self._waiting:
                self._writer.append(*self._waiting)
                self._waiting.clear()
            self.trouble = ""
        except RunError as problem:
            self.trouble = disk_trouble(problem)
            if not self.trouble:
                raise
        return not self.trouble

    def close(self) -> None:
        self._writer.close()
