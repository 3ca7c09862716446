"""Cells in this process: scores that follow from their saved predictions, the same to the last digit, refusals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shrunk_core.config.cell import CellSpec, FinetuneSpec, TaskSpec
from shrunk_core.config.spec import RunSpec
from shrunk_core.downstream import finetune
from shrunk_core.downstream.cell import CellRuntime, cell_events
from shrunk_core.downstream.examples import drawn_places
from shrunk_core.downstream.predictions import decide
from shrunk_core.downstream.rows import read_task_rows
from shrunk_core.engine.cell_plan import Question, plan_cells
from shrunk_core.errors import DataError, RunError
from shrunk_core.record.cell_events import CellData, CellEpoch, CellFinished, CellScored
from shrunk_core.record.celldir import write_cell
from shrunk_core.record.events import Event
from shrunk_core.record.rundir import RunDir, this_process
from shrunk_core.train.runtime import Requests
from word_lab import word_lab, write_task

TASK = TaskSpec(
    name="ends", fields=("sentence",), labels=("ball", "house"), metrics=("matthews", "accuracy", "f1"), average=False
)
NUMBERS = TaskSpec(name="ends", fields=("sentence",), metrics=("pearson", "spearman"))
SETTINGS = FinetuneSpec(epochs=3, learning_rates=(1e-2,), precision="fp32", batch_size=16)


@pytest.fixture
def language(tmp_path: Path) -> tuple[Path, RunSpec]:
    write_task(tmp_path, "ends", train=160, validation=81)
    return word_lab(tmp_path)


def cell_of(lab: Path, run: RunSpec, task: TaskSpec = TASK, **settings: Any) -> CellSpec:
    source = lab.parent / "tasks"
    return CellSpec(
        run_id=run.run_id,
        checkpoint="untrained",
        task=task,
        data_fingerprint=read_task_rows(task, str(source)).fingerprint,
        source=str(source),
        vocabulary="",
        vocabulary_digest="",
        seed=0,
        finetune=dataclasses.replace(SETTINGS, **settings),
    )


def begin(lab: Path, run: RunSpec, cell: CellSpec, attempt: int = 1) -> tuple[RunDir, Any]:
    folder, me = write_cell(lab, cell), this_process()
    birth = {
        "attempt": attempt, "host": me.host, "pid": me.pid, "process_started_at": me.started_at, "device": "cpu",
        "device_name": "a processor", "threads": 1, "micro_batch": 16, "torch_version": "2", "shrunk_version": "0",
    }  # fmt: skip
    runtime = CellRuntime(device=torch.device("cpu"), requests=Requests(folder.control), birth=birth)
    return folder, cell_events(lab, folder, cell, run, runtime)


def whole(lab: Path, run: RunSpec, cell: CellSpec) -> tuple[RunDir, list[Event]]:
    folder, events = begin(lab, run, cell)
    return folder, list(events)


def test_scores_are_the_official_definitions_on_the_saved_predictions(language: tuple[Path, RunSpec]) -> None:
    lab, run = language
    folder, events = whole(lab, run, cell_of(lab, run))
    scores = {e.metric: e for e in events if isinstance(e, CellScored)}
    with np.load(folder.path / "predictions.npz") as saved:
        labels, answers = saved["validation.labels"], decide(saved["validation.answers"])
    right = int(((labels == 1) & (answers == 1)).sum())
    none = int(((labels == 0) & (answers == 0)).sum())
    false, missed = int((answers == 1).sum()) - right, int((labels == 1).sum()) - right
    matthews = (right * none - false * missed) / np.sqrt(
        float(right + false) * (right + missed) * (none + false) * (none + missed)
    )
    assert scores["matthews"].value == pytest.approx(matthews, abs=1e-9)
    assert scores["accuracy"].value == pytest.approx((right + none) / 81, abs=1e-9)
    assert scores["f1"].value == pytest.approx(2 * right / (2 * right + false + missed), abs=1e-9)
    assert scores["accuracy"].value > 0.9, "a word that tells the label is learnt from an untrained start"
    assert all(e.n == 81 and e.stderr >= 0 for e in scores.values())
    assert isinstance(events[-1], CellFinished)


def test_correlations_of_a_task_of_numbers_follow_from_its_predictions(language: tuple[Path, RunSpec]) -> None:
    lab, run = language
    folder, events = whole(lab, run, cell_of(lab, run, NUMBERS))
    scores = {e.metric: e.value for e in events if isinstance(e, CellScored)}
    with np.load(folder.path / "predictions.npz") as saved:
        x, y = saved["validation.labels"].astype(float), saved["validation.answers"][:, 0].astype(float)

    def pearson(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a - a.mean(), b - b.mean()
        return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))

    def ranks(a: np.ndarray) -> np.ndarray:
        return np.array([(a < v).sum() + ((a == v).sum() + 1) / 2 for v in a])

    assert scores["pearson"] == pytest.approx(pearson(x, y), abs=1e-9)
    assert scores["spearman"] == pytest.approx(pearson(ranks(x), ranks(y)), abs=1e-9)


def test_a_cell_that_was_cut_off_ends_with_the_same_digits(
    language: tuple[Path, RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, run = language
    monkeypatch.setattr(finetune, "SAVE_SECONDS", 0.0)
    once, _ = whole(lab, run, cell_of(lab, run, learning_rates=(1e-3, 1e-2)))
    wanted = (once.path / "predictions.npz").read_bytes()
    other = cell_of(lab, run, learning_rates=(1e-3, 1e-2), max_length=127)  # the same work under another id
    folder, events = begin(lab, run, other)
    epochs = 0
    for event in events:
        epochs += isinstance(event, CellEpoch)
        if epochs == 4:  # the state after it is saved when the next event is asked for
            break
    next(events)
    events.close()
    assert not (folder.path / "predictions.npz").exists(), "nothing is half-written"
    _, again = begin(lab, run, other, attempt=2)
    later = list(again)
    assert sum(isinstance(e, CellEpoch) for e in later) == 2, "of six epochs four were done"
    assert (folder.path / "predictions.npz").read_bytes() == wanted


def test_fewer_training_rows_are_a_part_of_more_and_the_slice_stays_apart(language: tuple[Path, RunSpec]) -> None:
    lab, run = language
    _, events = whole(lab, run, cell_of(lab, run, train_examples=40, epochs=1))
    kept = {e.split: sum(e.kept) for e in events if isinstance(e, CellData)}
    assert kept == {"selection": 16, "train": 40, "validation": 81}
    assert set(drawn_places(100, 20, 3)) < set(drawn_places(100, 50, 3)) < set(range(100))


def test_what_cannot_be_scored_is_refused_by_name_and_leaves_nothing(language: tuple[Path, RunSpec]) -> None:
    lab, run = language

    def refusal(cell: CellSpec, spec: RunSpec = run) -> str:
        folder, events = begin(lab, spec, cell)
        with pytest.raises((DataError, RunError)) as refused:
            list(events)
        assert not (folder.path / "predictions.npz").exists() and not folder.checkpoints.exists()
        return str(refused.value)

    cell = cell_of(lab, run)
    assert "train it first, or take another checkpoint" in refusal(dataclasses.replace(cell, checkpoint="best"))
    assert "has kept no checkpoint of update 7" in refusal(dataclasses.replace(cell, checkpoint="7"))
    small = dataclasses.replace(run, model=dataclasses.replace(run.model, vocab_size=64))
    assert "not the tokenizer that the run was trained with" in refusal(cell, small)
    assert "160 train examples left, fewer than 500" in refusal(cell_of(lab, run, min_examples=500))
    rows = lab.parent / "tasks" / "ends" / "train.jsonl"
    rows.write_text(rows.read_text() + json.dumps({"sentence": "one more", "label": 0}) + "\n")
    assert "have changed since this cell was asked for" in refusal(cell)


def test_counts_are_told_for_every_language_of_a_probe(tmp_path: Path) -> None:
    lab, run = word_lab(tmp_path)
    other = dataclasses.replace(run, train=dataclasses.replace(run.train, sequence_length=16))
    question = Question(
        tasks=("bigram-shift",), source="", checkpoints=("best", "untrained"), seeds=2, settings=FinetuneSpec()
    )
    plan = plan_cells(lab, {"a": run, "b": other}, question)
    assert [count.task for count in plan.counts] == ["bigram-shift"] * 2
    assert len(plan.cells) == 8 and len({cell.data_fingerprint for cell in plan.cells}) == 2
