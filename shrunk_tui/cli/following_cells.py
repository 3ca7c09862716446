"""Handing cells to the supervisor and following them to their end, as `shrunk run` does with runs."""

from __future__ import annotations

import math
import signal
import time
from pathlib import Path

from shrunk_core.config.cell import CellSpec
from shrunk_core.engine.cells import submit_cells
from shrunk_core.engine.client import stop
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.watch import Watch
from shrunk_core.record.cell_events import CellEpoch, CellScored
from shrunk_core.record.rundir import parent_of
from shrunk_core.record.status import WORKER_DIED

from .output import say

LOOK_SECONDS = 0.25
ANOTHER_SUPERVISOR_SECONDS = 5.0


def work_through(lab: Path, cells: list[CellSpec], *, seconds: float = math.inf) -> int:
    """Queue the missing cells and follow them. Returns the exit code: 0, 1 when a cell failed, 130 when interrupted.

    The first Ctrl-C stops these cells, each after the update it is in; what they have done is kept. So does the end of
    `seconds`; the exit code is 1 then.
    """
    names = {cell.job_id: cell for cell in cells}
    queued = submit_cells(lab, cells)["queued"]
    say(f"{len(cells)} cells: {len(queued)} to do, {len(cells) - len(queued)} done or under way")
    watch = Watch(lab, {parent_of(job) for job in names}, cells=True)
    since, served_at, interrupted = time.time(), time.monotonic(), 0
    stop_at = time.monotonic() + seconds
    states: dict[str, str] = {}
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        while True:
            try:
                for job, event in watch.look():
                    if job in names and event.logged_at >= since - 1.0 and (line := _line(names[job], event)):
                        say(line)
                orphaned = False
                for job in names:
                    status = watch.status(job)
                    orphaned |= status.status == "stopped" and status.reason.startswith(WORKER_DIED)
                    if status.status != states.get(job):
                        states[job] = status.status
                        if status.status in ("failed", "stopped", "cancelled"):
                            say(f"{_name(names[job])}: {status.status}: {status.reason}")
                # the supervisor queues a cell again whose worker was killed, a moment later, or fails it
                if not any(s in ("queued", "running") for s in states.values()) and (interrupted or not orphaned):
                    return _verdict(lab, states, interrupted)
                if Desk(lab).serving():
                    served_at = time.monotonic()
                elif time.monotonic() - served_at > ANOTHER_SUPERVISOR_SECONDS:
                    submit_cells(lab, cells)  # the supervisor died: another one takes up what is not done
                    served_at = time.monotonic()
                if time.monotonic() > stop_at:
                    say(f"{seconds:g} s are over; stopping these cells")
                    stop(lab, list(names))
                    stop_at = math.inf
                time.sleep(LOOK_SECONDS)
            except KeyboardInterrupt:
                interrupted += 1
                if interrupted > 1:
                    return 130
                say("stopping these cells (Ctrl-C again: leave at once) ...")
                stop(lab, list(names))
    finally:
        signal.signal(signal.SIGHUP, previous)


def _verdict(lab: Path, states: dict[str, str], interrupted: int) -> int:
    counts = {status: list(states.values()).count(status) for status in dict.fromkeys(states.values())}
    say(", ".join(f"{n} {status}" for status, n in counts.items()))
    if interrupted:
        return 130
    return 0 if set(states.values()) <= {"finished"} else 1


def _name(cell: CellSpec) -> str:
    return f"{cell.run_id} {cell.name}"


def _line(cell: CellSpec, event: object) -> str:
    match event:
        case CellEpoch():
            chosen = f", slice {event.selection:.3f}" if event.selection == event.selection else ""
            return (
                f"{_name(cell)}: epoch {event.epoch}, loss {event.loss:.3f}, {cell.task.metrics[0]} {event.score:.3f}"
                f"{chosen}, {event.examples_per_second:,.0f} examples/s"
            )
        case CellScored() if event.group == "":
            where = f" on {event.split}" if len(cell.task.splits) > 1 else ""
            return f"{_name(cell)}: {event.metric}{where} {event.value:.3f} ± {event.stderr:.3f}, n {event.n:,}"
    return ""
