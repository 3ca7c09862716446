"""Two grids in one queue, two supervisors at one moment, a terminal that detaches, a disk that is full."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.watch import read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import Finished, Resumed, RunLaunched, Started, Step
from shrunk_core.record.journal import read_journal
from shrunk_core.record.lab_events import AlertEnded
from shrunk_core.record.rundir import Process, run_dirs

from tests.conftest import end_supervisor
from tests.engine.conftest import give_language
from tests.tiny import command, kill, shrunk, wait_for, write_grid


def statuses(lab: Path) -> list[str]:
    return sorted(s.status(time.time()).status for s in read_standings(lab).values())


def updates(lab: Path) -> int:
    return max((s.update for s in read_standings(lab).values()), default=0)


@pytest.mark.xdist_group("served")
def test_a_second_grid_queues_behind_the_first(served: Path, tmp_path: Path) -> None:
    first = write_grid(tmp_path, name="first", seeds="[50, 51]", updates=30)
    second = write_grid(tmp_path, name="second", seeds="[52]", updates=20)
    assert shrunk("run", first, "--lab", served, "--detach", "--slots", "1").returncode == 0
    done = shrunk("run", second, "--lab", served)
    assert done.returncode == 0, done.stderr
    rows = json.loads(shrunk("status", "first", "second", "--lab", served, "--format", "json").stdout)
    assert [r["status"] for r in rows] == ["finished"] * 3
    grids = {r["run_id"]: r["grid"] for r in rows}
    launched = [grids[e.run_id] for e in read_journal(served) if isinstance(e, RunLaunched) and e.run_id in grids]
    assert launched == ["first", "first", "second"]


def test_of_two_supervisors_at_one_moment_one_serves(lab: Path) -> None:
    (lab / "shrunk.toml").write_text("idle_seconds = 30\nslots = 1\n")
    start = [sys.executable, "-P", "-m", "shrunk_core.engine.supervisor", str(lab)]
    both = [subprocess.Popen(start, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    wait_for(lambda: any(p.poll() is not None for p in both), "one of them to leave")
    loser, winner = sorted(both, key=lambda p: p.poll() is None)
    assert loser.returncode == 3
    said = loser.communicate()[1]
    assert "served by" in said
    assert winner.poll() is None
    wait_for(lambda: Desk(lab).owner.exists(), "the owner file")
    assert json.loads(Desk(lab).owner.read_text())["pid"] == winner.pid
    end_supervisor(lab)
    assert winner.wait(timeout=15) == 0
    assert winner.stderr is not None
    winner.stderr.close()


def test_d_detaches_and_attach_finds_the_grid_going_on(lab: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, updates=800, evaluate_every=400)
    master, slave = pty.openpty()
    client = subprocess.Popen(
        command("run", grid, "--lab", lab), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)

    def drain() -> None:  # a terminal that nobody reads would block its writer
        try:
            while os.read(master, 4096):
                pass
        except OSError:
            pass

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    wait_for(lambda: updates(lab) > 0, "an update")
    os.write(master, b"d")
    assert client.wait(timeout=30) == 0
    reader.join(timeout=10)
    os.close(master)
    assert statuses(lab) == ["running"]
    attached = shrunk("attach", "--lab", lab)
    assert attached.returncode == 0, attached.stderr
    assert statuses(lab) == ["finished"]


def test_a_lab_is_taken_over_only_when_asked_and_old_workers_leave(lab: Path, tmp_path: Path) -> None:
    """Another host's owner file is refused; --take-over raises the epoch, and a worker of the old one writes no more."""
    grid = write_grid(tmp_path, updates=3000, evaluate_every=50)
    assert shrunk("run", grid, "--lab", lab, "--detach", "--slots", "1").returncode == 0
    wait_for(lambda: updates(lab) > 5, "an update")
    desk = Desk(lab)
    old = json.loads(desk.owner.read_text())["pid"]
    kill(old)
    wait_for(lambda: not desk.serving(), "the end of the old supervisor")
    (run,) = run_dirs(lab)
    attempt = next(e for e in read_events(run.events_file) if isinstance(e, Started))
    elsewhere = {"host": "elsewhere", "pid": 7, "started_at": 0.0, "heartbeat": time.time()}
    desk.owner.write_text(json.dumps(elsewhere))
    refused = shrunk("run", grid, "--lab", lab, "--detach")
    assert refused.returncode == 3
    assert "elsewhere" in refused.stderr and "--take-over" in refused.stderr
    assert desk.epoch() == 0
    taken = shrunk("run", grid, "--lab", lab, "--detach", "--take-over")
    assert taken.returncode == 0, taken.stderr
    assert desk.epoch() == 1
    assert json.loads(desk.owner.read_text())["host"] != "elsewhere"
    worker = Process(host=attempt.host, pid=attempt.pid, started_at=attempt.process_started_at)
    wait_for(lambda: not worker.alive(), "the old worker to leave at its checkpoint")
    wait_for(lambda: any(isinstance(e, Resumed) for e in read_events(run.events_file)), "a worker of the new epoch")
    assert "taken over" in run.worker_log.read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB, where the system lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=8m", "none", folder], capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    yield folder
    end_supervisor(folder / "lab")
    subprocess.run(["umount", "-l", folder], check=False)


def test_a_full_disk_holds_the_grid_until_there_is_space(small_disk: Path, tmp_path: Path, language: Path) -> None:
    """Nobody dies for good, no log is torn, and the run finishes by itself when there is space again."""
    lab = give_language(init_lab(small_disk / "lab"), language)
    sent = tmp_path / "sent"
    notify = json.dumps(f'printf "%s: %s\\n" "$SHRUNK_ALERT" "$SHRUNK_MESSAGE" >> {sent}')
    (lab / "shrunk.toml").write_text(f"idle_seconds = 1\nslots = 1\ndisk_gigabytes = 0.001\nnotify = {notify}\n")
    done = shrunk("run", write_grid(tmp_path, updates=600, evaluate_every=200), "--lab", lab, "--detach")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: updates(lab) > 5, "an update")
    ballast = small_disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096) == 4096:
                pass
        except OSError:
            pass
    (run,) = run_dirs(lab)
    more = write_grid(tmp_path, name="more", updates=300, evaluate_every=200)
    wait_for(lambda: "No space" in shrunk("run", more, "--lab", lab, "--detach").stderr, "a refusal")
    assert Desk(lab).serving()
    wait_for(lambda: sent.exists() and "No space left on device" in sent.read_text(), "an alert that needs no disk")
    assert "unwritable: the lab cannot be written" in sent.read_text()
    assert not any(isinstance(e, Finished) for e in read_events(run.events_file))
    ballast.unlink()
    wait_for(lambda: any(isinstance(e, Finished) for e in read_events(run.events_file)), "the end of the run")
    steps = {e.update for e in read_events(run.events_file) if isinstance(e, Step)}
    assert steps == set(range(1, 601))
    ended = {e.alert for e in read_journal(lab) if isinstance(e, AlertEnded)}
    assert "unwritable" in ended
