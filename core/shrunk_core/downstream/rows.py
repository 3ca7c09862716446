"""The rows of a task: from a folder of JSON lines, or from the hub; checked one by one, so that a bad one is named."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..config.cell import TaskSpec
from ..config.spec import RUN_ID_LENGTH, canonical_json
from ..errors import DataError

HUB = "hub"
"""The `source` of rows that come from the Hugging Face hub."""

TRAIN = "train"

_FOLDER = (
    "Without a network, give a folder with --data: TASK/SPLIT.jsonl, one JSON object a line with the hub's field names."
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Examples of one split. texts: one list a field. labels: int64 [n], or float64 [n] of a task of numbers."""

    texts: tuple[list[str], ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, at: np.ndarray) -> Rows:
        """The rows at these places."""
        return Rows(tuple([column[i] for i in at] for column in self.texts), self.labels[at])


@dataclass(frozen=True, eq=False)
class TaskRows:
    """All rows of a task that are used: `train` and the scored splits, by name."""

    task: TaskSpec
    splits: dict[str, Rows]

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits of SHA-256 over texts and labels of all splits, in order."""
        total = hashlib.sha256()
        for split, rows in sorted(self.splits.items()):
            total.update(f"{split}:{len(rows)}\n".encode())
            for column in rows.texts:
                total.update(canonical_json(column).encode())
            total.update(rows.labels.tobytes())
        return total.hexdigest()[:RUN_ID_LENGTH]


def read_task_rows(task: TaskSpec, source: str) -> TaskRows:
    """Train and scored splits of a task.

    source: a folder that holds `<task>/<split>.jsonl` (or is `<task>` itself), or `hub`. DataError names the file, the
    line and what is wrong there.
    """
    if TRAIN in task.splits:
        raise DataError(f"{task.name}: the split `{TRAIN}` is trained on and cannot be scored")
    return TaskRows(task, {split: read_split(task, source, split) for split in (TRAIN, *task.splits)})


def read_split(task: TaskSpec, source: str, split: str) -> Rows:
    """The rows of one split, checked."""
    if source == HUB:
        if not task.hub:
            raise DataError(f"{task.name} is not on the hub under a name we know; give a folder with --data")
        where = f"hub:{task.hub}:{split}"
        return _checked(task, _hub_rows(where), where)
    folder = task_folder(task.name, Path(source).expanduser())
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        there = sorted(p.stem for p in folder.glob("*.jsonl"))
        other = [s for s in there if s != TRAIN]
        hint = f"; `{task.name}@{other[-1]}` scores that one" if other and split != TRAIN else ""
        raise DataError(f"{task.name}: no {split}.jsonl in {folder}; there is {', '.join(there) or 'nothing'}{hint}")
    return _checked(task, _json_lines(path), str(path))


def task_folder(name: str, source: Path) -> Path:
    """The folder of a task's files: `source/<name>`, or `source` itself when it holds splits."""
    if (source / name).is_dir():
        return source / name
    if (source / f"{TRAIN}.jsonl").is_file() or source.name == name and source.is_dir():
        return source
    if not source.is_dir():
        raise DataError(f"--data {source}: there is no such folder")
    near = difflib.get_close_matches(name, [p.name for p in source.iterdir() if p.is_dir()], n=1)
    raise DataError(f"{source} holds no task `{name}`" + (f"; there is {near[0]}" if near else ""))


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise DataError(f"{path} line {number}: a row must be an object with the task's fields")
                    yield number, row
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 (byte {problem.start})") from None
    except json.JSONDecodeError as problem:
        raise DataError(f"{path}: a line is no JSON: {problem}") from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror}") from None


def _hub_rows(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    from ..language.hub import read_hub
    from ..language.source import Source

    yield from enumerate(read_hub(Source(name, "hub"), _FOLDER), start=1)


def _checked(task: TaskSpec, rows: Iterable[tuple[int, dict[str, Any]]], where: str) -> Rows:
    texts: tuple[list[str], ...] = tuple([] for _ in task.fields)
    labels: list[float] = []
    by_name = {name: i for i, name in enumerate(task.labels)}
    for number, row in rows:
        for field in task.fields:
            value = row.get(field)
            if not isinstance(value, str):
                what = f"has no `{field}`; it has {', '.join(row)}" if field not in row else f"`{field}` is no text"
                raise DataError(f"{where} line {number}: {what}")
            if not value.strip():
                raise DataError(f"{where} line {number}: `{field}` is empty")
        label = row.get(task.label)
        label = by_name.get(label, label) if isinstance(label, str) else label
        if problem := _label_problem(task, label):
            if task.skip_unlabelled and label == -1:
                continue
            raise DataError(f"{where} line {number}: {problem}")
        for column, field in zip(texts, task.fields, strict=True):
            column.append(row[field])
        labels.append(label)  # type: ignore[arg-type]
    if not labels:
        raise DataError(f"{where} holds no rows")
    return Rows(texts, np.array(labels, dtype=np.float64 if task.regression else np.int64))


def _label_problem(task: TaskSpec, label: Any) -> str:
    """Why a label is none, or ""."""
    shown = "missing" if label is None else repr(label)
    if task.regression:
        good = isinstance(label, int | float) and not isinstance(label, bool) and task.low <= label <= task.high
        return "" if good else f"the label `{task.label}` is {shown}, no number from {task.low:g} to {task.high:g}"
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(task.labels):
        return ""
    if label == -1:
        return f"the label `{task.label}` is -1: this split has no labels"
    ids = ", ".join(f"{i} {name}" for i, name in enumerate(task.labels))
    return f"the label `{task.label}` is {shown}, none of {ids}"
