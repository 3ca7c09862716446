"""What the screens read of a lab's logs: rows from the end of a log, curves from all of it, and what is appended."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.record.events import encode
from store_lab import T0, born, evaluated, finished, resumed, started, step, write

from shrunk_tui import step_lines
from shrunk_tui.curves import STEP_FIELDS, RunCurves
from shrunk_tui.replay import Replay
from shrunk_tui.watcher import Watcher


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return init_lab(tmp_path / "lab")


def test_later_looks_bring_what_was_appended_and_what_went(small: Path) -> None:
    run, other = born(small, name="a"), born(small, seed=1, name="b")
    write(run.events_file, started(), step(1))
    watcher = Watcher(small)
    assert watcher.look().changed == {run.run_id, other.run_id}
    write(run.events_file, step(2, loss=4.5))
    look = watcher.look()
    assert look.changed == {run.run_id} and [e.kind for _, e in look.events] == ["step"]
    assert watcher.rows[run.run_id].standing.loss == 4.5
    other.spec_file.unlink()
    assert watcher.look().removed == {other.run_id}
    assert set(watcher.rows) == {run.run_id}


def test_a_broken_spec_is_named_and_a_lost_lab_is_an_error(small: Path) -> None:
    run = born(small)
    run.spec_file.write_text("{")
    watcher = Watcher(small)
    watcher.look()
    assert list(watcher.unreadable) == [run.run_id]
    small.rename(small.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError):
        watcher.look()


def test_curves_take_back_what_a_resumption_superseded(small: Path) -> None:
    run = born(small)
    write(run.events_file, started(at=T0), *(step(u, loss=u, at=T0 + u) for u in range(1, 9)), evaluated(8, at=T0 + 8))
    curves = RunCurves(run.events_file, STEP_FIELDS)
    assert curves.read() and len(curves.steps) == 8 and len(curves.evaluations) == 1
    before = curves.steps
    write(run.events_file, resumed(2, 5, at=T0 + 1000), step(6, loss=60.0, attempt=2, at=T0 + 1001))
    assert curves.read()
    steps = curves.steps
    assert steps.columns["update"].tolist() == [1, 2, 3, 4, 5, 6]
    assert steps.columns["loss"].tolist() == [1, 2, 3, 4, 5, 60]
    assert steps.columns["elapsed"].tolist() == [1, 2, 3, 4, 5, 9], "waiting between attempts is no work"
    assert len(curves.evaluations) == 0
    assert len(before) == 8 and before.columns["loss"].tolist()[-1] == 8, "what was handed out stays as it was"
    assert steps.version != before.version
    assert not curves.read()


def test_curves_live_with_words_for_numbers_torn_lines_and_nonsense(small: Path) -> None:
    run = born(small)
    write(run.events_file, started(), step(1), step(2, loss=math.nan), step(3))
    with open(run.events_file, "ab") as log:
        log.write(b"no json\n[1]\n" + encode(step(4)).encode())
    curves = RunCurves(run.events_file, STEP_FIELDS)
    curves.read()
    x, y = curves.steps.finite("update", "loss")
    assert x.tolist() == [1, 3] and len(y) == 2
    with open(run.events_file, "ab") as log:
        log.write(b"\n")
    curves.read()
    assert curves.steps.columns["update"].tolist() == [1, 2, 3, 4]


def test_a_long_log_reads_as_its_lines_do_one_by_one(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not Arrow's reader takes the lines: it refuses the loss that is no number and the damaged line."""
    plain, odd = born(small), born(small, seed=1)
    many = [step(u, loss=math.sin(u), at=T0 + u / 8) for u in range(1, 3 * step_lines.MANY)]
    for run, loss in ((plain, 1.5), (odd, math.nan)):
        write(run.events_file, started(at=T0), *many, evaluated(len(many), at=T0 + 1e6),
              resumed(2, 7, at=T0 + 1e7), step(8, loss=loss, at=T0 + 1e7 + 3), *many[8:])  # fmt: skip
    text = odd.events_file.read_text()
    odd.events_file.write_text(
        text.replace('"update":9,', '"update":,', 1).replace('"kind":"step"', '"kind": "step"', 1)
    )
    for run in (plain, odd):
        quick = RunCurves(run.events_file, STEP_FIELDS)
        quick.read()
        with monkeypatch.context() as slow:
            slow.setattr(step_lines, "MANY", 10**9)
            plainly = RunCurves(run.events_file, STEP_FIELDS)
            plainly.read()
        assert len(quick.steps) == len(plainly.steps) >= len(many) - 1
        for field in STEP_FIELDS:
            a, b = quick.steps.columns[field], plainly.steps.columns[field]
            assert a.dtype == b.dtype and (np.array_equal(a, b, equal_nan=True)), field
        assert quick.steps.columns["elapsed"][7] == 1e6 + 3, "seconds at work, those until the evaluation included"


def test_evaluations_alone_are_read_without_steps(small: Path) -> None:
    run = born(small)
    write(
        run.events_file, started(), step(1), evaluated(1), evaluated(1, split="test"), step(2), evaluated(2, loss=4.0)
    )
    curves = RunCurves(run.events_file)
    curves.read()
    assert len(curves.steps) == 0
    assert curves.evaluations.columns["update"].tolist() == [1, 2]


def test_replay_plays_the_logs_of_the_chosen_runs_to_their_end(small: Path, tmp_path: Path) -> None:
    one, two = born(small, name="a"), born(small, seed=1, name="b")
    for run in (one, two):
        write(run.events_file, started(host="elsewhere", pid=1), step(50, at=T0 + 50), evaluated(50, at=T0 + 50),
              finished(at=T0 + 51))  # fmt: skip
    logs = {run: run.events_file.read_bytes() for run in (one, two)}
    played = Replay(small, [one.run_id], tmp_path / "stage")
    played.play(math.inf)
    watcher = Watcher(played.stage)
    watcher.look()
    assert [row.status.status for row in watcher.rows.values()] == ["finished"]
    lines = (played.stage / "runs" / one.run_id / "events.jsonl").read_text().splitlines()
    assert [json.loads(x)["kind"] for x in lines] == ["started", "step", "evaluated", "finished"]
    assert json.loads(lines[0])["host"] != "elsewhere", "its worker is played by this process"
    assert logs == {run: run.events_file.read_bytes() for run in (one, two)}
