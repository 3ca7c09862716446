"""What the System screen says of a lab in words: its supervisor, the end of its log, its alerts, who scores. For threads."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from shrunk_core.engine.desk import Desk
from shrunk_core.errors import RunError
from shrunk_core.record.celldir import read_cell
from shrunk_core.record.eventlog import read_new
from shrunk_core.record.journal import journal_files
from shrunk_core.record.rundir import is_cell, parent_of, run_dir

from .format import duration

MOST_ALERTS = 200


def supervisor_line(lab: Path) -> str:
    """Who serves the lab, or that nobody does and what that means."""
    desk, now = Desk(lab), time.time()
    owner = desk.claim() if desk.serving() else desk.served_elsewhere(now)
    if owner is not None:
        age = duration(max(0.0, now - owner.get("started_at", now)))
        return f"Supervisor: serving on {owner.get('host', '?')}, pid {owner['pid']}, for {age}"
    return "Supervisor: none; it starts by itself with a grid, and leaves when all is done"


def tail(path: Path, num_bytes: int) -> str:
    """The last whole lines of a text file; nothing when it is not there."""
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            start = max(0, file.tell() - num_bytes)
            file.seek(start)
            data = file.read()
    except OSError:
        return ""
    if start:
        data = data[data.find(b"\n") + 1 :]
    return data.decode("utf-8", errors="replace").rstrip()


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """A downstream cell that a worker was started for."""

    run_id: str
    name: str
    pid: int
    slot: str


class JournalBook:
    """The alerts of a lab's journals, and the cells that are scored; every look reads new bytes only."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        self._offsets: dict[Path, int] = {}
        self._found: list[dict[str, Any]] = []
        self._ended: dict[tuple[str, str], float] = {}
        self._cells: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}

    def look(self) -> None:
        for path in journal_files(self.lab):
            lines, self._offsets[path] = read_new(path, self._offsets.get(path, 0))
            for line in lines:
                if b'"kind":"alert' in line:
                    self._take(line)
                elif b'"kind":"run-launched"' in line or b'"kind":"run-reaped"' in line:
                    self._take_worker(line)

    def alerts(self) -> list[str]:
        """Newest first: when, how grave, about which run, what, and whether it is over."""
        self._found.sort(key=lambda event: -event["logged_at"])
        return [self._line(event) for event in self._found[:MOST_ALERTS]]

    def scoring(self) -> list[Scoring]:
        """Cells whose worker was started and not yet reaped, by slot; one that died with its supervisor is among them."""
        launched = [event for event in self._cells.values() if event["kind"] == "run-launched"]
        return [
            Scoring(run_id=parent_of(e["run_id"]), name=self._name(e["run_id"]), pid=e["pid"], slot=e.get("slot", ""))
            for e in sorted(launched, key=lambda e: (e.get("slot", ""), e["run_id"]))
        ]

    def _name(self, job_id: str) -> str:
        if job_id not in self._names:
            try:
                self._names[job_id] = read_cell(run_dir(self.lab, job_id)).name
            except RunError:  # deleted meanwhile
                return job_id
        return self._names[job_id]

    def _take_worker(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            job_id, at, _ = event["run_id"], event["logged_at"], event["pid"]
        except (ValueError, KeyError):
            return
        before = self._cells.get(job_id)
        if is_cell(job_id) and (before is None or at >= before["logged_at"]):
            self._cells[job_id] = event

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            key, at = (event["alert"], event.get("run_id", "")), event["logged_at"]
        except (ValueError, KeyError):  # torn, or of another version; `shrunk doctor` names it
            return
        if event["kind"] == "alert":
            self._found.append(event)
        else:
            self._ended[key] = max(self._ended.get(key, 0.0), at)

    def _line(self, event: dict[str, Any]) -> str:
        at, run_id = event["logged_at"], event.get("run_id", "")
        over = " (over)" if self._ended.get((event["alert"], run_id), 0.0) >= at else ""
        about = f" {run_id}" if run_id else ""
        when = f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M}"
        return f"{when} {event.get('severity', '')}{about}: {event.get('message', '')}{over}"
