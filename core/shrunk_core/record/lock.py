"""One process at a time: an advisory lock on a file, released by the system when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


class FileLock:
    """An exclusive flock. OSError when the file cannot be made (a full or read-only disk, a lab that has gone)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def take(self, seconds: float = 0.0) -> bool:
        """Wait up to `seconds`; True if it is ours now."""
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.05)

    def release(self) -> None:
        os.close(self._fd)


def is_locked(path: Path) -> bool:
    """True if a living process holds the lock. An absent file is not locked. Asks for no right to write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
