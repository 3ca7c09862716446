"""The lab's supervisor: `python -P -m shrunk_core.engine.supervisor LAB [--slots N]`. One a lab, detached, no torch.

It takes requests from its desk, keeps a queue, builds missing corpora, fills slots with workers, reaps them and requeues
runs whose worker was killed. Everything it decides is an event in its journal; what it must remember after its own death
it reads back from there.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config.cell import cell_from_dict
from ..config.lab import LabSettings, read_settings
from ..config.spec import RunSpec, from_dict
from ..errors import ShrunkError
from ..record.celldir import write_cell
from ..record.events import (
    GridSubmitted,
    RunDequeued,
    RunLaunched,
    RunQueued,
    RunReaped,
    SupervisorStarted,
    SupervisorStopped,
)
from ..record.journal import open_journal
from ..record.lock import FileLock
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
    write_spec,
)
from ..record.status import WORKER_DIED
from .desk import Desk
from .gate import gate_of
from .hardware import cores, worker_devices
from .launcher import Child, Launcher, LocalLauncher
from .prepare import is_built, result_file
from .standing import Watch

TICK_SECONDS = 0.05
HEARTBEAT_SECONDS = 2.0
MOST_DEATHS = 3
"""A worker that was killed this often without reaching a further checkpoint is not started again."""

WORKER = "shrunk_core.engine.worker"
PREPARE = "shrunk_core.engine.prepare"


@dataclass
class Job:
    """What occupies a slot: a worker of a run, an adopted worker, or the building of a corpus (`run_id` empty)."""

    run_id: str
    child: Child | None
    process: Process | None = None
    request: Path | None = None


class Supervisor:
    """State of a serving supervisor. `serve()` is the loop; one turn of it is `turn()`."""

    def __init__(self, lab: Path, settings: LabSettings, launcher: Launcher, slots: int) -> None:
        self.lab, self.settings, self.launcher, self.desk = lab, settings, launcher, Desk(lab)
        self.devices = worker_devices()
        self.slots: dict[str, Job | None] = {f"slot:{i}": None for i in range(slots)}
        self.queue: list[str] = []
        self.watch = Watch(lab, cells=True)
        self.journal = open_journal(lab)
        self.deaths: dict[str, tuple[int, int]] = {}
        self._specs: dict[str, SpecFile] = {}
        self.leaving = False
        self._busy_at = self._beat_at = time.monotonic()

    def recover(self) -> None:
        """Take up what an earlier supervisor left: queued runs, workers that still live, runs whose worker has died.

        Does nothing to what is known already, so it is called again with every heartbeat: a worker that was starting
        when its supervisor was killed shows up, or is found dead, a while later.
        """
        self.watch.look()
        held = set(self.queue) | {job.run_id for job in self.slots.values() if job}
        left = [item for item in self.watch.standings.items() if item[0] not in held]
        for run_id, standing in sorted(left, key=lambda item: item[1].queue.logged_at):
            status = self.watch.status(run_id)
            worker = standing.log.worker
            if status.status == "queued":
                self.queue.append(run_id)
            elif status.status == "running" and worker is not None and worker.alive():
                self._adopt(Job(run_id=run_id, child=None, process=worker))
            elif status.status == "stopped" and status.reason.startswith(WORKER_DIED):
                self._enqueue(run_id, "worker-died")

    def _spec(self, job_id: str) -> SpecFile:
        """The spec of a run, or of the run that a cell belongs to."""
        run_id = parent_of(job_id)
        if run_id not in self._specs:
            self._specs[run_id] = read_spec(run_dir(self.lab, run_id))
        return self._specs[run_id]

    def _adopt(self, job: Job) -> None:
        free = next((s for s, j in self.slots.items() if j is None), None) or f"adopted:{len(self.slots)}"
        self.slots[free] = job

    def serve(self) -> None:
        """Work until a signal, or until nothing was queued or running for the lab's `idle_seconds`."""
        me = this_process()
        self.journal.append(SupervisorStarted(host=me.host, pid=me.pid, slots=len(self.slots)))
        self.recover()
        reason = "signal"
        while not self.leaving:
            self.turn()
            if self.queue or any(self.slots.values()) or self.desk.waiting():
                self._busy_at = time.monotonic()
            elif time.monotonic() - self._busy_at > self.settings.idle_seconds:
                reason = "idle"
                break
            time.sleep(TICK_SECONDS)
        if reason == "signal":
            self._send_home()
        self.journal.append(SupervisorStopped(host=me.host, pid=me.pid, reason=reason))

    def turn(self) -> None:
        """Heed requests, reap, fill slots, beat."""
        for name, request in self.desk.take():
            try:
                self.desk.answer(name, self._heed(request))
            except ShrunkError as problem:
                self.desk.answer(name, {"error": str(problem)})
        self._reap()
        self._fill()
        if time.monotonic() - self._beat_at > HEARTBEAT_SECONDS:
            self.recover()
            self.beat()

    def beat(self) -> None:
        """Renew the lock's owner file."""
        self._beat_at = time.monotonic()
        write_atomically(self.desk.owner, json.dumps(asdict(this_process()) | {"heartbeat": time.time()}))

    # ------------------------------------------------------------ requests

    def _heed(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["action"]:
            case "submit":
                return self._submit(request)
            case "submit-cells":
                return self._submit_cells(request)
            case "stop":
                return {"stopped": self._stop(request["run_ids"])}
            case "shutdown":
                self.leaving = True
                return {}
        raise ShrunkError(f"this supervisor does not know `{request['action']}`; restart it with this version")

    def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write the specs of runs that are new, and queue those that are neither finished nor under way."""
        ids, names = [], []
        for entry in request["runs"]:
            spec = from_dict(entry["spec"])
            write_spec(self.lab, spec, name=entry["name"], grid=request["grid"], costs=entry["costs"])
            ids.append(spec.run_id)
            names.append(entry["name"])
        self.journal.append(
            GridSubmitted(grid=request["grid"], run_ids=tuple(ids), names=tuple(names), toml=request["toml"])
        )
        queued = self._enqueue_missing(ids)
        if request.get("slots"):
            self._resize(int(request["slots"]))
        return {"run_ids": ids, "queued": queued, "slots": len(self.slots)}

    def _submit_cells(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write the specs of downstream cells that are new, and queue those that are neither finished nor under way."""
        ids = []
        for entry in request["cells"]:
            spec = cell_from_dict(entry)
            write_cell(self.lab, spec)
            ids.append(spec.job_id)
        return {"job_ids": ids, "queued": self._enqueue_missing(ids)}

    def _enqueue_missing(self, ids: list[str]) -> list[str]:
        self.watch.look()
        queued = []
        for run_id in ids:
            if run_id in self.queue or self.watch.status(run_id).status in ("finished", "running"):
                continue
            self._enqueue(run_id, "submitted")
            queued.append(run_id)
        return queued

    def _resize(self, slots: int) -> None:
        """More or fewer slots; a slot that is taken goes when its job has ended."""
        for i in range(slots):
            self.slots.setdefault(f"slot:{i}", None)
        for name in [n for n, job in self.slots.items() if job is None][::-1]:
            if len(self.slots) > slots:
                del self.slots[name]

    def _enqueue(self, run_id: str, reason: str) -> None:
        for name in REQUESTS:
            (run_dir(self.lab, run_id).control / name).unlink(missing_ok=True)
        grid = self._spec(run_id).grid
        self.journal.append(RunQueued(run_id=run_id, grid=grid, reason=reason))
        self.queue.append(run_id)

    def _stop(self, run_ids: list[str]) -> list[str]:
        """Take queued runs out and ask workers to leave with a checkpoint."""
        touched = []
        for run_id in run_ids:
            if run_id in self.queue:
                self.queue.remove(run_id)
                self.journal.append(RunDequeued(run_id=run_id, status="stopped", message="stopped before it began"))
                touched.append(run_id)
        for job in self.slots.values():
            if job and job.run_id in run_ids:
                control = run_dir(self.lab, job.run_id).control
                control.mkdir(exist_ok=True)
                (control / "stop").touch()
                touched.append(job.run_id)
        return touched

    # ------------------------------------------------------------ slots

    def _fill(self) -> None:
        """Give free slots to the first runs whose corpus is there, or to the building of one that is missing."""
        building = {job.request.name for job in self.slots.values() if job and job.request}
        for slot in [s for s, job in self.slots.items() if job is None]:
            waiting: set[str] = set()
            held = {job.run_id for job in self.slots.values() if job}
            for run_id in [r for r in self.queue if r not in held]:  # a worker that has left may not be reaped yet
                if is_cell(run_id) and not self._cell_may_start(run_id):
                    continue
                if self._spec(run_id).spec.tokenizer_fingerprint in waiting:
                    continue
                spec = self._spec(run_id).spec
                if is_built(self.lab, spec):
                    self.queue.remove(run_id)
                    self._launch(slot, run_id)
                    break
                request = self._prepare_request(spec)
                if request.name not in building:
                    building.add(request.name)
                    self._prepare(slot, spec, request)
                    break
                waiting.add(spec.tokenizer_fingerprint)

    def _cell_may_start(self, job_id: str) -> bool:
        """False while the cell's run has yet to give its checkpoint, and when it never will: then the cell fails here."""
        parent = parent_of(job_id)
        under_way = parent in self.queue or any(job and job.run_id == parent for job in self.slots.values())
        gate = gate_of(self.lab, job_id, self.watch.status(parent), under_way=under_way)
        if gate.refusal:
            self.queue.remove(job_id)
            self.journal.append(RunDequeued(run_id=job_id, status="failed", message=gate.refusal))
        return gate.open

    def _launch(self, slot: str, run_id: str) -> None:
        run = run_dir(self.lab, run_id)
        device = self.devices[int(slot.split(":")[1]) % len(self.devices)] if self.devices else ""
        child = self.launcher.start(
            WORKER, [str(run.path)], threads=self.settings.threads, device=device, log=run.worker_log
        )
        self.slots[slot] = Job(run_id=run_id, child=child)
        self.journal.append(RunLaunched(run_id=run_id, pid=child.pid, slot=slot))

    def _prepare_request(self, spec: RunSpec) -> Path:
        return self.desk.private / f"prepare-{spec.corpus_fingerprint}-{spec.tokenizer_fingerprint}.json"

    def _prepare(self, slot: str, spec: RunSpec, request: Path) -> None:
        write_atomically(request, json.dumps({"corpus": asdict(spec.corpus), "tokenizer": asdict(spec.tokenizer)}))
        result_file(request).unlink(missing_ok=True)
        child = self.launcher.start(
            PREPARE, [str(self.lab), str(request)], threads=cores(), device="", log=request.with_suffix(".log")
        )
        self.slots[slot] = Job(run_id="", child=child, request=request)

    def _reap(self) -> None:
        for slot, job in list(self.slots.items()):
            if job is None:
                continue
            if job.child is not None:
                code = job.child.poll()
                if code is None:
                    continue
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
                self._worker_ended(job, code)

    def _prepared(self, request: Path, code: int | None) -> None:
        """A corpus is built, or every run that waits for it fails with one message."""
        try:
            message = result_file(request).read_text()
        except FileNotFoundError:
            message = f"the process that built the corpus ended with code {code}; see {request.with_suffix('.log')}"
        if not message:
            for path in (request, result_file(request), request.with_suffix(".log")):
                path.unlink(missing_ok=True)
            return
        for run_id in list(self.queue):
            if self._prepare_request(self._spec(run_id).spec) == request:
                self.queue.remove(run_id)
                self.journal.append(RunDequeued(run_id=run_id, status="failed", message=message))

    def _worker_ended(self, job: Job, code: int | None) -> None:
        """Requeue a run whose worker died without a word; leave the others as their log says."""
        pid = job.child.pid if job.child else job.process.pid if job.process else 0
        self.journal.append(RunReaped(run_id=job.run_id, pid=pid, returncode=code))
        self.watch.look()
        state = self.watch.standings[job.run_id].log.state
        if state in ("finished", "failed", "left") or job.run_id in self.queue or self.leaving:
            return
        saved = len(list(run_dir(self.lab, job.run_id).checkpoints.glob("update-*")))
        update = self.watch.standings[job.run_id].update
        deaths, before = self.deaths.get(job.run_id, (0, -1))
        deaths = deaths + 1 if update <= before or not saved else 1
        self.deaths[job.run_id] = (deaths, update)
        if deaths >= MOST_DEATHS:
            message = f"its worker died {deaths} times without getting further (exit {code}); see worker.log"
            self.journal.append(RunDequeued(run_id=job.run_id, status="failed", message=message))
        else:
            self._enqueue(job.run_id, "worker-died")

    def _send_home(self) -> None:
        """Ask all workers to leave with a checkpoint, wait up to 10 s, and keep their runs queued for the next start."""
        for job in self.slots.values():
            if job and job.child:
                job.child.signal(signal.SIGTERM)
        until = time.monotonic() + 10.0
        while time.monotonic() < until and any(j and j.child and j.child.poll() is None for j in self.slots.values()):
            time.sleep(TICK_SECONDS)


def main(arguments: list[str]) -> int:
    """Serve a lab until idle. Exit 3 when another supervisor serves it."""
    lab = Path(arguments[0])
    desk = Desk(lab)
    lock = FileLock(desk.lock)
    if not lock.take(seconds=0.2):
        print(
            f"{lab} is served by {desk.owner.read_text() if desk.owner.exists() else 'another process'}",
            file=sys.stderr,
        )
        return 3
    try:
        settings = read_settings(lab)
        supervisor = Supervisor(lab, settings, LocalLauncher(), settings.slots or len(worker_devices()) or cores())
        signal.signal(signal.SIGTERM, lambda *_: setattr(supervisor, "leaving", True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.beat()
        supervisor.serve()
        return 0
    except Exception as problem:
        if not isinstance(problem, ShrunkError):
            traceback.print_exc()
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {problem}", file=sys.stderr)
        return 1
    finally:
        desk.owner.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
