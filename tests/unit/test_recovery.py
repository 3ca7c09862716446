"""What a supervisor takes up after another one, or the whole machine, has died."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorder import Recorder
from shrunk_core.config.lab import init_lab, read_settings
from shrunk_core.engine import recovery
from shrunk_core.engine.endings import worker_ended
from shrunk_core.engine.recovery import recover
from shrunk_core.engine.service import Supervisor
from shrunk_core.record.events import Event, Left, RunLaunched, RunQueued, RunReaped
from shrunk_core.record.journal import open_journal
from shrunk_core.record.lock import FileLock
from shrunk_core.record.rundir import Process, RunDir, process_of, this_process
from store_lab import born, finished, resumed, started, step, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return init_lab(tmp_path / "lab")


@pytest.fixture
def supervisor(folder: Path) -> Iterator[Supervisor]:
    made = Supervisor(folder, read_settings(folder), Recorder(), 4)  # type: ignore[arg-type]
    yield made
    made.journal.close()


@pytest.fixture
def sleeper() -> Iterator[Process]:
    """A process that lives, and is no worker."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process_of(process.pid)
    process.kill()
    process.wait()


def dead() -> Process:
    """A process of this host that is gone; its pid is another's now, as after a reboot."""
    return Process(host=this_process().host, pid=os.getpid(), started_at=1.0)


def journal(lab: Path, *events: Event) -> None:
    writer = open_journal(lab)
    writer.append(*events)
    writer.close()


def launched(run: RunDir, worker: Process, at: float) -> RunLaunched:
    return RunLaunched(
        run_id=run.run_id,
        pid=worker.pid,
        slot="slot:0",
        host=worker.host,
        process_started_at=worker.started_at,
        logged_at=at,
    )


def by(worker: Process) -> dict[str, object]:
    return {"host": worker.host, "pid": worker.pid, "process_started_at": worker.started_at}


def test_a_worker_that_died_before_its_first_event_is_followed_at_once(folder: Path, supervisor: Supervisor) -> None:
    run = born(folder)
    journal(folder, launched(run, dead(), time.time() - 1))
    recover(supervisor)
    assert supervisor.queue.in_order() == [run.run_id]
    assert supervisor.watch.standing(run.run_id).queue.reason == "worker-died"


def test_a_worker_that_has_not_spoken_yet_keeps_its_slot(
    folder: Path, supervisor: Supervisor, sleeper: Process
) -> None:
    """It was paused before; its new worker dies without a word. That is a death, not a pause."""
    run = born(folder)
    now = time.time()
    write(run.events_file, started(now - 90), Left(attempt=1, update=0, reason="pause", logged_at=now - 80))
    journal(folder, launched(run, sleeper, now - 500))
    journal(folder, launched(run, sleeper, now - 60))
    recover(supervisor)
    recover(supervisor)
    (job,) = supervisor.jobs()
    assert job.run_id == run.run_id and job.process == sleeper and not supervisor.queue
    os.kill(sleeper.pid, 9)
    while not job.ended():
        time.sleep(0.01)
    supervisor.slots = dict.fromkeys(supervisor.slots)
    worker_ended(supervisor, job, None)
    assert run.run_id in supervisor.queue


def test_a_live_worker_is_adopted_and_a_dead_one_queued_again(
    folder: Path, supervisor: Supervisor, sleeper: Process
) -> None:
    alive, gone = born(folder), born(folder, seed=1)
    now = time.time()
    for run, worker in ((alive, sleeper), (gone, dead())):
        journal(folder, launched(run, worker, now - 9))
        write(run.events_file, started(now - 8, **by(worker)), step(1, at=now - 7))
    recover(supervisor)
    assert [job.run_id for job in supervisor.jobs()] == [alive.run_id]
    assert supervisor.queue.in_order() == [gone.run_id]


def test_a_run_that_somebody_holds_is_not_started_again(folder: Path, supervisor: Supervisor) -> None:
    """A clock that was set makes a live worker's start time look wrong; its lock tells the truth."""
    run = born(folder)
    write(run.events_file, started(time.time() - 8, **by(dead())))
    lock = FileLock(run.path / "worker.lock")
    assert lock.take()
    recover(supervisor)
    assert not supervisor.queue
    lock.release()
    recover(supervisor)
    assert supervisor.queue.in_order() == [run.run_id]


def test_a_worker_that_ends_well_between_two_looks_is_not_followed(
    folder: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is read before it is asked whether it lives: the last word may fall in between."""
    run = born(folder)
    write(run.events_file, started(at=time.time(), **by(dead())))
    look, words = supervisor.look, [finished(9, at=time.time())]

    def look_and_end() -> None:
        look()
        if words:
            write(run.events_file, words.pop())

    monkeypatch.setattr(supervisor, "look", look_and_end)
    recover(supervisor)
    assert not supervisor.queue and not supervisor.jobs()


def test_a_death_that_nobody_has_judged_yet_is_judged(folder: Path, supervisor: Supervisor) -> None:
    run = born(folder)
    now = time.time()
    journal(
        folder, launched(run, dead(), now - 9), RunReaped(run_id=run.run_id, pid=1, returncode=-9, logged_at=now - 8)
    )
    recover(supervisor)
    assert supervisor.queue.in_order() == [run.run_id]


def test_a_worker_of_a_lost_host_is_followed_once_it_is_silent(
    folder: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = born(folder)
    there = Process(host="elsewhere", pid=5, started_at=1.0)
    write(run.events_file, started(time.time() - 60, **by(there)), step(1, at=time.time() - 50))
    recover(supervisor)
    assert not supervisor.queue and not supervisor.jobs()
    monkeypatch.setattr(recovery, "FOREIGN_SILENCE_SECONDS", 40.0)
    recover(supervisor)
    assert supervisor.watch.standing(run.run_id).queue.reason == "worker-lost"
    assert supervisor.queue.in_order() == [run.run_id]


def test_what_is_finished_or_gone_is_left_alone(folder: Path, supervisor: Supervisor) -> None:
    done, gone, waiting = born(folder), born(folder, seed=1), born(folder, seed=2)
    now = time.time()
    write(done.events_file, started(now - 9, **by(dead())), finished(at=now - 8))
    journal(
        folder,
        RunQueued(run_id=done.run_id, grid="grid", reason="retry", logged_at=now),
        launched(gone, dead(), now - 9),
        RunQueued(run_id=waiting.run_id, grid="grid", reason="submitted", logged_at=now - 9),
    )
    shutil.rmtree(gone.path)
    recover(supervisor)
    assert supervisor.queue.in_order() == [waiting.run_id]


def test_a_fast_worker_speaks_before_its_launch_is_told(folder: Path, supervisor: Supervisor) -> None:
    """What it logs between its start and the supervisor's next breath is its own word."""
    run = born(folder)
    write(
        run.events_file, started(time.time() - 99), Left(attempt=1, update=0, reason="stop", logged_at=time.time() - 98)
    )
    recorder = supervisor.launcher

    def start(module: str, arguments: list[str], **other: object) -> Recorder.Running:
        write(run.events_file, resumed(2, 0, at=time.time()), Left(attempt=2, update=0, reason="pause"))
        time.sleep(0.01)
        return Recorder.Running()

    recorder.start = start  # type: ignore[method-assign]
    supervisor._launch("slot:0", run.run_id)
    (job,) = supervisor.jobs()
    supervisor.slots = dict.fromkeys(supervisor.slots)
    worker_ended(supervisor, job, 0)
    assert not supervisor.queue
    assert supervisor.watch.status(run.run_id).status == "paused"
