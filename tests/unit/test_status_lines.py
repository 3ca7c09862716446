"""What `shrunk status` says beside its rows: time left of a grid, archived runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.notebook import archive
from shrunk_core.engine.standing import Standing
from shrunk_core.engine.summaries import Brief, brief_of
from shrunk_core.record.lock import FileLock
from shrunk_core.record.rundir import read_spec
from store_lab import born, finished, started, write

from shrunk_tui.cli.output import Format
from shrunk_tui.cli.runs import status, time_left, who_serves
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
    assert "kept" in out and "put-away" not in out and "1 archived runs" in said
    assert said.splitlines()[-2:] == ["1 finished", "no supervisor runs; `shrunk run GRID` starts one"]
    status(["put-away"], lab, Format.table)
    assert "put-away" in capsys.readouterr().out


def test_a_serving_supervisor_is_named_with_its_slots(tmp_path: Path) -> None:
    desk = Desk(init_lab(tmp_path / "lab"))
    assert "no supervisor" in who_serves(desk)
    lock = FileLock(desk.lock)
    assert lock.take()
    assert who_serves(desk) == "a supervisor serves this lab"  # it has not said yet who it is
    desk.owner.write_text('{"pid": 12, "slots": 4, "taken": 3}')
    assert who_serves(desk) == "a supervisor serves this lab (pid 12): 3 of 4 slots taken"
    lock.release()
