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
from shrunk_core.engine.watch import Watch
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import CheckpointSaved, Finished
from shrunk_core.record.rundir import run_dirs
from shrunk_core.store.store import open_store

from tests.conftest import end_supervisor
from tests.engine.conftest import give_language
from tests.tiny import kill, shrunk, wait_for, write_grid

SETTINGS = "idle_seconds = 0.5\nslots = 2\nretries = -1\nretry_seconds = 0.0\n"
AXES = "hidden_size = [8, 16]\ndropout = [0.1]\nattention_dropout = [0.1]"


def grid_file(folder: Path, runs: int, updates: int) -> Path:
    seeds = str(list(range(runs // 2)))
    return write_grid(
        folder, updates=updates, evaluate_every=200, axes=AXES, seeds=seeds, train="checkpoint_every = 20"
    )


def final_losses(lab: Path) -> dict[str, float]:
    """Final loss by run; every run must have finished exactly once."""
    losses = {}
    for run in run_dirs(lab):
        ends = [e for e in read_events(run.events_file) if isinstance(e, Finished)]
        assert len(ends) == 1
        losses[run.run_id] = ends[0].final_loss
    return losses


class Observer:
    """Follows a lab that is being tormented: how many checkpoints there were, who works now, whether all is done."""

    def __init__(self, lab: Path) -> None:
        self.watch = Watch(lab)
        self.saved = 0

    def look(self) -> int:
        self.saved += sum(isinstance(event, CheckpointSaved) for _, event in self.watch.look())
        return self.saved

    def workers(self) -> dict[str, int]:
        """Pid of the worker of every run that trains now."""
        return {
            run_id: standing.log.worker.pid
            for run_id, standing in self.watch.standings.items()
            if standing.log.worker is not None and self.watch.status(run_id).status == "running"
        }

    def done(self) -> bool:
        return all(standing.log.state == "finished" for standing in self.watch.standings.values())


def torment(lab: Path, grid: Path, kills: int, seed: int) -> int:
    """Kill a worker, or one time in eight the supervisor, whenever a checkpoint was saved; returns the kills done."""
    rng = random.Random(seed)
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    desk, seen, done = Desk(lab), Observer(lab), 0
    while done < kills:
        before, until = seen.look(), time.monotonic() + 60
        while seen.look() == before and time.monotonic() < until:
            if not desk.serving():
                start_supervisor(desk)
                time.sleep(0.5)
            if seen.done():
                return done
            time.sleep(0.02)
        time.sleep(rng.random() * 0.2)
        seen.look()
        if rng.random() < 1 / 8 and desk.serving() and desk.owner.exists():
            kill(json.loads(desk.owner.read_text())["pid"])
            wait_for(lambda: not desk.serving(), "the supervisor's death")
        elif workers := seen.workers():
            kill(workers[rng.choice(sorted(workers))])
        else:
            continue
        done += 1
    return done


def views(lab: Path) -> list[list[tuple[object, ...]]]:
    """What the views say of the grid, as far as it does not depend on when things happened."""
    store = open_store(lab)
    store.refresh(force=True)
    asked = [
        "select run_id, update, loss, learning_rate, grad_norm from steps order by 1, 2",
        "select run_id, split, update, loss, num_masked_tokens from evaluations order by 1, 2, 3",
        "select run_id, status, update, tokens, best_loss from runs order by 1",
    ]
    found = [store.query(query).rows for query in asked]
    store.close()
    return found


def check(tmp_path: Path, language: Path, runs: int, kills: int, updates: int) -> None:
    """A grid of `runs` whose workers and supervisors are killed `kills` times ends as the same grid left in peace.

    updates: of a run; enough for so many kills, each of which waits for another checkpoint.
    """
    whole, broken = init_lab(tmp_path / "whole"), init_lab(tmp_path / "broken")
    for lab in (whole, broken):
        give_language(lab, language)
        (lab / "shrunk.toml").write_text(SETTINGS)
    grid = grid_file(tmp_path, runs, updates)
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
    steps, evaluations, table = views(whole)
    assert len(steps) == runs * updates
    assert len(evaluations) == runs * (updates // 200 + 1)
    assert [row[1] for row in table] == ["finished"] * runs
    assert [steps, evaluations, table] == views(broken)


def test_twenty_kills_change_nothing(tmp_path: Path, language: Path) -> None:
    check(tmp_path, language, runs=4, kills=20, updates=400)


@pytest.mark.slow
def test_two_hundred_kills_change_nothing(tmp_path: Path, language: Path) -> None:
    check(tmp_path, language, runs=12, kills=200, updates=2000)
