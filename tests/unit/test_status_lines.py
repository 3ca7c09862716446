"""What `shrunk status` says beside its rows: time left of a grid, archived runs, who serves, the machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nvml_trace import made_trace
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.monitor import HostSampler, Monitor, NvmlSampler
from shrunk_core.engine.notebook import archive
from shrunk_core.engine.standing import Standing
from shrunk_core.engine.summaries import Brief, brief_of
from shrunk_core.engine.watch import Watch
from shrunk_core.errors import PlanError
from shrunk_core.record.events import RunDequeued, RunQueued
from shrunk_core.record.journal import open_journal
from shrunk_core.record.lock import FileLock
from shrunk_core.record.rundir import read_spec
from store_lab import born, finished, started, write

from shrunk_tui.cli.output import Format
from shrunk_tui.cli.runs import named, status, time_left
from shrunk_tui.cli.serving import machine_lines, places, serving_lines
from shrunk_tui.format import duration


def entry(lab: Path, seed: int, state: str, update: int, speed: float | None) -> tuple[Brief, Standing, dict[str, Any]]:
    return (
        brief_of(read_spec(born(lab, seed=seed))),
        Standing(update=update),
        {"status": state, "tokens_per_second": speed},
    )


def test_time_left_of_a_grid_is_its_work_at_the_speed_of_its_running_runs(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    entries = [
        entry(lab, 0, "running", 50, 100.0),
        entry(lab, 1, "queued", 0, None),
        entry(lab, 2, "finished", 9, None),
    ]
    run = entries[0][0]
    seconds = (2 * run.updates - 50) * run.tokens_per_update / 100.0
    (line,) = time_left([(s, standing) for s, standing, _ in entries], [row for _, _, row in entries])
    assert line == f"grid: about {duration(seconds)} left at 100 tokens/s"
    assert time_left([entries[1][:2]], [entries[1][2]]) == []  # nothing runs: nothing is guessed


def test_archived_runs_are_shown_when_they_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = init_lab(tmp_path / "lab")
    for seed, name in enumerate(("kept", "put-away")):
        write(born(lab, seed=seed, name=name).events_file, started(), finished())
    archive(lab, [read_spec(born(lab, seed=1, name="put-away")).run_id])
    status(None, lab, Format.table)
    out, said = capsys.readouterr()
    assert "kept" in out and "put-away" not in out and "1 archived run is not shown" in said
    assert said.splitlines()[-2:] == ["1 finished", "no supervisor runs; `shrunk run GRID` starts one"]
    status(["put-away"], lab, Format.table)
    assert "put-away" in capsys.readouterr().out


def test_a_serving_supervisor_is_named_with_its_slots(tmp_path: Path) -> None:
    desk = Desk(init_lab(tmp_path / "lab"))
    (line,) = serving_lines(desk)
    assert "no supervisor" in line
    desk.owner.write_text(json.dumps({"host": "elsewhere", "pid": 9, "heartbeat": 100.0}))
    assert serving_lines(desk, 103.0) == ["a supervisor on elsewhere serves this lab (pid 9, heard 3 s ago)"]
    assert "no supervisor" in serving_lines(desk, 200.0)[0]
    desk.owner.unlink()
    lock = FileLock(desk.lock)
    assert lock.take()
    assert serving_lines(desk) == ["a supervisor serves this lab"]  # it has not said yet who it is
    claim = {"pid": 12, "slots": 4, "taken": 3, "heartbeat": 100.0}
    desk.owner.write_text(json.dumps(claim))
    (line,) = serving_lines(desk, 101.0)
    assert line == "a supervisor serves this lab (pid 12): 3 of 4 slots taken"
    (line,) = serving_lines(desk, 160.0)
    assert "not been heard for 60 s" in line and "read-only" in line and "supervisor.log" in line
    desk.owner.write_text(json.dumps(claim | {"devices": [{"device": "cpu", "utilisation": 0.5}]}))
    assert serving_lines(desk, 101.0)[0] == "processor: 50% busy; no GPU can be read here"
    lock.release()


def test_the_machine_is_told_as_it_was_read_and_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    host = Monitor([HostSampler(lab)])
    host.sample([])
    (line,) = machine_lines(host.told())
    assert line.startswith("processor: ") and line.endswith("; no GPU can be read here")
    for word in ("busy", "of memory used", "of disk free"):
        assert word in line
    trace = made_trace()
    trace.at = 8.0
    traced = Monitor([HostSampler(lab), NvmlSampler(trace)])
    traced.sample([])
    first, *_, processor = machine_lines(traced.told())
    assert first.startswith("NVIDIA H100 80GB HBM3: 95% busy") and " 350 W" in first and "58 °C" in first
    assert "no GPU" not in processor


def test_places_are_of_those_that_still_wait(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    desk, words = Desk(lab), open_journal(lab)
    first, second, third = (born(lab, seed=seed).run_id for seed in range(3))
    for run_id in (first, second, third):
        words.append(RunQueued(run_id=run_id, grid="grid", reason="submitted"))
    words.append(RunDequeued(run_id=second, status="stopped", message=""))
    words.close()
    desk.order.write_text(json.dumps([second, third, first]))
    watch = Watch(lab)
    watch.look()
    assert places(desk, watch) == {}  # nobody serves: who knows what starts first
    lock = FileLock(desk.lock)
    assert lock.take()
    assert places(desk, watch) == {third: 1, first: 2}
    lock.release()


def test_the_beginning_of_two_runs_names_neither(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    one = read_spec(born(lab, seed=0))
    specs = [one, replace(one, run_id=one.run_id[:4] + "zzzz", name="other")]
    with pytest.raises(PlanError, match=f"beginning of 2 runs .*{one.run_id}.*write one digit more"):
        named(lab, specs, [one.run_id[:3]])
    assert named(lab, specs, [one.run_id[:5]]) == [one]
