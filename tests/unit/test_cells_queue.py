"""Downstream cells in the queue: they wait for their run, start when it has finished, and say why they never will."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cell_lab import cell, cell_started
from recorder import Recorder
from shrunk_core.config.cell import SETTINGS, cell_from_dict, cell_to_dict
from shrunk_core.config.lab import init_lab, read_settings
from shrunk_core.config.spec import from_dict, to_plain
from shrunk_core.engine import service as serving
from shrunk_core.engine.actions import heed
from shrunk_core.engine.recovery import recover
from shrunk_core.engine.service import Supervisor
from shrunk_core.engine.watch import Watch
from shrunk_core.record.cell_events import CellFinished
from shrunk_core.record.celldir import read_cell, write_cell
from shrunk_core.record.events import Failed
from shrunk_core.record.rundir import RunDir, cell_dirs, run_dir, run_dirs
from store_lab import born, finished, spec, started, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(serving, "is_built", lambda lab, spec: True)
    return init_lab(tmp_path / "lab")


Serve = Callable[[], tuple[Supervisor, Recorder]]


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    """Makes supervisors of the lab, each with its recorder."""
    made: list[Supervisor] = []

    def make() -> tuple[Supervisor, Recorder]:
        launcher = Recorder()
        made.append(Supervisor(folder, read_settings(folder), launcher, 4))  # type: ignore[arg-type]
        return made[-1], launcher

    yield make
    for supervisor in made:
        supervisor.journal.close()


def submit(supervisor: Supervisor, *specs: object) -> dict[str, list[str]]:
    return heed(supervisor, {"action": "submit-cells", "cells": [cell_to_dict(s) for s in specs]})  # type: ignore[arg-type]


def log(run: RunDir, *events: object) -> None:
    write(run.events_file, *events)  # type: ignore[arg-type]


def test_a_cell_is_its_content_and_reads_back(folder: Path) -> None:
    run = born(folder)
    one = cell(run.run_id)
    assert one.cell_id != cell(run.run_id, seed=1).cell_id != cell(run.run_id, "untrained").cell_id
    assert one.cell_id == cell(run.run_id, source="/elsewhere").cell_id
    assert one.comparison == cell(run.run_id, "untrained", seed=3).comparison
    where = write_cell(folder, one)
    assert where.path == folder / "runs" / run.run_id / "downstream" / one.cell_id
    assert where.run_id == one.job_id
    assert run_dir(folder, one.job_id).path == where.path
    assert read_cell(where) == one == cell_from_dict(cell_to_dict(one))
    assert [c.run_id for c in cell_dirs(run)] == [one.job_id]
    assert [r.run_id for r in run_dirs(folder)] == [run.run_id]


def test_best_waits_for_the_run_and_untrained_does_not(folder: Path, serve: Serve) -> None:
    run = born(folder)
    supervisor, launcher = serve()
    supervisor.enqueue(run.run_id, "submitted")
    supervisor.queue.remove(run.run_id)
    supervisor._launch("slot:0", run.run_id)
    best, untrained = cell(run.run_id), cell(run.run_id, "untrained")
    reply = submit(supervisor, best, untrained)
    assert reply["queued"] == [best.job_id, untrained.job_id]
    launcher.started.clear()
    supervisor._fill()
    assert launcher.started == [str(run_dir(folder, untrained.job_id).path)]
    supervisor.watch.look()
    assert supervisor.watch.status(best.job_id).status == "queued"
    log(run, started(time.time()), finished(time.time()))
    supervisor.watch.look()
    supervisor.slots["slot:0"] = None
    supervisor._fill()
    assert launcher.started[1:] == [str(run_dir(folder, best.job_id).path)]


def test_a_cell_of_a_failed_run_is_refused_with_the_reason(folder: Path, serve: Serve) -> None:
    run = born(folder)
    failed = Failed(attempt=1, update=3, cause="non-finite", message="loss nan", logged_at=time.time())
    log(run, started(time.time() - 1), failed)
    supervisor, launcher = serve()
    spec = cell(run.run_id)
    submit(supervisor, spec)
    supervisor._fill()
    supervisor.watch.look()
    assert launcher.started == [] and len(supervisor.queue) == 0
    status = supervisor.watch.status(spec.job_id)
    assert status.status == "failed"
    assert "is failed: loss nan" in status.reason and "best" in status.reason


def test_a_numbered_checkpoint_needs_its_folder(folder: Path, serve: Serve) -> None:
    run = born(folder)
    log(run, started(time.time() - 1), finished(time.time()))
    (run.checkpoints / "update-000000050").mkdir(parents=True)
    supervisor, launcher = serve()
    there, absent = cell(run.run_id, "50"), cell(run.run_id, "60")
    submit(supervisor, there, absent)
    supervisor._fill()
    supervisor.watch.look()
    assert launcher.started == [str(run_dir(folder, there.job_id).path)]
    assert "kept no checkpoint of update 60" in supervisor.watch.status(absent.job_id).reason


def test_a_finished_cell_is_not_done_again_and_a_new_supervisor_takes_up_what_waits(folder: Path, serve: Serve) -> None:
    run = born(folder)
    log(run, started(time.time() - 1), finished(time.time()))
    done, waiting = cell(run.run_id), cell(run.run_id, seed=1)
    now = time.time()
    log(write_cell(folder, done), cell_started(now - 1), _finished(now))
    first, _ = serve()
    assert submit(first, done, waiting)["queued"] == [waiting.job_id]
    second, launcher = serve()
    recover(second)
    assert second.queue.in_order() == [waiting.job_id]
    second._fill()
    assert launcher.started == [str(run_dir(folder, waiting.job_id).path)]


def test_a_watch_follows_cells_only_when_asked(folder: Path, serve: Serve) -> None:
    run = born(folder)
    spec = cell(run.run_id)
    supervisor, _ = serve()
    submit(supervisor, spec)
    plain, whole, other = Watch(folder), Watch(folder, cells=True), Watch(folder, {"0" * 12}, cells=True)
    for watch in (plain, whole, other):
        watch.look()
    assert spec.job_id not in plain.standings and spec.job_id not in other.standings
    assert whole.status(spec.job_id).status == "queued"
    now = time.time()
    log(run_dir(folder, spec.job_id), cell_started(now))
    assert [job for job, _ in whole.look()] == [spec.job_id]
    assert whole.status(spec.job_id).status == "running"
    log(run_dir(folder, spec.job_id), _finished(now + 1))
    whole.look()
    assert whole.status(spec.job_id).status == "finished"


def _finished(at: float) -> CellFinished:
    return CellFinished(attempt=1, update=10, epoch=1, seconds=1.0, logged_at=at)


def test_a_spec_of_another_version_is_answered_and_nothing_is_written(folder: Path, serve: Serve) -> None:
    supervisor, _ = serve()
    good, newer, short = (to_plain(spec(seed)) for seed in (1, 2, 3))
    newer["train"]["of_tomorrow"] = 1
    del short["tokenizer"]
    requests = [
        {"action": "submit", "grid": "g", "toml": "", "runs": [{"spec": s, "name": "x", "costs": {}} for s in pair]}
        for pair in ((good, newer), (good, short))
    ]
    requests.append({"action": "submit-cells", "cells": [cell_to_dict(cell("0" * 12)) | {"of_tomorrow": 1}]})
    names = [supervisor.desk.put(request) for request in requests]
    supervisor.turn()
    for name in names:
        reply = json.loads((supervisor.desk.replies / f"{name}.json").read_text())
        assert "another version" in reply["error"]
    assert run_dirs(folder) == [] and not supervisor.queue


def test_a_spec_of_an_older_version_has_defaults_for_what_it_lacks() -> None:
    older = to_plain(spec(1))
    for name in ("decay_points", "patience", "recipe"):
        del older["train"][name]
    del older["model"]["fixed_heads"]
    assert from_dict(older) == spec(1) and from_dict(older).run_id == spec(1).run_id


def test_settings_are_called_by_their_name_and_by_what_was_changed_of_them() -> None:
    default = SETTINGS["default"]
    assert default.described == replace(default, precision="fp32", min_examples=5).described == "default"
    assert (
        replace(default, epochs=2, learning_rates=(1e-3, 2e-3)).described
        == "default, learning_rates=[0.001, 0.002], epochs=2"
    )
    assert replace(SETTINGS["paper"], precision="bf16").described == "paper, precision=bf16"
    assert replace(default, name="mine", epochs=9).described == "mine"
