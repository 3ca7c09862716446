"""Workers and supervisors are killed at random moments, and the grid ends as if nobody had touched it.

Stated profile: no retry limit, no backoff, kills no faster than the checkpoint interval, threads fixed.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.client import start_supervisor
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.standing import read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import CheckpointSaved, Finished
from shrunk_core.record.rundir import run_dirs
from shrunk_core.store.store import open_store

from tests.conftest import end_supervisor
from tests.tiny import kill, shrunk, wait_for, write_grid

SETTINGS = "idle_seconds = 0.5\nslots = 2\nretries = -1\nretry_seconds = 0.0\n"
AXES = "hidden_size = [8, 16]\ndropout = [0.1]\nattention_dropout = [0.1]"


def grid_file(folder: Path, runs: int) -> Path:
    seeds = str(list(range(runs // 2)))
    return write_grid(folder, updates=400, evaluate_every=200, axes=AXES, seeds=seeds, train="checkpoint_every = 20")


def final_losses(lab: Path) -> dict[str, float]:
    """Final loss by run; every run must have finished exactly once."""
    losses = {}
    for run in run_dirs(lab):
        ends = [e for e in read_events(run.events_file) if isinstance(e, Finished)]
        assert len(ends) == 1
        losses[run.run_id] = ends[0].final_loss
    return losses


def checkpoints(lab: Path) -> int:
    return sum(isinstance(e, CheckpointSaved) for r in run_dirs(lab) for e in read_events(r.events_file))


def unfinished(lab: Path) -> dict[str, int]:
    """Pid of the worker of every run that trains now."""
    return {
        run_id: standing.log.worker.pid
        for run_id, standing in read_standings(lab).items()
        if standing.log.worker is not None and standing.status(time.time()).status == "running"
    }


def torment(lab: Path, grid: Path, kills: int, seed: int) -> int:
    """Kill a worker, or one time in eight the supervisor, whenever a checkpoint was saved; returns the kills done."""
    rng = random.Random(seed)
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    desk, done = Desk(lab), 0
    while done < kills:
        before, until = checkpoints(lab), time.monotonic() + 60
        while checkpoints(lab) == before and time.monotonic() < until:
            if not desk.serving():
                start_supervisor(desk)
                time.sleep(0.5)
            if all(s.log.state == "finished" for s in read_standings(lab).values()):
                return done
            time.sleep(0.02)
        time.sleep(rng.random() * 0.2)
        if rng.random() < 1 / 8 and desk.serving() and desk.owner.exists():
            kill(json.loads(desk.owner.read_text())["pid"])
            wait_for(lambda: not desk.serving(), "the supervisor's death")
        elif workers := unfinished(lab):
            kill(workers[rng.choice(sorted(workers))])
        else:
            continue
        done += 1
    return done


def check(tmp_path: Path, runs: int, kills: int) -> None:
    whole, broken = init_lab(tmp_path / "whole"), init_lab(tmp_path / "broken")
    for lab in (whole, broken):
        (lab / "shrunk.toml").write_text(SETTINGS)
    grid = grid_file(tmp_path, runs)
    done = shrunk("run", grid, "--lab", whole, timeout=600)
    assert done.returncode == 0, done.stderr
    try:
        assert torment(broken, grid, kills, seed=7) >= kills
        done = shrunk("run", grid, "--lab", broken, timeout=600)
        assert done.returncode == 0, done.stderr
    finally:
        end_supervisor(broken)
        end_supervisor(whole)
    assert final_losses(broken) == final_losses(whole)
    query = "select run_id, update, loss from steps order by 1, 2"
    steps = []
    for lab in (whole, broken):
        store = open_store(lab)
        store.refresh(force=True)
        steps.append(store.query(query).rows)
        store.close()
    assert len(steps[0]) == runs * 400
    assert steps[0] == steps[1]


def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    check(tmp_path, runs=4, kills=20)


@pytest.mark.slow
def test_two_hundred_kills_change_nothing(tmp_path: Path) -> None:
    check(tmp_path, runs=12, kills=200)
