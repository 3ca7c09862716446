"""After supervisors, workers and whole machines have ended: what goes on, what is tried again, and what is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.client import cancel, pause, prioritise, resume, retry, stop
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.watch import Watch, read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import Event, Failed, Finished, Left, Resumed, RunLaunched, Started, Step
from shrunk_core.record.journal import read_journal
from shrunk_core.record.rundir import RunDir, read_spec, run_dirs
from shrunk_core.train import checkpoint

from tests.conftest import end_supervisor
from tests.engine.conftest import give_language
from tests.tiny import kill, shrunk, wait_for, write_grid


def status_of(lab: Path, run_id: str) -> str:
    return read_standings(lab)[run_id].status(time.time()).status


def updates_of(lab: Path, run_id: str) -> int:
    standing = read_standings(lab).get(run_id)
    return standing.update if standing else 0


def events_of(run: RunDir, *kinds: type[Event]) -> list[Event]:
    return [event for event in read_events(run.events_file) if isinstance(event, kinds)]


def processes_of(lab: Path) -> list[psutil.Process]:
    """The lab's supervisor, its spare worker and all workers."""
    supervisor = psutil.Process(json.loads(Desk(lab).owner.read_text())["pid"])
    return [supervisor, *supervisor.children(recursive=True)]


def test_after_a_reboot_the_same_command_goes_on(lab: Path, tmp_path: Path) -> None:
    """All processes are gone at once, and their pids are those of others who live: logs, locks and owner are stale."""
    grid = write_grid(tmp_path, updates=200, evaluate_every=100, seeds="[0, 1, 2]", train="checkpoint_every = 25")
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    runs = run_dirs(lab)
    wait_for(lambda: sum(bool(events_of(run, Started)) for run in runs) >= 2, "two workers")
    wait_for(lambda: any(checkpoint.saved_updates(run.checkpoints) for run in runs), "a checkpoint")
    gone = processes_of(lab)
    for process in gone:
        process.kill()
    psutil.wait_procs(gone, timeout=10)
    wait_for(lambda: not Desk(lab).serving(), "the end of all")
    pids = {process.pid for process in gone}
    for log in [*lab.glob("journal/*.jsonl"), *lab.glob("runs/*/events.jsonl"), Desk(lab).owner]:
        text = log.read_text()
        for pid in pids:
            text = text.replace(f'"pid":{pid},', f'"pid":{os.getpid()},').replace(
                f'"pid": {pid},', f'"pid": {os.getpid()},'
            )
        log.write_text(text)
    assert "queued" in {status_of(lab, run.run_id) for run in runs}
    assert "running" not in {status_of(lab, run.run_id) for run in runs}
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    assert all(len(events_of(run, Finished)) == 1 for run in runs)
    begun_again = [run for run in runs if events_of(run, Resumed)]
    assert len(begun_again) == 2
    assert any(event.from_update > 0 for run in runs for event in events_of(run, Resumed))  # type: ignore[attr-defined]


def test_a_taken_over_worker_is_sent_home_too(lab: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, updates=20_000, evaluate_every=10_000, seeds="[0, 1]")
    assert shrunk("run", grid, "--lab", lab, "--detach", "--slots", "1").returncode == 0
    wait_for(lambda: any(s.update > 5 for s in read_standings(lab).values()), "an update")
    supervisor = processes_of(lab)[0]
    run = next(r for r in run_dirs(lab) if events_of(r, Started))
    (attempt,) = events_of(run, Started)
    supervisor.kill()
    wait_for(lambda: not Desk(lab).serving(), "the supervisor's death")
    assert shrunk("run", grid, "--lab", lab, "--detach", "--slots", "1").returncode == 0
    worker = psutil.Process(attempt.pid)  # type: ignore[attr-defined]
    began = time.monotonic()
    end_supervisor(lab)
    assert time.monotonic() - began < 10
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    (left,) = events_of(run, Left)
    assert checkpoint.saved_updates(run.checkpoints) == [left.update]  # type: ignore[attr-defined]
    assert {status_of(lab, r.run_id) for r in run_dirs(lab)} == {"queued"}, "both wait for the next supervisor"


@pytest.mark.xdist_group("served")
def test_every_command_is_acknowledged_and_does_what_it_says(served: Path, tmp_path: Path) -> None:
    """One slot, four runs, and a person who changes their mind about all of them."""
    lab = served
    grid = write_grid(tmp_path, name="asked", updates=3000, evaluate_every=1500, seeds="[70, 71, 72, 73]")
    assert shrunk("run", grid, "--lab", lab, "--detach", "--slots", "1").returncode == 0
    ids = [r.run_id for r in run_dirs(lab) if read_spec(r).grid == "asked" and read_spec(r).spec.seed >= 70]
    wait_for(lambda: any(updates_of(lab, r) > 5 for r in ids), "an update")
    first = next(r for r in ids if updates_of(lab, r) > 5)
    second, third, fourth = (r for r in ids if r != first)
    took = []

    def asked(reply: object) -> object:
        took.append(time.monotonic() - began)
        return reply

    began = time.monotonic()
    assert asked(prioritise(lab, [fourth], 5)).done == (fourth,)  # type: ignore[attr-defined]
    began = time.monotonic()
    assert asked(cancel(lab, [second])).done == (second,)  # type: ignore[attr-defined]
    began = time.monotonic()
    assert asked(stop(lab, [first])).done == (first,)  # type: ignore[attr-defined]
    wait_for(lambda: updates_of(lab, fourth) > 5, "the run that was put first")
    (left,) = events_of(RunDir(lab / "runs" / first), Left)
    assert left.reason == "stop"  # type: ignore[attr-defined]
    assert checkpoint.saved_updates(lab / "runs" / first / "checkpoints") == [left.update]  # type: ignore[attr-defined]
    assert (status_of(lab, first), status_of(lab, second)) == ("stopped", "cancelled")
    began = time.monotonic()
    assert asked(pause(lab, [fourth])).done == (fourth,)  # type: ignore[attr-defined]
    wait_for(lambda: status_of(lab, fourth) == "paused", "the pause")
    began = time.monotonic()
    assert asked(resume(lab, [first, fourth, second])).left == {second: "is cancelled"}  # type: ignore[attr-defined]
    began = time.monotonic()
    assert asked(retry(lab, [second])).done == (second,)  # type: ignore[attr-defined]
    assert {status_of(lab, r) for r in ids} <= {"queued", "running"}
    assert max(took) < 2.0, took


@pytest.mark.xdist_group("served")
def test_a_loss_that_is_no_number_is_not_tried_again_and_harms_nobody(served: Path, tmp_path: Path) -> None:
    lab = served
    rates = '"train.learning_rate" = [1e-3, 10.0]'  # the larger one blows up what decays at 10 a rate
    grid = write_grid(tmp_path, name="rates", updates=100, axes=rates, train="weight_decay = 10.0")
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 1
    rows = json.loads(shrunk("status", "rates", "--lab", lab, "--format", "json").stdout)
    assert sorted(r["status"] for r in rows) == ["failed", "finished"]
    (bad,) = [r for r in rows if r["status"] == "failed"]
    assert "learning_rate" in bad["reason"]
    launched = [e.run_id for e in read_journal(lab) if isinstance(e, RunLaunched)]
    assert launched.count(bad["run_id"]) == 1
    (failed,) = events_of(RunDir(lab / "runs" / bad["run_id"]), Failed)
    assert failed.cause == "non-finite"  # type: ignore[attr-defined]


def test_a_run_whose_worker_is_killed_too_often_waits_for_a_person(lab: Path, tmp_path: Path) -> None:
    (lab / "shrunk.toml").write_text("idle_seconds = 0.5\nslots = 1\nretries = 0\n")
    grid = write_grid(tmp_path, updates=400, evaluate_every=200)
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    (run,) = run_dirs(lab)
    wait_for(lambda: updates_of(lab, run.run_id) > 5, "an update")
    (attempt,) = events_of(run, Started)
    kill(attempt.pid)  # type: ignore[attr-defined]
    wait_for(lambda: status_of(lab, run.run_id) == "failed", "the verdict")
    watch = Watch(lab)
    watch.look()
    assert "killed 1 times (signal 9)" in watch.status(run.run_id).reason
    assert retry(lab, [run.run_id]).done == (run.run_id,)
    wait_for(lambda: status_of(lab, run.run_id) == "finished", "the end")


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk that can be made read-only, where the system lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "none", folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    yield folder
    subprocess.run(["mount", "-o", "remount,rw", folder], check=False)
    end_supervisor(folder / "lab")
    subprocess.run(["umount", "-l", folder], check=False)


def test_a_disk_that_turns_read_only_breaks_nothing(own_disk: Path, tmp_path: Path, language: Path) -> None:
    """As a failing disk does: the work ends, what is there can be read, and goes on when it can be written again."""
    lab = give_language(init_lab(own_disk / "lab"), language)
    (lab / "shrunk.toml").write_text("idle_seconds = 0.5\nslots = 1\n")
    grid = write_grid(tmp_path, updates=600, evaluate_every=300, train="checkpoint_every = 100")
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    (run,) = run_dirs(lab)
    wait_for(lambda: bool(checkpoint.saved_updates(run.checkpoints)), "a checkpoint")
    assert shrunk("sql", "select 1", "--lab", lab).returncode == 0  # there is an index to read later
    held = processes_of(lab)
    for process in held:  # what is open for writing would refuse the remount; a disk that fails does not ask
        process.kill()
    psutil.wait_procs(held, timeout=10)
    subprocess.run(["mount", "-o", "remount,ro", own_disk], check=True)
    refused = shrunk("run", grid, "--lab", lab)
    assert refused.returncode == 2 and "cannot be written" in refused.stderr, refused.stderr
    for arguments in (["status"], ["show", run.run_id], ["logs", run.run_id], ["sql", "select * from runs"]):
        done = shrunk(*arguments, "--lab", lab)
        assert done.returncode == 0, (arguments, done.stderr)
    subprocess.run(["mount", "-o", "remount,rw", own_disk], check=True)
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    assert len(events_of(run, Finished)) == 1


def test_a_disk_that_turns_read_only_under_live_workers_holds_the_grid(
    own_disk: Path, tmp_path: Path, language: Path
) -> None:
    """Checkpoints and everything new are refused: the worker's run fails for the disk's sake and waits, its supervisor says
    so and stays, and both go on by themselves."""
    lab, sent = give_language(init_lab(own_disk / "lab"), language), tmp_path / "sent"
    notify = json.dumps(f'printf "%s: %s\\n" "$SHRUNK_ALERT" "$SHRUNK_MESSAGE" >> {sent}')
    (lab / "shrunk.toml").write_text(f"idle_seconds = 1\nslots = 1\nnotify = {notify}\n")
    grid = write_grid(tmp_path, updates=400, evaluate_every=200, train="checkpoint_every = 20")
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    (run,) = run_dirs(lab)
    wait_for(lambda: bool(checkpoint.saved_updates(run.checkpoints)), "a checkpoint")
    subprocess.run(["mount", "--bind", own_disk, own_disk], check=True)  # over it, since what is open refuses a remount
    try:
        wait_for(lambda: not subprocess.run(["mount", "-o", "remount,bind,ro", own_disk]).returncode, "the remount")
        wait_for(lambda: sent.exists() and "Read-only file system" in sent.read_text(), "an alert that needs no disk")
        wait_for(lambda: bool(events_of(run, Failed)), "the worker's end")
        refused = shrunk("stop", run.run_id, "--lab", lab)
        assert refused.returncode == 2 and "cannot be written: Read-only file system" in refused.stderr
        assert shrunk("status", "--lab", lab).returncode == 0
        assert Desk(lab).serving()
    finally:
        subprocess.run(["umount", "-l", own_disk], check=True)
    wait_for(lambda: bool(events_of(run, Finished)), "the end of the run")
    (failed,) = events_of(run, Failed)
    assert failed.cause == "disk"  # type: ignore[attr-defined]
    steps = {e.update for e in events_of(run, Step)}  # type: ignore[attr-defined]
    assert steps == set(range(1, 401))
    said = (lab / ".shrunk" / "supervisor.log").read_text()
    assert "cannot be written (Read-only file system); waiting" in said and "can be written again" in said
