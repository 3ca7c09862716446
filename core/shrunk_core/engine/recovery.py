"""What a supervisor takes up that an earlier one left: queued runs, workers that still live, runs whose worker has died."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..record.lock import is_locked
from ..record.rundir import parent_of, run_dir
from ..record.status import WORKER_DIED

if TYPE_CHECKING:
    from .service import Supervisor

FOREIGN_SILENCE_SECONDS = 120.0
"""After a take-over, a worker of the other host counts as lost when its log has been silent for so long."""


def recover(supervisor: Supervisor) -> None:
    """Put every run that is under way, by the logs, where it belongs: in the queue or in a slot.

    Does nothing to what is known already, so it is called again with every heartbeat: a worker that was starting when
    its supervisor was killed shows up, or is found dead, a while later.
    """
    watch = supervisor.watch
    supervisor.look()
    held = {job.run_id for job in supervisor.jobs()}
    left = [
        (run_id, standing)
        for run_id, standing in watch.standings.items()
        if standing.log.state != "finished"
        and run_id not in supervisor.queue
        and run_id not in held
        and parent_of(run_id) in watch.born  # the folder of a run may be gone, whatever the journals say of it
    ]
    for run_id, standing in sorted(left, key=lambda item: item[1].queue.logged_at):
        status, worker = watch.status(run_id), standing.worker
        if status.status == "queued":
            supervisor.queue.add(supervisor.place(run_id))
        elif worker is not None and worker.foreign():
            if not heard_elsewhere(supervisor, run_id):
                supervisor.enqueue(run_id, "worker-lost")
        elif status.status == "running" and worker is not None:
            supervisor.adopt(run_id, worker)
        elif status.reason.startswith(WORKER_DIED) and not _held(supervisor, run_id):
            supervisor.look()  # it may have said its last word after the look above, and ended before we asked for it
            if watch.status(run_id).reason.startswith(WORKER_DIED):
                supervisor.enqueue(run_id, "worker-died")


def heard_elsewhere(supervisor: Supervisor, run_id: str) -> bool:
    """True while a worker of another host, from before a take-over, still writes the run's log."""
    standing = supervisor.watch.standing(run_id)
    worker = standing.worker
    if worker is None or not worker.foreign():
        return False
    return time.time() - max(standing.heard_at, standing.queue.logged_at) <= FOREIGN_SILENCE_SECONDS


def _held(supervisor: Supervisor, run_id: str) -> bool:
    """True if some process holds the run all the same: its pid and start time may mislead, its lock does not."""
    return is_locked(run_dir(supervisor.lab, run_id).path / "worker.lock")
