"""What occupies a slot."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..record.rundir import Process
from .launcher import Child


@dataclass
class Job:
    """What occupies a slot: a worker of a run, an adopted worker, or the building of a corpus (`run_id` empty)."""

    run_id: str
    child: Child | None
    process: Process | None = None
    request: Path | None = None
    launched_at: float = 0.0
    device: str = ""

    def ended(self) -> bool:
        return self.child.poll() is not None if self.child else self.process is None or not self.process.alive()

    def signal(self, number: int) -> None:
        """Send a signal to its process, unless that has ended."""
        if self.child is not None:
            self.child.signal(number)
        elif self.process is not None and self.process.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)
