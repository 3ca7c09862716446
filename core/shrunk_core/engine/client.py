"""What commands and screens ask of the engine: hand a grid over, stop runs, make sure a supervisor serves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.spec import to_plain
from ..errors import BusyError, ConfigError, RunError
from .desk import Desk
from .plan import RunPlan
from .queue import ORDERS
from .watch import Watch

SUPERVISOR = "shrunk_core.engine.supervisor"
ANSWER_SECONDS = 30.0
AUTO = -1
"""Of slots: as many as the machine takes well."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a request did. done: runs that it concerned; left: the others, each with the reason why nothing happened."""

    done: tuple[str, ...]
    left: dict[str, str]


def submit(
    lab: Path,
    plan: RunPlan,
    slots: int = 0,
    *,
    order: str = "",
    hours: float = 0.0,
    flops: float = 0.0,
    take_over: bool = False,
) -> dict[str, Any]:
    """Hand a grid to the lab's supervisor, which is started if none serves.

    slots: runs at once from now on, `AUTO` for as many as the machine takes well, 0 to leave it as it is. order: of
    `queue.ORDERS`, empty for the lab's. hours, flops (counting `paper`): budget of this submission, 0 for none; when it
    is spent its runs stop with checkpoints. take_over: serve the lab from here even if a supervisor of another host seems
    to; its workers leave at their next checkpoint. Returns `run_ids` of the whole grid, `queued` (those that will be trained
    now) and `slots`.
    """
    plan.refuse_problems()
    if order and order not in ORDERS:
        raise ConfigError(f"no order `{order}`: it is one of {', '.join(ORDERS)}")
    if take_over and Desk(lab).foreign_owner():
        Desk(lab).take_over()
    runs = [{"name": r.name, "spec": to_plain(r.spec), "costs": r.costs} for r in plan.runs if r.spec is not None]
    request = {"action": "submit", "grid": plan.grid.name, "toml": plan.grid.text, "runs": runs}
    return ask(lab, request | {"slots": slots, "order": order, "hours": hours, "flops": flops})


def stop(lab: Path, run_ids: Iterable[str]) -> Reply:
    """Stop runs: queued ones leave the queue, running ones leave at the next micro-batch with a checkpoint."""
    return _act(lab, "stop", run_ids)


def pause(lab: Path, run_ids: Iterable[str]) -> Reply:
    """As `stop`, with the promise to `resume`: the slot is free meanwhile."""
    return _act(lab, "pause", run_ids)


def resume(lab: Path, run_ids: Iterable[str]) -> Reply:
    """Queue paused and stopped runs again; they go on from their checkpoints."""
    return _act(lab, "resume", run_ids)


def retry(lab: Path, run_ids: Iterable[str]) -> Reply:
    """Queue failed, stopped and cancelled runs again, whatever made them end; they go on from their checkpoints."""
    return _act(lab, "retry", run_ids)


def cancel(lab: Path, run_ids: Iterable[str]) -> Reply:
    """As `stop`, for runs that nobody wants any more: no command but `retry` or a new `run` takes them up again."""
    return _act(lab, "cancel", run_ids)


def prioritise(lab: Path, run_ids: Iterable[str], priority: int) -> Reply:
    """Give unfinished runs a priority: larger goes first, 0 is where everything begins."""
    return _act(lab, "prioritise", run_ids, priority=priority)


def _act(lab: Path, action: str, run_ids: Iterable[str], **more: Any) -> Reply:
    """Ask the supervisor for an action on runs. None is started for what only a serving one could have under way."""
    ids = list(dict.fromkeys(run_ids))
    if action in ("stop", "pause") and not Desk(lab).serving():
        watch = Watch(lab, set(ids))
        watch.look()
        statuses = {r: watch.status(r).status for r in ids}
        if not any(s in ("queued", "running") for s in statuses.values()):
            return Reply(done=(), left={r: f"is {s}" for r, s in statuses.items()})
    reply = ask(lab, {"action": action, "run_ids": ids, **more})
    return Reply(done=tuple(reply["done"]), left=reply["left"])


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
    """BusyError when a supervisor of another host seems to serve this lab."""
    now = time.time()
    if owner := desk.served_elsewhere(now):
        raise BusyError(
            f"{desk.lab} is served by a supervisor on {owner['host']} (pid {owner['pid']}, heard {now - owner['heartbeat']:.0f} "
            "s ago). "
            "Run this command there, or wait until it is gone. If that host is lost for good, `shrunk run GRID "
            "--take-over` serves the lab from here; workers there leave at their next checkpoint."
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
    desk.private.mkdir(exist_ok=True)
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
