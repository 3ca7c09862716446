"""What a supervisor does beside its queue, every heartbeat: sample the machine, notice what needs a person, keep budgets."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.lab import LabSettings
from ..errors import RunError
from ..record.eventlog import EventWriter
from ..record.events import CheckpointSaved, Event, Finished, GridSubmitted, Step
from ..record.journal import SAMPLES, open_journal
from ..record.lab_events import Alert
from ..record.rundir import is_cell
from .alerts import Alerts
from .budget import Spent, exceeded
from .hardware import CPU
from .monitor import HostSampler, Load, Monitor, NvmlSampler
from .notifying import Notifier
from .packing import Learner, expected_speed, why_waiting
from .quota import beyond_quota
from .slots import reading_of

if TYPE_CHECKING:
    from .service import Supervisor

QUOTA_SECONDS = 5.0
"""Between two looks at what checkpoints hold, at least."""

NO_ROOM_SECONDS = 60.0
"""A queue that nothing of is running and that no device takes is worth a word after so long."""

FINISHING = ("finished", "failed", "stopped", "paused", "cancelled")


class Duties:
    """Called by the supervisor with what is new in the logs, and with every heartbeat."""

    def __init__(self, lab: Path, settings: LabSettings) -> None:
        self.settings = settings
        self.alerts = Alerts(settings)
        self.monitor = Monitor([HostSampler(lab), NvmlSampler()])
        self.lab = lab
        self._samples: EventWriter | None = None
        self._born = time.time()
        self._ended: set[str] = set()
        self._learner = Learner()
        self._notifier = Notifier(settings.notify)
        self._saved, self._looked_at_quota = True, 0.0

    def heard(self, supervisor: Supervisor, news: list[tuple[str, Event]]) -> None:
        """Alerts about what the runs' logs say now; what they said before this supervisor is no news."""
        out: list[Event] = []
        for run_id, event in news:
            if run_id and not is_cell(run_id) and event.logged_at >= self._born and not hasattr(event, "run_id"):
                out += self.alerts.news(run_id, event)
                if isinstance(event, Step):
                    self._learner.hear(run_id, event)
                self._saved = self._saved or isinstance(event, CheckpointSaved | Finished)
        self._say(supervisor, out)

    def beat(self, supervisor: Supervisor) -> None:
        """Sample the devices, look at the clock, stop grids whose budget is spent, tell of grids that have ended."""
        watch, loads = supervisor.watch, []
        running: dict[str, float] = {}
        for job in supervisor.jobs():
            if job.run_id:
                standing = watch.standing(job.run_id)
                process = standing.log.worker or (job.child.process if job.child else job.process)
                reading = reading_of(job.device or CPU, self.monitor.latest, standing.device_uuid)
                loads.append(
                    Load(
                        run_id=job.run_id,
                        device=reading.device if reading else job.device or CPU,
                        pid=process.pid if process and not process.foreign() else 0,
                        memory=standing.memory,
                    )
                )
                if not is_cell(job.run_id):
                    running[job.run_id] = expected_speed(supervisor, job.run_id)
        samples = self.monitor.sample(loads)
        try:
            self._samples = self._samples or open_journal(self.lab, SAMPLES)
            self._samples.append(*samples)
        except RunError:
            pass  # a disk that takes nothing costs measurements, not runs; the alert below tells of it
        self._learner.look(supervisor)
        disk = next((s.disk_free for s in samples if s.disk_free is not None), None)
        self._say(supervisor, self.alerts.look(running, time.time(), disk))
        self._hold_to_quota(supervisor)
        self._notifier.look()
        why, waiting = "", supervisor.held_up
        if waiting and time.monotonic() - waiting[1] > NO_ROOM_SECONDS:
            why = why_waiting(supervisor, waiting[0])
        self._say(supervisor, self.alerts.no_room(why))
        for grid in list(watch.grids.values()):
            self._grid(supervisor, grid)

    def tell_trouble(self, supervisor: Supervisor, trouble: str) -> None:
        """The disk takes nothing, or ("") does again. The event waits in memory; a person's command is run at once."""
        self._say(supervisor, self.alerts.unwritable(trouble))
        self._notifier.look()

    def _hold_to_quota(self, supervisor: Supervisor) -> None:
        """Remove checkpoints beyond the lab's quota after new ones were saved; say when that is not enough."""
        quota, now = self.settings.checkpoint_gigabytes * 1e9, time.monotonic()
        if not quota or not self._saved or now - self._looked_at_quota < QUOTA_SECONDS:
            return
        self._saved, self._looked_at_quota = False, now
        going, too_much = beyond_quota(self.lab, supervisor.watch, quota)
        for piece in going:
            shutil.rmtree(piece.path, ignore_errors=True)
        self._say(supervisor, self.alerts.quota(self.settings.checkpoint_gigabytes, too_much))

    def _grid(self, supervisor: Supervisor, grid: GridSubmitted) -> None:
        """Stop what is left of a grid whose budget is spent; say once that a grid of our time has ended."""
        watch = supervisor.watch
        at_work = {job.run_id for job in supervisor.jobs()}
        under_way = [r for r in grid.run_ids if r in supervisor.queue or r in at_work]
        key = f"{grid.grid} {grid.logged_at}"
        if under_way:
            self._ended.discard(key)
            spent = Spent(
                hours=(time.time() - grid.logged_at) / 3600,
                flops=sum(watch.standing(r).flops for r in grid.run_ids) - grid.flops_before,
            )
            message = exceeded(grid, spent)
            if message:
                supervisor.stop_all(under_way, message)
                if f"budget {key}" not in self._ended:
                    self._ended.add(f"budget {key}")
                    alert = Alert(alert="budget", severity="info", grid=grid.grid, message=message)
                    self._say(supervisor, [alert])
        elif key not in self._ended and grid.logged_at >= self._born:
            self._ended.add(key)
            statuses = [watch.status(r).status for r in grid.run_ids]
            tally = ", ".join(f"{statuses.count(s)} {s}" for s in FINISHING if s in statuses)
            self._say(supervisor, [Alert(alert="grid-finished", severity="info", grid=grid.grid, message=tally)])

    def _say(self, supervisor: Supervisor, events: list[Event]) -> None:
        """Log, and send alerts to the command of shrunk.toml."""
        for event in events:
            supervisor.journal.append(event)
            if isinstance(event, Alert):
                self._notifier.send(event)

    def close(self, supervisor: Supervisor) -> None:
        """The supervisor leaves: what is overdue is done now, since no later heartbeat does it."""
        self._looked_at_quota = 0.0
        self._hold_to_quota(supervisor)
        self._notifier.close()
        if self._samples is not None:
            self._samples.close()
