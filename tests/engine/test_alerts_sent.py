"""Alerts of real runs reach a person's command once each; a command that fails or hangs hurts nothing; the quota is held."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from shrunk_core.config.grid import load_grid
from shrunk_core.engine import notifying
from shrunk_core.engine.client import stop
from shrunk_core.engine.notifying import Notifier
from shrunk_core.engine.packing import shape_of
from shrunk_core.engine.plan import make_plan
from shrunk_core.engine.slots import Experience
from shrunk_core.engine.watch import read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import CheckpointSaved
from shrunk_core.record.journal import read_journal
from shrunk_core.record.lab_events import Alert, AlertEnded
from shrunk_core.record.rundir import run_dirs

from tests.conftest import end_supervisor
from tests.tiny import kill, shrunk, wait_for, write_grid


def test_each_alert_is_sent_once_and_the_quota_is_held(lab: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    command = f'printf "%s|%s|%s\\n" "$SHRUNK_ALERT" "$SHRUNK_RUN" "$SHRUNK_GRID" >> {sent}; exit 7'
    (lab / "shrunk.toml").write_text(
        f"idle_seconds = 3.0\nslots = 2\ncheckpoint_gigabytes = 1e-9\nnotify = {json.dumps(command)}\n"
    )
    good = write_grid(tmp_path, name="good", updates=100, evaluate_every=20, train="keep_checkpoints = 9")
    bad = write_grid(tmp_path, name="bad", updates=100, evaluate_every=20, train="clip_norm = 0.0\nadam_eps = 0.0")
    bad.write_text(bad.read_text().replace("learning_rate = 5e-3", "learning_rate = 9.9"))
    assert shrunk("run", good, "--lab", lab).returncode == 0
    (run,) = run_dirs(lab)
    shrunk("run", bad, "--lab", lab)
    (broken,) = (other for other in run_dirs(lab) if other.run_id != run.run_id)
    wait_for(lambda: sent.exists() and sent.read_text().count("grid-finished") == 2, "the ends of both grids")
    saved = [e for e in read_events(run.events_file) if isinstance(e, CheckpointSaved)]
    best = max(e.update for e in saved if e.best)
    assert len(saved) == 5
    left = [f"update-{best:09d}"]  # the quota is looked after now and then, and the end of a grid does not wait for it
    wait_for(lambda: [p.name for p in run.checkpoints.iterdir()] == left, "the quota")
    end_supervisor(lab)
    said = [e for e in read_journal(lab) if isinstance(e, Alert)]
    lines = sent.read_text().splitlines()
    assert sorted(lines) == sorted(f"{a.alert}|{a.run_id}|{a.grid}" for a in said)
    assert len(set(lines)) == len(lines)
    kinds = [line.split("|")[0] for line in lines]
    assert f"non-finite|{broken.run_id}|" in lines
    assert kinds.count("grid-finished") == 2 and "run-finished" in kinds and "quota" in kinds
    assert "notify` of shrunk.toml ended with code 7" in (lab / ".shrunk" / "supervisor.log").read_text()


def told(sent: Path) -> list[str]:
    return sent.read_text().splitlines() if sent.exists() else []


def test_runs_that_go_wrong_and_a_disk_that_fills_are_told(lab: Path, tmp_path: Path) -> None:
    """One run diverges without breaking; another is slower than this machine was seen to be, then silent, then speaks."""
    sent = tmp_path / "sent"
    command = f'printf "%s|%s|%s\\n" "$SHRUNK_ALERT" "$SHRUNK_RUN" "$SHRUNK_MESSAGE" >> {sent}'
    (lab / "shrunk.toml").write_text(
        f"idle_seconds = 0.5\nslots = 2\nstall_minutes = 0.05\ndivergence_rise = 0.1\ndisk_gigabytes = 1e6\n"
        f"notify = {json.dumps(command)}\n"
    )
    quiet = write_grid(tmp_path, name="quiet", updates=30_000, evaluate_every=30_000)
    wild = write_grid(tmp_path, name="wild", updates=30_000, evaluate_every=30_000)
    wild.write_text(wild.read_text().replace("learning_rate = 5e-3", "learning_rate = 0.3\nwarmup_max = 60"))
    (planned,) = make_plan(lab, load_grid(quiet)).runs
    assert planned.spec is not None
    for beside in (1, 2):
        Experience(lab / ".shrunk" / "packing.json").learn(shape_of(planned.spec, "cpu"), beside, 1e12)
    for grid in (quiet, wild):
        assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    (bad,) = (run.run_id for run in run_dirs(lab) if run.run_id != planned.run_id)
    wanted = {f"slow|{planned.run_id}", f"divergence|{bad}", "disk|"}
    wait_for(lambda: wanted <= {line.rpartition("|")[0] for line in told(sent)}, "alerts")
    assert stop(lab, [bad]).done == (bad,)
    worker = read_standings(lab)[planned.run_id].log.worker
    assert worker is not None
    kill(worker.pid, signal.SIGSTOP)
    wait_for(lambda: any(line.startswith(f"stall|{planned.run_id}|no event for") for line in told(sent)), "the silence")
    (shown,) = [line for line in shrunk("status", "--lab", lab).stderr.splitlines() if "stall" in line]
    assert planned.run_id in shown
    kill(worker.pid, signal.SIGCONT)
    over = ("stall", planned.run_id)
    wait_for(
        lambda: over in {(e.alert, e.run_id) for e in read_journal(lab) if isinstance(e, AlertEnded)}, "its next word"
    )
    end_supervisor(lab)
    lines = [line.rpartition("|")[0] for line in told(sent)]
    assert lines.count("disk|") == lines.count(f"slow|{planned.run_id}") == 1  # what lasts is told once


def alert() -> Alert:
    return Alert(alert="stall", severity="warning", message="m")


def test_a_command_that_hangs_or_cannot_start_is_ended_and_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notifying, "PATIENCE_SECONDS", 0.05)
    hanging = Notifier("exec sleep 60")
    for _ in range(notifying.MOST_AT_ONCE + 3):
        hanging.send(alert())
    time.sleep(0.1)
    hanging.look()
    assert hanging._under_way == []
    assert capsys.readouterr().err.count("took longer") == 1
    Notifier("echo \0").send(alert())
    assert "notify" in capsys.readouterr().err
    Notifier("").send(alert())
