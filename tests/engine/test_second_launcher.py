"""Another launcher joins without a change to the queue, the lock or the events: jobs go through a spool folder to a batch
system of another kind, which starts them when it likes, and are polled by file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from shrunk_core.config.lab import read_settings
from shrunk_core.engine.client import pause, resume
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.launcher import Child
from shrunk_core.engine.service import Supervisor
from shrunk_core.engine.watch import read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import Finished, Left, RunLaunched
from shrunk_core.record.journal import read_journal
from shrunk_core.record.lock import FileLock
from shrunk_core.record.rundir import Process, run_dirs

from tests.tiny import shrunk, wait_for, write_grid

HOST = "batch-queue"


@dataclass
class SpoolChild:
    """A job by its number; which process it will be, and on which machine, only its own log will tell."""

    spool: Path
    number: int
    submitted_at: float

    @property
    def pid(self) -> int:
        return self.number

    @property
    def process(self) -> Process:
        return Process(host=HOST, pid=self.number, started_at=self.submitted_at)

    def poll(self) -> int | None:
        try:
            return int((self.spool / f"{self.number}.code").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def signal(self, number: int) -> None:
        (self.spool / f"{self.number}.signal").write_text(str(number))


class SpoolLauncher:
    """Submits by file, knows of processes nothing."""

    def __init__(self, spool: Path) -> None:
        self.spool, self.number = spool, 0

    def start(self, module: str, arguments: list[str], *, threads: int, device: str, log: Path) -> Child:
        self.number += 1
        job = {"module": module, "arguments": arguments, "threads": threads, "device": device, "log": str(log)}
        partial = self.spool / f".{self.number}"
        partial.write_text(json.dumps(job))
        partial.rename(self.spool / f"{self.number}.job")
        return SpoolChild(self.spool, self.number, time.time())

    def ready(self) -> bool:
        return True

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        return


class BatchSystem(threading.Thread):
    """Takes jobs one at a time from the spool folder, a while after they were submitted."""

    def __init__(self, spool: Path) -> None:
        super().__init__(daemon=True)
        self.spool, self.over = spool, False

    def run(self) -> None:
        while not self.over:
            waiting = sorted(self.spool.glob("*.job"), key=lambda p: int(p.stem))
            if not waiting:
                time.sleep(0.02)
                continue
            time.sleep(0.2)
            job = json.loads(waiting[0].read_text())
            with open(job["log"], "ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", job["module"], *job["arguments"]], stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": str(job["threads"])},
                )  # fmt: skip
            signals = waiting[0].with_suffix(".signal")
            while process.poll() is None:
                if signals.exists():
                    process.send_signal(int(signals.read_text()))
                    signals.unlink()
                time.sleep(0.02)
            waiting[0].unlink()
            waiting[0].with_suffix(".code").write_text(str(process.returncode))


@pytest.fixture
def serving(lab: Path, tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor of this process, with its lock, over such a launcher."""
    spool = tmp_path / "spool"
    spool.mkdir()
    desk, batch = Desk(lab), BatchSystem(spool)
    lock = FileLock(desk.lock)
    assert lock.take()
    (lab / "shrunk.toml").write_text("idle_seconds = 600\nslots = 2\n")
    supervisor = Supervisor(lab, read_settings(lab), SpoolLauncher(spool), 2)
    supervisor.beat()
    thread = threading.Thread(target=supervisor.serve)
    batch.start()
    thread.start()
    yield supervisor
    supervisor.leaving = True
    thread.join(timeout=30)
    batch.over = True
    batch.join(timeout=30)
    supervisor.journal.close()
    desk.owner.unlink(missing_ok=True)
    lock.release()


def test_runs_go_through_a_batch_system(serving: Supervisor, lab: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, updates=200, evaluate_every=100, seeds="[0, 1]")
    done = shrunk("run", grid, "--lab", lab, "--detach")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: any(s.update > 20 for s in read_standings(lab).values()), "an update")
    standings = read_standings(lab)
    first = next(r for r, s in standings.items() if s.update > 20)
    assert {s.status(time.time()).status for s in standings.values()} == {
        "running"
    }  # one trains, one waits in the system
    assert pause(lab, [first]).done == (first,)
    wait_for(lambda: read_standings(lab)[first].status(time.time()).status == "paused", "the pause")
    assert resume(lab, [first]).done == (first,)
    wait_for(lambda: all(s.log.state == "finished" for s in read_standings(lab).values()), "the end of both", 120)
    for run in run_dirs(lab):
        assert sum(isinstance(e, Finished) for e in read_events(run.events_file)) == 1
    launched = [e for e in read_journal(lab) if isinstance(e, RunLaunched)]
    assert len(launched) == 3 and {e.host for e in launched} == {HOST}


def test_its_signal_sends_workers_home(serving: Supervisor, lab: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, updates=100_000, evaluate_every=50_000)
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    wait_for(lambda: any(s.update > 20 for s in read_standings(lab).values()), "an update")
    serving.leaving = True
    (run,) = run_dirs(lab)
    wait_for(lambda: any(isinstance(e, Left) for e in read_events(run.events_file)), "the worker's leaving", 20)
