"""Pausing, resuming, cancelling and a worker that cannot speak, with real processes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from shrunk_core.engine.client import cancel, pause, resume
from shrunk_core.engine.watch import read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import Finished, Left
from shrunk_core.record.rundir import read_spec, run_dirs

from tests.tiny import shrunk, wait_for, write_grid


def statuses(lab: Path) -> list[str]:
    return sorted(s.status(time.time()).status for s in read_standings(lab).values())


@pytest.mark.xdist_group("served")
def test_pause_frees_the_slot_and_resume_goes_on(served: Path, tmp_path: Path) -> None:
    lab, grid = served, write_grid(tmp_path, name="steered", updates=500, evaluate_every=250, seeds="[60, 61]")
    assert shrunk("run", grid, "--lab", lab, "--detach", "--slots", "1").returncode == 0
    ids = [r.run_id for r in run_dirs(lab) if read_spec(r).grid == "steered"]
    wait_for(lambda: any(read_standings(lab)[r].update > 5 for r in ids), "an update")
    first = next(r for r in ids if read_standings(lab)[r].update > 5)
    began = time.monotonic()
    reply = pause(lab, [first])
    assert time.monotonic() - began < 2.0
    assert reply.done == (first,)
    wait_for(lambda: read_standings(lab)[first].status(time.time()).status == "paused", "the pause")
    (other,) = (r for r in ids if r != first)
    wait_for(lambda: read_standings(lab)[other].update > 5, "the other run on the freed slot")
    assert cancel(lab, [other]).done == (other,)
    wait_for(lambda: read_standings(lab)[other].status(time.time()).status == "cancelled", "the cancelling")
    assert resume(lab, [first]).done == (first,)
    wait_for(lambda: read_standings(lab)[first].status(time.time()).status == "finished", "the end", 120)
    events = list(read_events(lab / "runs" / first / "events.jsonl"))
    assert [e.reason for e in events if isinstance(e, Left)] == ["pause"]
    assert sum(isinstance(e, Finished) for e in events) == 1
    assert resume(lab, [first]).left == {first: "is finished"}
    asked = shrunk("sql", "select count(*) as n from hardware where device = 'cpu'", "--lab", lab, "--format", "json")
    assert json.loads(asked.stdout)[0]["n"] > 0, asked.stderr


def test_a_worker_that_cannot_open_its_log_fails_at_once(lab: Path, tmp_path: Path) -> None:
    """A log of a newer version: no traceback, no retries, and the reason where a person looks."""
    grid = write_grid(tmp_path, updates=60)
    assert shrunk("run", grid, "--lab", lab).returncode == 0
    (run,) = run_dirs(lab)
    run.events_file.write_text('{"v": 99, "kind": "started", "logged_at": 1.0}\n')
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 1
    wait_for(lambda: statuses(lab) == ["failed"], "the supervisor's verdict")
    (row,) = json.loads(shrunk("status", "--lab", lab, "--format", "json").stdout)
    assert row["status"] == "failed"
    assert "newer" in row["reason"] and "code 1" in row["reason"]
    assert "Traceback" not in run.worker_log.read_text()
