"""An append-only log file: one writer, any number of readers, nothing lost and nothing half read.

A line counts once its newline is on disk. A writer that finds a torn last line (its predecessor was killed in the
middle of one) cuts it before it appends; a reader never looks past the last newline.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import RunError
from .events import Event, NewerVersion, decode, encode


class EventWriter:
    """Appends events to one file. Not for two writers at once: the folder's owner is the only one.

    A full disk or a vanished folder raises RunError with the path; what was appended before stays whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(exist_ok=True)
            cut_torn_tail(path)
            self._file = open(path, "ab", buffering=0)
        except OSError as problem:
            raise RunError(f"cannot write the log {path}: {problem.strerror}") from problem

    def append(self, *events: Event) -> None:
        """Write the events in one system call, so that a reader sees all of them or a prefix of whole lines."""
        data = "".join(encode(e) + "\n" for e in events).encode()
        try:
            start = os.fstat(self._file.fileno()).st_size
            written = self._file.write(data)
            if written != len(data):  # a full disk may take only a part: take it back rather than leave it torn
                os.ftruncate(self._file.fileno(), start)
                raise OSError(28, "No space left on device")
        except OSError as problem:
            raise RunError(
                f"cannot append to {self.path}: {problem.strerror}. Make space (`shrunk doctor` shows where it went) and "
                "run the same command again; what was logged before is whole."
            ) from problem

    def sync(self) -> None:
        """Return when everything appended so far is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def cut_torn_tail(path: Path) -> int:
    """Truncate a file after its last newline and return the number of bytes cut (0 for a whole or absent file)."""
    try:
        with open(path, "rb+") as file:
            size = file.seek(0, os.SEEK_END)
            end = whole_bytes(file, size)
            if end < size:
                file.truncate(end)
            return size - end
    except FileNotFoundError:
        return 0


def whole_bytes(file: BinaryIO, size: int) -> int:
    """How many of a log's first `size` bytes are whole lines."""
    end = size
    while end > 0:
        start = max(0, end - 65536)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def read_new(path: Path, offset: int = 0, limit: int | None = None) -> tuple[list[bytes], int]:
    """Whole lines from byte `offset` on, without their newlines, and the offset after the last of them.

    limit: most bytes to read at once; a line longer than that is read whole. An absent file has no lines.
    """
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(-1 if limit is None else limit)
            while limit is not None and data and b"\n" not in data:
                more = file.read(limit)
                if not more:
                    break
                data += more
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    if end == 0:
        return [], offset
    return data[: end - 1].split(b"\n"), offset + end


def read_events(path: Path, offset: int = 0) -> Iterator[Event]:
    """All events of a log from `offset`. A line that is no event is skipped; a newer version raises RunError."""
    lines, _ = read_new(path, offset)
    for line in lines:
        if not line:
            continue
        try:
            yield decode(line)
        except NewerVersion as problem:
            raise RunError(f"{path}: {problem}. Install a newer shrunk-tui to read this lab.") from None
        except ValueError:
            continue
