"""The lab's supervisor as an object: its queue, its slots, its jobs. `supervisor` is the program around it.

It takes requests from its desk, keeps a queue, builds missing corpora, fills slots with workers, reaps them and requeues
runs whose worker was killed. Everything it decides is an event in its journal; what it must remember after its own death
it reads back from there.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from ..config.lab import LabSettings
from ..errors import ConfigError, ShrunkError
from ..record.events import (
    RunDequeued,
    RunLaunched,
    RunQueued,
    SupervisorStarted,
    SupervisorStopped,
)
from ..record.rundir import (
    REQUESTS,
    Process,
    SpecFile,
    is_cell,
    parent_of,
    read_spec,
    run_dir,
    this_process,
    write_atomically,
)
from .actions import heed
from .builds import outcome, request_of, start_build
from .desk import Desk
from .duties import Duties
from .endings import worker_ended
from .estimate import estimated_seconds
from .gate import gate_of
from .hardware import CPU, cores, match, worker_devices
from .job import Job
from .launcher import LOST, Launcher
from .machine import read_machine
from .packing import device_for, devices_for, grow_or_shrink
from .patience import PatientJournal, disk_trouble
from .prepare import is_built
from .queue import Place, Queue
from .recovery import recover
from .slots import Experience
from .watch import Watch

TICK_SECONDS = 0.05
HEARTBEAT_SECONDS = 2.0
LEAVING_SECONDS = 10.0
"""Workers that are sent home have so long for their checkpoints."""
TROUBLE_SECONDS = 1.0
"""Between two tries to write a disk that takes nothing."""
WORKER = "shrunk_core.engine.worker"


class Supervisor:
    """State of a serving supervisor. `serve()` is the loop; one turn of it is `turn()`."""

    def __init__(self, lab: Path, settings: LabSettings, launcher: Launcher, slots: int) -> None:
        self.lab, self.settings, self.launcher, self.desk = lab, settings, launcher, Desk(lab)
        self.devices = worker_devices()
        self.auto = slots == 0
        self.slots: dict[str, Job | None] = {f"slot:{i}": None for i in range(slots or self._natural())}
        self.experience = Experience(self.desk.private / "packing.json")
        self.duties = Duties(lab, settings)
        self.epoch = self.desk.epoch()
        self.queue = Queue()
        self.watch = Watch(lab, cells=True)
        self.journal = PatientJournal(lab)
        self.again: set[str] = set()
        self.deaths: dict[str, tuple[int, int]] = {}
        self.failures: dict[str, int] = {}
        self.stopping: dict[str, str] = {}
        """Why runs were asked to leave that nobody but the supervisor wanted to."""
        self._specs: dict[str, SpecFile] = {}
        self.leaving, self.trouble = False, ""
        self._told: list[str] | None = None
        self._taken = 0
        self.held_up: tuple[str, float] | None = None
        """The first run that no device takes while nothing works, and since when (monotonic clock)."""
        self.duties.monitor.sample([])  # no device is given away unseen
        self._busy_at = self._beat_at = time.monotonic()

    def _natural(self) -> int:
        """Slots when nobody says: one a GPU to begin with, else as many as there are cores for."""
        return len(self.devices) or max(1, cores() // self.settings.threads)

    def look(self) -> None:
        """Read what is new in all logs. Every look goes through here, because what one has read no later one tells again."""
        self.duties.heard(self, self.watch.look())

    def spec_of(self, job_id: str) -> SpecFile:
        """The spec of a run, or of the run that a cell belongs to."""
        run_id = parent_of(job_id)
        if run_id not in self._specs:
            self._specs[run_id] = read_spec(run_dir(self.lab, run_id))
        return self._specs[run_id]

    def adopt(self, run_id: str, worker: Process) -> None:
        """Take over a live worker that an earlier supervisor started. What it has logged before it was launched is not
        its word."""
        standing = self.watch.standing(run_id)
        launched_at = standing.queue.logged_at if standing.queue.state == "launched" else 0.0
        free = next((s for s, j in self.slots.items() if j is None), None) or f"adopted:{len(self.slots)}"
        device = match(standing.device_uuid, list(self.devices)) or standing.device_uuid
        self.slots[free] = Job(run_id=run_id, child=None, process=worker, launched_at=launched_at, device=device)

    def serve(self) -> None:
        """Work until a signal, or until nothing was queued or running for the lab's `idle_seconds`."""
        me = this_process()
        self.journal.append(SupervisorStarted(host=me.host, pid=me.pid, slots=len(self.slots)))
        recover(self)
        reason = "signal"
        while not self.leaving:
            self.turn_or_wait()
            if self.queue or any(self.slots.values()) or self.desk.waiting():
                self._busy_at = time.monotonic()
            elif time.monotonic() - self._busy_at > self.settings.idle_seconds:
                reason = "idle"
                break
            self.launcher.wait(TICK_SECONDS)
        if reason == "signal":
            self._send_home()
        self.launcher.close()
        self.duties.close(self)
        self.journal.append(SupervisorStopped(host=me.host, pid=me.pid, reason=reason))

    def turn_or_wait(self) -> None:
        """One turn; none while the disk takes nothing. What a broken turn left undone is found again by `recover`."""
        try:
            if self.journal.flush():
                self.turn()
                self._tell_trouble("")
                return
            trouble = self.journal.trouble
        except (OSError, ShrunkError) as problem:
            trouble = disk_trouble(problem)
            if not trouble:
                raise
        self._tell_trouble(trouble)
        time.sleep(TROUBLE_SECONDS)

    def _tell_trouble(self, trouble: str) -> None:
        """Say once that the disk takes nothing, and once that it does again."""
        if trouble == self.trouble:
            return
        self.trouble = trouble
        said = f"cannot be written ({trouble}); waiting" if trouble else "can be written again"
        with contextlib.suppress(OSError):  # its own log may be on that disk
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self.lab} {said}", file=sys.stderr, flush=True)
        self.duties.tell_trouble(self, trouble)

    def turn(self) -> None:
        """Heed requests, reap, fill slots, beat."""
        asked = self.desk.take()
        for name, request in asked:
            try:
                self.desk.answer(name, heed(self, request))
            except ShrunkError as problem:
                self.desk.answer(name, {"error": str(problem)})
        if asked:
            self.tell_order()  # whoever asked looks next
        self._reap()
        self._fill()
        if time.monotonic() - self._beat_at > HEARTBEAT_SECONDS:
            recover(self)
            self.watch.keep()
            self.beat()
            self.duties.beat(self)
        elif self._taken != len(self.jobs()):
            self.claim()

    def beat(self) -> None:
        """Renew the lock's owner file."""
        self._beat_at = time.monotonic()
        self.claim()
        if not self.leaving:
            self.tell_order()

    def claim(self) -> None:
        """Write down whose the lab is, and how its slots and the machine stand; leave when it is somebody else's."""
        if self.desk.epoch() != self.epoch:  # taken over from another host: what is left of ours goes home
            self.leaving = True
            return
        self._taken = len(self.jobs())
        claim = asdict(this_process()) | {"heartbeat": time.time(), "slots": len(self.slots), "taken": self._taken}
        write_atomically(self.desk.owner, json.dumps(claim | {"devices": self.duties.monitor.told()}))

    def tell_order(self) -> None:
        """Write down who waits in which order, if that has changed."""
        order = self.queue.in_order()
        if order != self._told:
            write_atomically(self.desk.order, json.dumps(order))
            self._told = list(order)

    # ------------------------------------------------------------ the queue

    def job_of(self, run_id: str) -> Job | None:
        """What works on a run now."""
        return next((job for job in self.slots.values() if job and job.run_id == run_id), None)

    def place(self, run_id: str) -> Place:
        """A run's place in the queue, from what the journals say of it."""
        spec, standing = self.spec_of(run_id), self.watch.standing(run_id)
        grid = self.watch.grids.get(standing.grid or spec.grid)
        return Place(
            run_id=run_id,
            priority=standing.priority,
            submitted_at=grid.logged_at if grid else 0.0,
            order=grid.order if grid else self.settings.order,
            seed=spec.spec.seed,
            number=grid.run_ids.index(run_id) if grid and run_id in grid.run_ids else 0,
            seconds=round(estimated_seconds(spec.spec.model, spec.spec.train, read_machine(self.lab)), 1),
        )

    def enqueue(self, run_id: str, reason: str, *, grid: str = "", seconds: float = 0.0) -> None:
        """Let a run wait for a slot, but not take one before `seconds` have passed."""
        for name in REQUESTS:
            (run_dir(self.lab, run_id).control / name).unlink(missing_ok=True)
        grid = grid or self.watch.standing(run_id).grid or self.spec_of(run_id).grid
        self.journal.append(RunQueued(run_id=run_id, grid=grid, reason=reason))
        self.look()
        self.queue.add(self.place(run_id), until=time.monotonic() + seconds)

    def dequeue(self, run_id: str, status: str, message: str) -> None:
        """Take a run out of the queue."""
        self.queue.remove(run_id)
        self.journal.append(RunDequeued(run_id=run_id, status=status, message=message))

    def forgive(self, run_id: str) -> None:
        """A person wants the run again: its deaths and failures so far count no more."""
        self.deaths.pop(run_id, None)
        self.failures.pop(run_id, None)

    def jobs(self) -> list[Job]:
        """Everything that occupies a slot."""
        return [job for job in self.slots.values() if job]

    def stop_all(self, run_ids: list[str], message: str) -> None:
        """Take these runs out of the queue with a message, and ask their workers to leave with checkpoints."""
        for run_id in run_ids:
            if run_id in self.queue:
                self.dequeue(run_id, "stopped", message)
            elif self.job_of(run_id):
                control = run_dir(self.lab, run_id).control
                control.mkdir(exist_ok=True)
                (control / "stop").touch()
                self.stopping[run_id] = message

    def num_slots(self) -> int:
        return len(self.slots)

    def resize(self, slots: int) -> None:
        """More or fewer slots, 0 for as many as the machine takes well; one that is taken goes when its job has ended."""
        self.auto = slots == 0
        slots = slots or self._natural()
        for i in range(slots):
            self.slots.setdefault(f"slot:{i}", None)
        for name in [n for n, job in self.slots.items() if job is None][::-1]:
            if len(self.slots) > slots:
                del self.slots[name]

    # ------------------------------------------------------------ slots

    def _fill(self) -> None:
        """Give free slots to the first runs whose corpus is there, or to the building of one that is missing."""
        building = {job.request.name for job in self.slots.values() if job and job.request}
        if self.auto and self.devices and self.queue:
            grow_or_shrink(self)
        if self.queue:
            self.launcher.ready()  # it may warm up while a corpus is built
        held_up: str | None = None
        for slot in [s for s, job in self.slots.items() if job is None]:
            waiting: set[str] = set()
            taken: set[bool] = set()  # of GPUs, of the processor: the first in the queue waits, those behind it as well
            held = {job.run_id for job in self.slots.values() if job}
            ready = self.queue.ready(time.monotonic())
            for run_id in [r for r in ready if r not in held]:  # a worker that has left may not be reaped yet
                if is_cell(run_id) and not self._cell_may_start(run_id):
                    continue
                spec = self.spec_of(run_id).spec
                try:
                    on_host = devices_for(self, spec.train.device) == (CPU,)
                except ConfigError as problem:
                    self.dequeue(run_id, "failed", str(problem))
                    continue
                if spec.tokenizer_fingerprint in waiting or on_host in taken:
                    continue
                if is_built(self.lab, spec):
                    if not self.launcher.ready():
                        break  # the spare worker warms up
                    device = device_for(self, run_id)
                    if device is None:
                        taken.add(on_host)
                        held_up = held_up or run_id
                        continue
                    self.queue.remove(run_id)
                    self._launch(slot, run_id, "" if device == CPU else device)
                    break
                request = request_of(self.desk, spec)
                if request.name not in building:
                    building.add(request.name)
                    self.slots[slot] = Job(
                        run_id="", child=start_build(self.launcher, self.lab, spec, request), request=request
                    )
                    break
                waiting.add(spec.tokenizer_fingerprint)
        if held_up is None or any(self.slots.values()):
            self.held_up = None
        else:
            self.held_up = held_up, self.held_up[1] if self.held_up else time.monotonic()

    def _cell_may_start(self, job_id: str) -> bool:
        """False while the cell's run has yet to give its checkpoint, and when it never will: then the cell fails here."""
        parent = parent_of(job_id)
        under_way = parent in self.queue or any(job and job.run_id == parent for job in self.slots.values())
        gate = gate_of(self.lab, job_id, self.watch.status(parent), under_way=under_way)
        if gate.refusal:
            self.queue.remove(job_id)
            self.journal.append(RunDequeued(run_id=job_id, status="failed", message=gate.refusal))
        return gate.open

    def _launch(self, slot: str, run_id: str, device: str = "") -> None:
        run, now = run_dir(self.lab, run_id), time.time()  # a fast worker speaks before we hear that it was started
        child = self.launcher.start(
            WORKER, [str(run.path)], threads=self.settings.threads, device=device, log=run.worker_log
        )
        self.slots[slot] = Job(run_id=run_id, child=child, launched_at=now, device=device)
        self.journal.append(
            RunLaunched(
                run_id=run_id,
                pid=child.pid,
                slot=slot,
                host=child.process.host,
                process_started_at=child.process.started_at,
                device=device or "cpu",
                logged_at=now,
            )
        )

    def _reap(self) -> None:
        for slot, job in list(self.slots.items()):
            if job is None:
                continue
            if job.child is not None:
                code = job.child.poll()
                if code is None:
                    continue
                code = None if code == LOST else code
            elif job.process is not None and job.process.alive():
                continue
            else:
                code = None  # an adopted worker cannot be waited on; its log says how it ended
            self.slots[slot] = None
            if slot.startswith("adopted"):
                del self.slots[slot]
            if job.request is not None:
                self._prepared(job.request, code)
            else:
                worker_ended(self, job, code)

    def _prepared(self, request: Path, code: int | None) -> None:
        """A corpus is built, or every run that waits for it fails with one message."""
        message = outcome(request, code)
        for run_id in self.queue.in_order() if message else []:
            if request_of(self.desk, self.spec_of(run_id).spec) == request:
                self.dequeue(run_id, "failed", message)

    def _send_home(self) -> None:
        """Ask all workers to leave with a checkpoint, wait up to 10 s, and keep their runs queued for the next start."""
        jobs = self.jobs()
        for job in jobs:
            job.signal(signal.SIGTERM)
        until = time.monotonic() + LEAVING_SECONDS
        while time.monotonic() < until and any(not job.ended() for job in jobs):
            time.sleep(TICK_SECONDS)
        if self.desk.epoch() != self.epoch:
            return  # the queue is another supervisor's now
        self.look()
        for job in jobs:
            word = self.watch.standing(job.run_id).log
            if job.run_id and word.state == "left" and word.reason == "signal" and word.logged_at >= job.launched_at:
                self.enqueue(job.run_id, "interrupted")
