"""Downstream cells in the index: every score once, finished cells only, means, averages, gains."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from cell_lab import TASK, cell, cell_finished, cell_started, scored_event
from shrunk_core.config.lab import init_lab
from shrunk_core.record.cell_events import GainMeasured
from shrunk_core.record.celldir import write_cell
from shrunk_core.store.store import open_store
from store_lab import T0, born, finished, started, write

WNLI = dataclasses.replace(TASK, name="wnli", metrics=("accuracy",))


def ask(lab: Path, query: str) -> list[tuple[Any, ...]]:
    store = open_store(lab)
    report = store.refresh(force=True)
    assert not report.problems
    rows = store.query(query).rows
    store.close()
    return rows


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return init_lab(tmp_path / "lab")


def test_scores_of_finished_cells_stand_once(lab: Path) -> None:
    run = born(lab)
    write(run.events_file, started(), finished())
    whole, killed = cell(run.run_id), cell(run.run_id, seed=1)
    log = write_cell(lab, whole).events_file
    write(log, cell_started(T0), scored_event(0.4))
    assert ask(lab, "select * from task_scores") == []
    write(log, cell_started(T0 + 1, attempt=2), scored_event(0.4, attempt=2), cell_finished())
    write(write_cell(lab, killed).events_file, cell_started(T0), scored_event(0.9))
    query = "select run_id, checkpoint, task, filtered, seed, metric, value, stderr, n, epochs from task_scores"
    assert ask(lab, query) == [(run.run_id, "best", "cola", False, 0, "matthews", 0.4, 0.01, 100, 2)]
    assert ask(lab, "select status from runs") == [("finished",)]


def test_means_are_over_seeds_and_averages_over_glue_with_and_without_wnli(lab: Path) -> None:
    run = born(lab)
    for seed, value in enumerate((0.2, 0.4)):
        write(write_cell(lab, cell(run.run_id, seed=seed)).events_file, scored_event(value), cell_finished())
    other = cell(run.run_id, task=WNLI)
    write(write_cell(lab, other).events_file, scored_event(0.5, "accuracy"), cell_finished())
    probe = cell(run.run_id, task=dataclasses.replace(WNLI, name="bigram-shift", average=False))
    write(write_cell(lab, probe).events_file, scored_event(0.9, "accuracy"), cell_finished())
    means = ask(lab, "select task, mean, seeds from task_means order by task")
    assert [(t, round(m, 9), s) for t, m, s in means] == [("bigram-shift", 0.9, 1), ("cola", 0.3, 2), ("wnli", 0.5, 1)]
    (average,) = ask(lab, "select average, without_wnli, tasks, seeds from task_averages")
    assert average[0] == pytest.approx(0.4) and average[1] == pytest.approx(0.3)
    assert average[2:] == (["cola", "wnli"], 1)


def test_the_gain_with_most_seeds_stands(lab: Path) -> None:
    run = born(lab)
    for seed, seeds in ((0, 1), (1, 3), (2, 2)):
        spec = cell(run.run_id, seed=seed)
        write(write_cell(lab, spec).events_file, _gain(spec.comparison, seeds), cell_finished())
    assert ask(lab, "select task, seeds, gain, low, high from pretraining_gain") == [("cola", 3, 0.1, 0.05, 0.15)]


def test_a_removed_cell_and_a_removed_run_leave_the_views(lab: Path) -> None:
    import shutil

    run = born(lab)
    spec = cell(run.run_id)
    folder = write_cell(lab, spec)
    write(folder.events_file, scored_event(0.4), cell_finished())
    assert len(ask(lab, "select * from task_scores")) == 1
    shutil.rmtree(folder.path)
    assert ask(lab, "select * from task_scores") == []


def _gain(comparison: str, seeds: int) -> GainMeasured:
    return GainMeasured(
        attempt=1,
        comparison=comparison,
        checkpoint="best",
        task="cola",
        split="validation",
        metric="matthews",
        place=0,
        pretrained=0.3,
        untrained=0.2,
        gain=0.1,
        low=0.05,
        high=0.15,
        seeds=seeds,
        n=100,
    )
