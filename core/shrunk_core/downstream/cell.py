"""One downstream cell from its spec to its score, as a generator of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..config.cell import CellSpec
from ..config.spec import RunSpec
from ..errors import DataError
from ..language.packing import BOS
from ..language.tokenizer import tokenizer_folder
from ..language.vocabulary import load_vocabulary, vocabulary_digest
from ..record.cell_events import CellData as CellDataEvent
from ..record.cell_events import CellFinished, CellScored, CellStarted
from ..record.events import Event
from ..record.rundir import RunDir, run_dir
from ..train.pretrain import Barrier
from ..train.runtime import Requests
from .examples import drawn_places, encode_rows, open_encoder
from .finetune import CellData, FineTuner
from .metrics import Resampler, metric_value
from .minimal_pairs import pair_events
from .predictions import decide, gain_events, write_predictions
from .probes import PROBE, probe_rows
from .rows import TRAIN, Rows, TaskRows, read_task_rows
from .selection import families, selection_places
from .sizes import refuse_small
from .vocabulary_filter import count_rows, filter_task
from .weights import encoder_of, load_weights


@dataclass(frozen=True, kw_only=True)
class CellRuntime:
    """Where and as what a cell is computed. birth: the fields of an `Attempt`."""

    device: torch.device
    requests: Requests
    birth: dict[str, object]

    @property
    def attempt(self) -> int:
        return int(str(self.birth["attempt"]))


def cell_events(lab: Path, folder: RunDir, cell: CellSpec, run: RunSpec, runtime: CellRuntime) -> Iterator[Event]:
    """All events of the cell's first or next attempt. `run`: the spec of the run it belongs to."""
    if cell.pairs is not None:
        yield from pair_events(lab, folder, cell, run, runtime.device, runtime.requests, runtime.birth)
        return
    assert cell.finetune is not None
    if len(cell.finetune.learning_rates) > 1 and not cell.finetune.select_share:
        raise DataError("several learning rates need a selection slice (select_share) to choose from")
    rows, counts = cell_rows(lab, cell, run)
    data, split_events = _data(lab, cell, run, rows, counts, runtime.attempt)
    weights = load_weights(lab, run_dir(lab, cell.run_id), run, cell.checkpoint)
    tuner = FineTuner(
        cell.task,
        cell.finetune,
        run.model,
        encoder_of(weights),
        data,
        seed=cell.seed,
        device=runtime.device,
        cell=folder,
        requests=runtime.requests,
        attempt=runtime.attempt,
    )
    tuner.restore()
    yield CellStarted(**runtime.birth, from_update=tuner.progress.update)  # type: ignore[arg-type]
    yield from split_events
    yield from tuner.events()
    chosen = tuner.progress.chosen
    if chosen is None or runtime.requests.reason() and tuner.progress.trial < len(cell.finetune.learning_rates):
        return
    yield Barrier()
    answers = {split: decide(tensor.numpy()) for split, tensor in chosen.answers.items()}
    labels = {split: examples.labels for split, examples in data.scored.items()}
    scores = list(_scores(cell, labels, answers, chosen.epoch, chosen.learning_rate, runtime.attempt))
    write_predictions(folder, labels, {split: tensor.numpy() for split, tensor in chosen.answers.items()})
    yield from scores
    yield from gain_events(lab, cell, runtime.attempt)
    yield CellFinished(
        attempt=runtime.attempt,
        update=tuner.progress.update,
        epoch=chosen.epoch,
        seconds=round(tuner.progress.seconds, 3),
    )
    for path in folder.checkpoints.glob("update-*/*"):  # they were for a killed worker only
        path.unlink()


def cell_rows(lab: Path, cell: CellSpec, run: RunSpec) -> tuple[TaskRows, TaskRows]:
    """The rows that the cell uses and the rows before its filter. DataError when they are not those of its spec."""
    if cell.source == PROBE:
        before = probe_rows(lab, run, cell.task)
    else:
        before = read_task_rows(cell.task, cell.source)
    if before.fingerprint != cell.data_fingerprint:
        raise DataError(
            f"the rows of {cell.task.name} in {cell.source} have changed since this cell was asked for; ask again "
            "(`shrunk glue`), which makes a new cell of the new rows"
        )
    if not cell.filtered:
        return before, before
    if vocabulary_digest(cell.vocabulary) != cell.vocabulary_digest:
        raise DataError(f"the word list {cell.vocabulary} has changed since this cell was asked for; ask again")
    return filter_task(before, load_vocabulary(cell.vocabulary).words), before


def _data(
    lab: Path, cell: CellSpec, run: RunSpec, rows: TaskRows, before: TaskRows, attempt: int
) -> tuple[CellData, list[Event]]:
    """The examples of every split, and the events that report their numbers."""
    spec = cell.finetune
    assert spec is not None
    refuse_small(spec, cell.task.name, rows)
    encoder = open_encoder(tokenizer_folder(lab, run.tokenizer_fingerprint))
    room = min(spec.max_length, run.model.max_positions - 2)
    train, selection = rows.splits[TRAIN], None
    events: list[Event] = []

    def report(split: str, seen: int, part: Rows) -> None:
        count = count_rows(cell.task, split, part, part)
        events.append(CellDataEvent(attempt=attempt, split=split, seen=seen, labels=count.labels, kept=count.by_label))

    seen = len(before.splits[TRAIN])
    if spec.select_share:
        places = selection_places(families(train), spec.select_share, spec.select_max, cell.seed)
        selection = train.take(places)
        train = train.take(np.setdiff1d(np.arange(len(train)), places))
        report("selection", seen, selection)
    if 0 < spec.train_examples < len(train):
        train = train.take(drawn_places(len(train), spec.train_examples, cell.seed))
    report(TRAIN, seen, train)
    scored = {split: rows.splits[split] for split in cell.task.splits}
    for split, part in scored.items():
        report(split, len(before.splits[split]), part)
    data = CellData(
        train=encode_rows(train, encoder, room),
        selection=None if selection is None else encode_rows(selection, encoder, room),
        scored={split: encode_rows(part, encoder, room) for split, part in scored.items()},
    )
    biggest = max((int(e.ids.max()) for e in (data.train, *data.scored.values())), default=BOS)
    if biggest >= run.model.vocab_size:
        raise DataError(
            f"the tokenizer {run.tokenizer_fingerprint} gives token {biggest}, but the model has only "
            f"{run.model.vocab_size} rows: it is not the tokenizer that the run was trained with"
        )
    return data, events


def _scores(
    cell: CellSpec, labels: dict[str, np.ndarray], answers: dict[str, np.ndarray], epoch: int, rate: float, attempt: int
) -> Iterator[CellScored]:
    for split in cell.task.splits:
        sample = Resampler(len(labels[split]))
        for place, metric in enumerate(cell.task.metrics):
            value = metric_value(metric, labels[split], answers[split])
            yield CellScored(
                attempt=attempt,
                split=split,
                group="",
                metric=metric,
                place=place,
                value=value,
                stderr=sample.stderr(metric, labels[split], answers[split]),
                n=len(labels[split]),
                epoch=epoch,
                learning_rate=rate,
            )
