"""Labs made by hand for the tests of the index: specs, and logs as a worker would write them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.config.spec import ModelSpec, RunSpec, TrainSpec
from shrunk_core.record.eventlog import EventWriter
from shrunk_core.record.events import CheckpointSaved, Evaluated, Event, Finished, Resumed, Started, Step
from shrunk_core.record.rundir import RunDir, this_process, write_spec

T0 = 1_760_000_000.0
COSTS = {
    "num_params": 5_022_274,
    "embedding_params": 1_225_216,
    "flops_paper": 3_820_781_568,
    "flops_hoffmann": 4_000_000_000,
    "flops_kaplan": 900_000_000,
    "flops_executed": 500_000_000,
}


def spec(seed: int = 0, **model: Any) -> RunSpec:
    return RunSpec(
        model=ModelSpec(**model),
        corpus=CorpusSpec(sources=("embedded:kjv",)),
        tokenizer=TokenizerSpec(),
        train=TrainSpec(updates=100, batch_size=4, sequence_length=64),
        seed=seed,
        corpus_fingerprint="c" * 12,
        tokenizer_fingerprint="t" * 12,
    )


def born(lab: Path, seed: int = 0, name: str = "run", grid: str = "grid", **model: Any) -> RunDir:
    """A run with its spec and no log."""
    return write_spec(lab, spec(seed, **model), name=name, grid=grid, costs=COSTS)


def started(at: float = T0, **other: object) -> Started:
    me = this_process()
    fields: dict[str, object] = {
        "attempt": 1,
        "host": me.host,
        "pid": me.pid,
        "process_started_at": me.started_at,
        "device": "cpu",
        "device_name": "a processor",
        "threads": 1,
        "micro_batch": 4,
        "torch_version": "2",
        "shrunk_version": "0",
        "num_params": 5_022_274,
        "unigram_loss": 5.5,
        "train_tokens": 100_000,
        "logged_at": at,
    }
    return Started(**{**fields, **other})  # type: ignore[arg-type]


def resumed(attempt: int, from_update: int, at: float = T0) -> Resumed:
    first = {f.name: getattr(started(at), f.name) for f in dataclasses.fields(Resumed) if f.name != "from_update"}
    return Resumed(**{**first, "attempt": attempt, "from_update": from_update})


def step(update: int, loss: float = 5.0, attempt: int = 1, at: float = T0) -> Step:
    return Step(
        attempt=attempt,
        update=update,
        tokens=update * 256,
        flops=update * 4 * COSTS["flops_paper"],
        loss=loss,
        learning_rate=1e-3,
        grad_norm=1.0,
        tokens_per_second=1000.0,
        logged_at=at,
    )


def evaluated(update: int, loss: float = 5.0, attempt: int = 1, split: str = "validation", at: float = T0) -> Evaluated:
    return Evaluated(
        attempt=attempt,
        update=update,
        tokens=update * 256,
        flops=update * 4 * COSTS["flops_paper"],
        split=split,
        evaluation_id=spec().evaluation_id,
        loss=loss,
        loss_stderr=0.01,
        num_masked_tokens=1000,
        num_sequences=100,
        unigram_loss=5.5,
        unigram_stderr=0.01,
        seconds=0.5,
        logged_at=at,
    )


def saved(update: int, attempt: int = 1, at: float = T0) -> CheckpointSaved:
    return CheckpointSaved(
        attempt=attempt, update=update, path=f"update-{update}", best=False, num_bytes=1, logged_at=at
    )


def finished(update: int = 100, at: float = T0) -> Finished:
    return Finished(
        attempt=1,
        update=update,
        tokens=update * 256,
        flops=update * 4 * COSTS["flops_paper"],
        best_update=update,
        best_loss=4.0,
        final_loss=4.0,
        seconds=1.0,
        logged_at=at,
    )


def write(path: Path, *events: Event) -> None:
    """Append events to a log as its one writer."""
    writer = EventWriter(path)
    writer.append(*events)
    writer.close()
