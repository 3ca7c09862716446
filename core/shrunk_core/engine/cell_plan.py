"""Which cells a question needs: runs x checkpoints x tasks x seeds, and what is left of each task by a filter. No torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from ..config.cell import CellSpec, FinetuneSpec, PairsSpec, TaskSpec
from ..config.spec import RunSpec
from ..downstream.pair_rows import filter_pairs, pairs_task, read_pairs
from ..downstream.probes import PROBE, PROBES, probe_language, probe_rows, probe_task
from ..downstream.rows import TaskRows, read_task_rows
from ..downstream.sizes import refuse_small
from ..downstream.tasks import find_task
from ..downstream.vocabulary_filter import Count, count_rows, filter_task
from ..errors import ConfigError, DataError
from ..language.corpus import corpus_folder
from ..language.vocabulary import load_vocabulary, vocabulary_digest
from .hardware import resolve_precision


@dataclass(frozen=True, kw_only=True)
class TaskCounts:
    """What a filter leaves of a task, for runs of one word list. refusal: why it is not scored, "" if it is."""

    task: str
    vocabulary: str
    counts: tuple[Count, ...]
    refusal: str = ""


@dataclass
class CellPlan:
    """The cells of a question, and what a person should read before anything trains."""

    cells: list[CellSpec] = field(default_factory=list)
    counts: list[TaskCounts] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of every run. vocabulary: a word list; "" takes the run's own. Checkpoints by name."""

    tasks: tuple[str, ...]
    source: str
    checkpoints: tuple[str, ...]
    seeds: int
    settings: FinetuneSpec
    filtered: bool = False
    vocabulary: str = ""


def plan_cells(lab: Path, runs: dict[str, RunSpec], question: Question) -> CellPlan:
    """The cells of a question about fine-tuning tasks and probes. DataError and ConfigError name what cannot be asked."""
    plan = CellPlan()
    rows: dict[tuple[str, str], TaskRows] = {}
    words: dict[str, frozenset[str]] = {}
    seen: dict[tuple[str, str, str], TaskCounts] = {}
    for name in question.tasks:
        task = probe_task(name) if name in PROBES else find_task(name)
        for run_id, run in runs.items():
            source = PROBE if name in PROBES else question.source
            if not source:
                raise ConfigError(f"where are the rows of {name}? --data DIR, or --data hub")
            key = (name, probe_language(run) if source == PROBE else "")
            if key not in rows:
                rows[key] = probe_rows(lab, run, task) if source == PROBE else read_task_rows(task, source)
            filtered = question.filtered and source != PROBE
            vocabulary = word_list(lab, run, question.vocabulary) if filtered else ""
            precision = resolve_precision(question.settings.precision, run.train.device)
            cell = CellSpec(
                run_id=run_id,
                checkpoint="",
                task=task,
                data_fingerprint=rows[key].fingerprint,
                source=source if source in (PROBE, "hub") else str(Path(source).expanduser().absolute()),
                vocabulary=vocabulary,
                vocabulary_digest=vocabulary_digest(vocabulary) if vocabulary else "",
                seed=0,
                finetune=dataclasses.replace(question.settings, precision=precision),
            )
            which = (*key, cell.vocabulary_digest)
            if which not in seen:
                if vocabulary and cell.vocabulary_digest not in words:
                    words[cell.vocabulary_digest] = load_vocabulary(vocabulary).words
                kept = filter_task(rows[key], words[cell.vocabulary_digest]) if vocabulary else rows[key]
                seen[which] = _counts(task, vocabulary, rows[key], kept, question.settings)
                plan.counts.append(seen[which])
            if not seen[which].refusal:
                plan.cells += [
                    dataclasses.replace(cell, checkpoint=checkpoint, seed=seed)
                    for checkpoint in question.checkpoints
                    for seed in range(question.seeds)
                ]
    return plan


def word_list(lab: Path, run: RunSpec, wanted: str) -> str:
    """The word list of the filter: as named, else the one that the run's corpus was reduced to."""
    if wanted:
        return wanted if not Path(wanted).expanduser().exists() else str(Path(wanted).expanduser().absolute())
    path = corpus_folder(lab, run.corpus_fingerprint) / "vocabulary.txt"
    if not path.is_file():
        raise DataError(
            f"the run's language has no word list ({path} is not there: unfiltered, or not built yet); name one with "
            "--vocabulary"
        )
    return str(path)


def _counts(task: TaskSpec, vocabulary: str, before: TaskRows, after: TaskRows, settings: FinetuneSpec) -> TaskCounts:
    counts = tuple(count_rows(task, split, before.splits[split], after.splits[split]) for split in before.splits)
    refusal = ""
    try:
        refuse_small(settings, task.name, after)
    except DataError as problem:
        refusal = str(problem)
    return TaskCounts(task=task.name, vocabulary=vocabulary, counts=counts, refusal=refusal)


def plan_pairs(
    lab: Path,
    runs: dict[str, RunSpec],
    path: Path,
    checkpoints: tuple[str, ...],
    spec: PairsSpec,
    filtered: bool,
    vocabulary: str,
) -> CellPlan:
    """The cells of a file of minimal pairs."""
    pairs = read_pairs(path)
    task, plan = pairs_task(path), CellPlan()
    for run_id, run in runs.items():
        words = word_list(lab, run, vocabulary) if filtered else ""
        if words:
            kept = len(filter_pairs(pairs, load_vocabulary(words).words))
            count = Count(split="pairs", seen=len(pairs), kept=kept, labels=("",), by_label=(kept,))
            plan.counts.append(TaskCounts(task=task.name, vocabulary=words, counts=(count,)))
        plan.cells += [
            CellSpec(
                run_id=run_id,
                checkpoint=checkpoint,
                task=task,
                data_fingerprint=pairs.fingerprint,
                source=str(path.absolute()),
                vocabulary=words,
                vocabulary_digest=vocabulary_digest(words) if words else "",
                seed=0,
                pairs=dataclasses.replace(spec, precision=resolve_precision(spec.precision, run.train.device)),
            )
            for checkpoint in checkpoints
        ]
    return plan
