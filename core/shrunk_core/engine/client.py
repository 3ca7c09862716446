"""What commands and screens ask of the engine: hand a grid over, stop runs, make sure a supervisor serves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ..config.spec import to_plain
from ..errors import BusyError, ConfigError, RunError
from .desk import Desk
from .plan import RunPlan

SUPERVISOR = "shrunk_core.engine.supervisor"
ANSWER_SECONDS = 30.0
FOREIGN_HEARTBEAT_SECONDS = 60.0
"""A supervisor of another host counts as alive while its heartbeat is younger than this."""


def submit(lab: Path, plan: RunPlan, slots: int = 0) -> dict[str, Any]:
    """Hand a grid to the lab's supervisor, which is started if none serves.

    Returns `run_ids` of the whole grid, `queued` (those that will be trained now) and `slots`.
    """
    plan.refuse_problems()
    runs = [{"name": r.name, "spec": to_plain(r.spec), "costs": r.costs} for r in plan.runs if r.spec is not None]
    return ask(lab, {"action": "submit", "grid": plan.grid.name, "toml": plan.grid.text, "slots": slots, "runs": runs})


def stop(lab: Path, run_ids: list[str]) -> list[str]:
    """Stop runs: queued ones leave the queue, running ones leave with a checkpoint. Returns those it concerned."""
    if not Desk(lab).serving():
        return []
    return ask(lab, {"action": "stop", "run_ids": run_ids})["stopped"]


def ask(lab: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Put a request to the supervisor and wait for its answer. RunError with its message when it refuses."""
    desk = Desk(lab)
    refuse_foreign(desk)
    starter = _Starter(desk)
    try:
        name = desk.put(request)
    except OSError as problem:
        raise ConfigError(f"the lab {lab} cannot be written: {problem.strerror}") from None
    reply = desk.reply(name, ANSWER_SECONDS, alive=starter)
    if "error" in reply:
        raise RunError(reply["error"])
    return reply


def refuse_foreign(desk: Desk) -> None:
    """BusyError when a supervisor of another host seems to serve this lab (a lab on a shared disk)."""
    try:
        owner = json.loads(desk.owner.read_text())
    except (OSError, json.JSONDecodeError):
        return
    age = time.time() - owner["heartbeat"]
    if owner["host"] != socket.gethostname() and age < FOREIGN_HEARTBEAT_SECONDS:
        raise BusyError(
            f"{desk.lab} is served by a supervisor on {owner['host']} (pid {owner['pid']}, heard {age:.0f} s ago). "
            "Run this command there, or wait until it is gone."
        )


class _Starter:
    """Starts a supervisor when none serves; called again and again while a client waits for its answer."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        if self.desk.serving() or time.monotonic() - self._started_at < 3.0:
            return
        if self._process is not None and self._process.poll() not in (None, 0, 3):
            tail = self.desk.log.read_text(errors="replace").strip().splitlines()[-1:] if self.desk.log.exists() else []
            raise RunError(f"the supervisor did not start: {' '.join(tail)} ({self.desk.log})")
        self._started_at = time.monotonic()
        self._process = start_supervisor(self.desk)


def start_supervisor(desk: Desk) -> subprocess.Popen[bytes]:
    """Start the lab's supervisor in a session of its own: it outlives this process and its terminal."""
    desk.private.mkdir(parents=True, exist_ok=True)
    with open(desk.log, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", SUPERVISOR, str(desk.lab)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")},
        )
    # a screen lives on for hours: somebody has to wait for the supervisor's end, or it stays behind as a zombie
    threading.Thread(target=process.wait, name="supervisor-end", daemon=True).start()
    return process
