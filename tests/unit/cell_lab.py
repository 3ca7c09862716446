"""Downstream cells made by hand, for tests of the queue, the index and the tables."""

from __future__ import annotations

from typing import Any

from shrunk_core.config.cell import CellSpec, FinetuneSpec, TaskSpec
from shrunk_core.record.cell_events import CellFinished, CellScored, CellStarted
from shrunk_core.record.rundir import this_process

TASK = TaskSpec(name="cola", fields=("sentence",), labels=("unacceptable", "acceptable"), metrics=("matthews",))


def cell(run_id: str, checkpoint: str = "best", seed: int = 0, task: TaskSpec = TASK, **changes: Any) -> CellSpec:
    fields: dict[str, Any] = {
        "run_id": run_id,
        "checkpoint": checkpoint,
        "task": task,
        "data_fingerprint": "d" * 12,
        "source": "/data/glue",
        "vocabulary": "",
        "vocabulary_digest": "",
        "seed": seed,
        "finetune": FinetuneSpec(),
    }
    return CellSpec(**(fields | changes))


def cell_started(at: float, attempt: int = 1, from_update: int = 0, **changes: Any) -> CellStarted:
    me = this_process()
    fields: dict[str, Any] = {
        "attempt": attempt,
        "host": me.host,
        "pid": me.pid,
        "process_started_at": me.started_at,
        "device": "cpu",
        "device_name": "a processor",
        "threads": 1,
        "micro_batch": 32,
        "torch_version": "2",
        "shrunk_version": "0",
        "from_update": from_update,
        "logged_at": at,
    }
    return CellStarted(**(fields | changes))


def scored_event(
    value: float, metric: str = "matthews", attempt: int = 1, at: float = 1.0, **changes: Any
) -> CellScored:
    fields: dict[str, Any] = {
        "attempt": attempt,
        "split": "validation",
        "group": "",
        "metric": metric,
        "place": 0,
        "value": value,
        "stderr": 0.01,
        "n": 100,
        "epoch": 2,
        "learning_rate": 1e-3,
        "logged_at": at,
    }
    return CellScored(**(fields | changes))


def cell_finished(at: float = 2.0) -> CellFinished:
    return CellFinished(attempt=1, update=10, epoch=2, seconds=1.0, logged_at=at)
