"""Where a run stands: one rule, used by the supervisor, by `shrunk status` and by the index.

Status is never stored by the engine. It follows from two last words and one question: what the run's own log says last,
what the lab's journals say last about the run, and whether the process that the log names is alive. Both words fold
event by event, so that a reader of new bytes needs no old ones.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from .cell_events import CellFinished
from .event_base import Attempt
from .events import Event, Failed, Finished, Left, RunDequeued, RunLaunched, RunQueued, RunReaped
from .lab_events import RunDeleted
from .rundir import Process

STATUSES = ("queued", "running", "paused", "finished", "failed", "stopped", "cancelled")

LAUNCH_GRACE = 120.0
"""Seconds that a launched worker of which nobody knows whether it lives may take to its first event."""

FOREIGN_SILENCE = 600.0
"""A worker of another host counts as gone when its log has been silent for so many seconds."""

WORKER_DIED = "worker died"

_AFTER_LEAVING = {"pause": "paused", "cancel": "cancelled"}
"""Status of a run whose worker has left, by the reason it gave; `stopped` for all others."""


@dataclass(frozen=True, kw_only=True)
class LogWord:
    """What a run's own log says last.

    state: `new` (no event yet), `running`, `left`, `finished`, `failed`. worker: the process that wrote last, if any.
    logged_at: time of the event that set the state, seconds since 1970 UTC.
    """

    state: str = "new"
    reason: str = ""
    attempt: int = 0
    worker: Process | None = None
    logged_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class QueueWord:
    """What the lab's journals say last about a run.

    state: `none`, `queued`, `launched`, `reaped` or `dequeued`. status: of a dequeued run. worker: the process that was
    launched, if the journal names it. logged_at: as in `LogWord`.
    """

    state: str = "none"
    status: str = ""
    reason: str = ""
    logged_at: float = 0.0
    worker: Process | None = None


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One of `STATUSES`, and why in a few words ("" when the status says it all)."""

    status: str
    reason: str = ""


def fold_log(word: LogWord, event: Event) -> LogWord:
    """The word of a run's log after one more event of it. Events that say nothing about its life change nothing."""
    match event:
        case Attempt():
            worker = Process(host=event.host, pid=event.pid, started_at=event.process_started_at)
            return LogWord(state="running", attempt=event.attempt, worker=worker, logged_at=event.logged_at)
        case Left():
            return dataclasses.replace(word, state="left", reason=event.reason, logged_at=event.logged_at)
        case Finished() | CellFinished():
            return dataclasses.replace(word, state="finished", reason="", logged_at=event.logged_at)
        case Failed():
            return dataclasses.replace(word, state="failed", reason=event.message, logged_at=event.logged_at)
    return word


def fold_queue(word: QueueWord, event: RunQueued | RunLaunched | RunReaped | RunDequeued | RunDeleted) -> QueueWord:
    """The journals' word on a run after one more event about it, in any order: the latest by its clock stands.

    What was said of a run before somebody deleted it says nothing of one that is born again under its id.
    """
    if event.logged_at < word.logged_at:
        return word
    match event:
        case RunQueued():
            return QueueWord(state="queued", reason=event.reason, logged_at=event.logged_at)
        case RunLaunched():
            worker = (
                Process(host=event.host, pid=event.pid, started_at=event.process_started_at) if event.host else None
            )
            return QueueWord(state="launched", reason=event.slot, logged_at=event.logged_at, worker=worker)
        case RunReaped():
            code = "" if event.returncode is None else f"exit {event.returncode}"
            return QueueWord(state="reaped", reason=code, logged_at=event.logged_at)
        case RunDequeued():
            return QueueWord(state="dequeued", status=event.status, reason=event.message, logged_at=event.logged_at)
        case RunDeleted():
            return QueueWord(logged_at=event.logged_at)


def derive_status(
    log: LogWord, queue: QueueWord, *, worker_alive: bool, now: float, launched_alive: bool | None = None
) -> RunStatus:
    """Where a run stands. The first rule that applies wins.

    1. The log says finished: `finished`, whatever the queue says later.
    2. The log says running and its worker lives: `running`.
    3. The journals speak later than the log: queued -> `queued`; launched -> `running` while that process lives and has
       not written yet (for `LAUNCH_GRACE` seconds when nobody can tell), then `stopped`; dequeued -> the status it names.
       Reaped says only that the process is gone, so the log decides.
    4. The log decides: left on pause -> `paused`, on cancel -> `cancelled`, for another reason -> `stopped`, failed ->
       `failed`, running without a living worker -> `stopped` ("worker died"), no event yet -> `stopped` ("not started").

    worker_alive: as `worker_alive` says. launched_alive: as `alive_or_none` says. now: seconds since 1970 UTC.
    """
    if log.state == "finished":
        return RunStatus(status="finished")
    if log.state == "running" and worker_alive:
        return RunStatus(status="running")
    if queue.logged_at > log.logged_at:
        match queue.state:
            case "queued":
                return RunStatus(status="queued", reason=queue.reason)
            case "launched" if launched_alive or (launched_alive is None and now - queue.logged_at < LAUNCH_GRACE):
                return RunStatus(status="running", reason="starting")
            case "launched":
                return RunStatus(status="stopped", reason=f"{WORKER_DIED} before its first event")
            case "dequeued":
                status = queue.status if queue.status in STATUSES else "stopped"
                return RunStatus(status=status, reason=queue.reason)
    match log.state:
        case "left":
            return RunStatus(status=_AFTER_LEAVING.get(log.reason, "stopped"), reason=log.reason)
        case "failed":
            return RunStatus(status="failed", reason=log.reason)
        case "running":
            if log.worker is not None and log.worker.foreign():
                return RunStatus(status="stopped", reason=f"nothing is heard from its worker on {log.worker.host}")
            return RunStatus(status="stopped", reason=WORKER_DIED)
    if queue.state == "reaped":
        return RunStatus(status="stopped", reason=f"{WORKER_DIED} before its first event ({queue.reason or 'adopted'})")
    return RunStatus(status="stopped", reason="not started")


def worker_alive(log: LogWord, heard_at: float, now: float) -> bool:
    """Whether the worker that a run's log names works on it. Of another host's worker only its log can tell.

    heard_at: when the log was written last; now: both seconds since 1970 UTC.
    """
    if log.state != "running" or log.worker is None:
        return False
    return now - heard_at < FOREIGN_SILENCE if log.worker.foreign() else log.worker.alive()


def alive_or_none(queue: QueueWord) -> bool | None:
    """Whether a launched worker that has not written yet lives; None when nobody here can tell."""
    if queue.state != "launched" or queue.worker is None or queue.worker.foreign():
        return None
    return queue.worker.alive()
