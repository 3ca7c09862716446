"""What a client may ask of the supervisor, and what then happens to the queue and to the workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..config.cell import cell_from_dict
from ..config.spec import from_dict
from ..errors import ShrunkError
from ..record.celldir import write_cell
from ..record.events import GridSubmitted, RunDequeued
from ..record.lab_events import RunPrioritised
from ..record.rundir import REQUESTS, run_dir, write_spec
from .queue import ORDERS
from .recovery import heard_elsewhere

if TYPE_CHECKING:
    from .service import Supervisor

Spec = TypeVar("Spec")

RESUMABLE = ("paused", "stopped")
RETRIABLE = ("failed", "stopped", "cancelled", "paused")
LEAVING_SECONDS = 1.5
WORDS = {"stop": "stopped", "pause": "paused", "cancel": "cancelled"}
"""Status of a queued run after each request to leave."""


def heed(supervisor: Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request says and return the answer. ShrunkError for one that this version does not know."""
    action = request["action"]
    if action == "submit":
        return _submit(supervisor, request)
    if action == "submit-cells":
        return _submit_cells(supervisor, request)
    acts: dict[str, Callable[[Supervisor, str], str]] = {
        "stop": lambda s, r: _leave(s, r, "stop"),
        "pause": lambda s, r: _leave(s, r, "pause"),
        "cancel": _cancel,
        "resume": lambda s, r: _again(s, r, RESUMABLE, "resumed"),
        "retry": lambda s, r: _again(s, r, RETRIABLE, "retry"),
        "prioritise": lambda s, r: _prioritise(s, r, int(request["priority"])),
    }
    if action not in acts:
        raise ShrunkError(f"this supervisor does not know `{action}`; restart it with this version")
    supervisor.look()
    done, left = [], {}
    for run_id in request["run_ids"]:
        refusal = acts[action](supervisor, run_id)
        if refusal:
            left[run_id] = refusal
        else:
            done.append(run_id)
    return {"done": done, "left": left}


def _submit(supervisor: Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    """Write the specs of runs that are new, and queue those that are neither finished nor under way."""
    ids, names, spent = [], [], 0
    entries = request["runs"]
    specs = _understood(from_dict, [entry["spec"] for entry in entries])
    for entry, spec in zip(entries, specs, strict=True):
        write_spec(supervisor.lab, spec, name=entry["name"], grid=request["grid"], costs=entry["costs"])
        ids.append(spec.run_id)
        names.append(entry["name"])
    supervisor.look()
    spent = sum(supervisor.watch.standings[r].flops for r in ids)
    order = request.get("order") or supervisor.settings.order
    if order not in ORDERS:
        raise ShrunkError(f"no order `{order}`; one of {', '.join(ORDERS)}")
    supervisor.journal.append(
        GridSubmitted(
            grid=request["grid"],
            run_ids=tuple(ids),
            names=tuple(names),
            toml=request["toml"],
            order=order,
            hours=float(request.get("hours") or 0.0),
            flops=float(request.get("flops") or 0.0),
            flops_before=float(spent),
        )
    )
    queued = _enqueue_missing(supervisor, ids, request["grid"])
    if request.get("slots"):
        supervisor.resize(max(0, int(request["slots"])))
    return {"run_ids": ids, "queued": queued, "slots": supervisor.num_slots()}


def _submit_cells(supervisor: Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    """Write the specs of downstream cells that are new, and queue those that are neither finished nor under way."""
    ids = []
    for spec in _understood(cell_from_dict, request["cells"]):
        write_cell(supervisor.lab, spec)
        ids.append(spec.job_id)
    return {"job_ids": ids, "queued": _enqueue_missing(supervisor, ids, "")}


def _understood(read: Callable[[dict[str, Any]], Spec], entries: list[dict[str, Any]]) -> list[Spec]:
    """All specs of a request, before anything is written. ShrunkError when one is of another version of shrunk-tui."""
    try:
        return [read(entry) for entry in entries]
    except (KeyError, TypeError, AttributeError) as problem:
        raise ShrunkError(
            f"this supervisor cannot read what was submitted ({problem}): it is of another version of shrunk-tui than you. "
            "Wait until its work is done, or end it; the next command starts one of your version"
        ) from None


def _enqueue_missing(supervisor: Supervisor, ids: list[str], grid: str) -> list[str]:
    """Queue what is neither finished nor under way and return it."""
    supervisor.look()
    queued = []
    for run_id in ids:
        if run_id in supervisor.queue or supervisor.watch.status(run_id).status == "finished":
            continue
        if supervisor.job_of(run_id) is not None:
            if _after_leaving(supervisor, run_id, "submitted", grid):
                queued.append(run_id)
            continue
        if heard_elsewhere(supervisor, run_id):
            continue  # `recover` queues it when that worker has fallen silent
        supervisor.forgive(run_id)
        supervisor.enqueue(run_id, "submitted", grid=grid)
        queued.append(run_id)
    return queued


def _leave(supervisor: Supervisor, run_id: str, request: str) -> str:
    """Take a queued run out, or ask its worker to leave. Returns why nothing was done, or an empty string."""
    if run_id in supervisor.queue:
        supervisor.dequeue(run_id, WORDS[request], f"{WORDS[request]} before it began")
        return ""
    if supervisor.job_of(run_id) is not None:
        supervisor.again.discard(run_id)
        control = run_dir(supervisor.lab, run_id).control
        control.mkdir(exist_ok=True)
        for other in REQUESTS:
            if other != request:
                (control / other).unlink(missing_ok=True)
        (control / request).touch()
        return ""
    return f"is {supervisor.watch.status(run_id).status}"


def _cancel(supervisor: Supervisor, run_id: str) -> str:
    refusal = _leave(supervisor, run_id, "cancel")
    status = supervisor.watch.status(run_id).status
    if refusal and status in ("paused", "stopped", "failed"):
        supervisor.journal.append(RunDequeued(run_id=run_id, status="cancelled", message=""))
        return ""
    return refusal


def _again(supervisor: Supervisor, run_id: str, statuses: tuple[str, ...], reason: str) -> str:
    """Queue a run again, at once or when the worker that was asked to leave has left."""
    if run_id in supervisor.queue:
        supervisor.queue.add(supervisor.queue.places[run_id])  # whatever held it back holds it no longer
        return "is queued"
    if supervisor.job_of(run_id) is not None:
        # a run that has just finished holds its slot until its worker is gone
        return "" if _after_leaving(supervisor, run_id, reason) else f"is {supervisor.watch.status(run_id).status}"
    status = supervisor.watch.status(run_id).status
    if status not in statuses:
        return f"is {status}"
    supervisor.forgive(run_id)
    supervisor.enqueue(run_id, reason)
    return ""


def _after_leaving(supervisor: Supervisor, run_id: str, reason: str, grid: str = "") -> bool:
    """True if the run's worker was asked to leave: the run is queued again, and starts when that process is gone.

    Waits a moment for the worker's last word, so that "queued" comes after it in the logs and stands.
    """
    control = run_dir(supervisor.lab, run_id).control
    if not any((control / name).exists() for name in REQUESTS):
        return False
    until = time.monotonic() + LEAVING_SECONDS
    while supervisor.watch.standing(run_id).log.state == "running" and time.monotonic() < until:
        time.sleep(0.02)
        supervisor.look()
    if supervisor.watch.standing(run_id).log.state == "running":
        supervisor.again.add(run_id)  # a long evaluation or a slow disk: when its process has ended
    else:
        supervisor.enqueue(run_id, reason, grid=grid)
    return True


def _prioritise(supervisor: Supervisor, run_id: str, priority: int) -> str:
    status = supervisor.watch.status(run_id).status
    if status == "finished":
        return "is finished"
    supervisor.journal.append(RunPrioritised(run_id=run_id, priority=priority, logged_at=time.time()))
    supervisor.look()
    if run_id in supervisor.queue:
        supervisor.queue.add(supervisor.place(run_id))
    return ""
