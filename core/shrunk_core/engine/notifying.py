"""Sending alerts to a person's command. Its failure is told in the supervisor's log, once, and hurts nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from ..record.lab_events import Alert

PATIENCE_SECONDS = 60.0
"""A command that takes longer is ended."""

MOST_AT_ONCE = 16
"""Commands that may be under way together; of a flood of alerts the rest is in the journal only."""


class Notifier:
    """Runs the command for each alert and goes on at once; `look` takes notice of those that have ended."""

    def __init__(self, command: str) -> None:
        self.command = command
        self._under_way: list[tuple[subprocess.Popen[bytes], float]] = []
        self._failed = ""

    def send(self, alert: Alert) -> None:
        """SHRUNK_ALERT, SHRUNK_SEVERITY, SHRUNK_RUN, SHRUNK_GRID and SHRUNK_MESSAGE say what happened."""
        self.look()
        if not self.command or len(self._under_way) >= MOST_AT_ONCE:
            return
        said = {
            "SHRUNK_ALERT": alert.alert,
            "SHRUNK_SEVERITY": alert.severity,
            "SHRUNK_RUN": alert.run_id,
            "SHRUNK_GRID": alert.grid,
            "SHRUNK_MESSAGE": alert.message,
        }
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", self.command],
                env=os.environ | said,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._under_way.append((process, time.monotonic()))
        except (OSError, ValueError) as problem:
            self._complain(str(problem))

    def look(self) -> None:
        """Wait for what has ended, and end what takes too long."""
        still = []
        for process, since in self._under_way:
            code = process.poll()
            if code is None and time.monotonic() - since > PATIENCE_SECONDS:
                process.kill()
                process.wait()
                self._complain(f"took longer than {PATIENCE_SECONDS:.0f} s")
            elif code is None:
                still.append((process, since))
            elif code:
                self._complain(f"ended with code {code}")
        self._under_way = still

    def close(self, seconds: float = 2.0) -> None:
        """Give what is under way a moment; it goes on without us."""
        until = time.monotonic() + seconds
        for process, _ in self._under_way:
            try:
                process.wait(timeout=max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue

    def _complain(self, what: str) -> None:
        if what != self._failed:
            self._failed = what
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} the command `notify` of shrunk.toml {what}", file=sys.stderr)
