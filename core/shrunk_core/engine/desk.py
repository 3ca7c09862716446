"""How clients talk to the supervisor: a request is a file in `.shrunk/inbox`, its answer a file in `.shrunk/replies`.

Files work on every disk and after every crash, and a person can read them. A request is written by rename, taken once,
answered once. Whether a supervisor serves is told by its lock.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import BusyError
from ..record.lock import is_locked
from ..record.rundir import EPOCH_FILE, epoch_of, write_atomically

FOREIGN_HEARTBEAT_SECONDS = 60.0
"""A supervisor of another host counts as alive while its heartbeat is younger than this."""


@dataclass(frozen=True)
class Desk:
    """Paths of a lab's private folder."""

    lab: Path

    @property
    def private(self) -> Path:
        return self.lab / ".shrunk"

    @property
    def lock(self) -> Path:
        return self.private / "supervisor.lock"

    @property
    def owner(self) -> Path:
        """Who holds the lock: host, pid, process start, heartbeat; of how many slots how many are taken; readings of devices."""
        return self.private / "supervisor.json"

    @property
    def order(self) -> Path:
        """Ids of the runs that wait, next one first, as of the supervisor's last heartbeat."""
        return self.private / "queue.json"

    @property
    def log(self) -> Path:
        return self.private / "supervisor.log"

    @cached_property
    def inbox(self) -> Path:
        return self.private / "inbox"

    @property
    def replies(self) -> Path:
        return self.private / "replies"

    def epoch(self) -> int:
        """How often the lab was taken over; a worker of an earlier epoch writes no further checkpoint."""
        return epoch_of(self.lab)

    def take_over(self) -> int:
        """End the claim of whoever serves the lab, whose host we cannot reach, and return the new epoch.

        The epoch is raised before the claim is removed. The lock goes as well: the old supervisor may hold it over a
        shared disk, but then of a file that no longer is there.
        """
        epoch = self.epoch() + 1
        write_atomically(self.private / EPOCH_FILE, f"{epoch}\n")
        self.owner.unlink(missing_ok=True)
        self.lock.unlink(missing_ok=True)
        return epoch

    def serving(self) -> bool:
        """True if a supervisor of this host holds the lab."""
        return is_locked(self.lock)

    def claim(self) -> dict[str, Any] | None:
        """What `owner` holds, whoever wrote it and whether it still serves or not; None without it or when it is torn."""
        try:
            claim = json.loads(self.owner.read_text())
        except (OSError, ValueError):
            return None
        return claim if isinstance(claim, dict) and {"pid", "heartbeat"} <= claim.keys() else None

    def foreign_owner(self) -> dict[str, Any] | None:
        """The supervisor of another host that has claimed this lab (on a shared disk), None without one."""
        claim, here = self.claim(), socket.gethostname()
        return claim if claim and claim.get("host", here) != here else None

    def served_elsewhere(self, now: float) -> dict[str, Any] | None:
        """The claim of a supervisor of another host that has been heard lately, None without one."""
        owner = self.foreign_owner()
        return owner if owner and now - owner["heartbeat"] < FOREIGN_HEARTBEAT_SECONDS else None

    def put(self, request: dict[str, Any]) -> str:
        """Leave a request and return its id. Ids sort by time."""
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        self.private.mkdir(exist_ok=True)
        write_atomically(self.inbox / f"{name}.json", json.dumps(request))
        return name

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """All waiting requests, oldest first; each is removed as it is taken."""
        taken = []
        for path in (self.inbox / name for name in self.waiting()):
            try:
                taken.append((path.stem, json.loads(path.read_text())))
            except (OSError, json.JSONDecodeError):
                continue
            finally:
                path.unlink(missing_ok=True)
        return taken

    def waiting(self) -> list[str]:
        """Files of the requests that nobody has taken, oldest first. Asked many times a second."""
        try:
            return sorted(name for name in os.listdir(self.inbox) if name.endswith(".json"))
        except FileNotFoundError:
            return []

    def answer(self, name: str, reply: dict[str, Any]) -> None:
        self.private.mkdir(exist_ok=True)
        write_atomically(self.replies / f"{name}.json", json.dumps(reply))

    def reply(self, name: str, timeout: float, alive: Any = None) -> dict[str, Any]:
        """Wait for an answer and remove it. BusyError after `timeout` seconds; `alive()` is called while waiting."""
        path = self.replies / f"{name}.json"
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if path.exists():
                body = json.loads(path.read_text())
                path.unlink(missing_ok=True)
                return body
            if alive is not None:
                alive()
            time.sleep(0.03)
        (self.inbox / f"{name}.json").unlink(missing_ok=True)
        raise BusyError(f"the lab's supervisor did not answer within {timeout:.0f} s; see {self.log}")
