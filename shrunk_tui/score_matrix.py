"""Models x tasks as rows: means over seeds with their spread, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shrunk_core.config.cell import CellSpec

MISSING = "."
"""What stands for a cell that has not been scored."""

AVERAGES = ("average", "without wnli")
"""Columns of a matrix of several GLUE tasks: the plain mean of the tasks' means, and the same without wnli, whose few and
adversarial rows are noise."""


def matrix_columns(cells: Sequence[CellSpec]) -> list[str]:
    """`run`, `checkpoint` and the tasks in the order in which they were asked for, then their averages."""
    tasks = list(dict.fromkeys(task_label(c.task.name, c.filtered) for c in cells))
    return ["run_id", "checkpoint", *tasks, *(AVERAGES if len(_averaged(cells)) > 1 else ())]


def _averaged(cells: Sequence[CellSpec]) -> list[str]:
    """Labels of the tasks that averages are over: those of GLUE."""
    return list(dict.fromkeys(task_label(c.task.name, c.filtered) for c in cells if c.task.average))


def averages(means: Mapping[str, float], tasks: Sequence[str]) -> dict[str, str]:
    """The AVERAGES of these tasks as text; `.` while one of them has no mean, because averages over different tasks do not
    compare.
    """
    without = [task for task in tasks if task.split(",")[0] != "wnli"]
    texts = (
        short(sum(means[t] for t in some) / len(some)) if some and all(t in means for t in some) else MISSING
        for some in (tasks, without)
    )
    return dict(zip(AVERAGES, texts, strict=True))


def task_label(task: str, filtered: bool) -> str:
    return f"{task}, filtered" if filtered else task


def matrix_rows(scores: Iterable[dict[str, Any]], cells: Sequence[CellSpec]) -> list[dict[str, Any]]:
    """A row a run and checkpoint; a cell is `.712 ±.004 (3)`: mean over seeds of the task's score (the mean of its metrics
    and splits), standard deviation over seeds, seeds; `.` where nothing is scored yet. AVERAGES come last.
    """
    by_cell: dict[tuple[str, str, str, int], list[float]] = {}
    for row in scores:
        key = (row["run_id"], row["checkpoint"], task_label(row["task"], row["filtered"]), row["seed"])
        by_cell.setdefault(key, []).append(row["value"])
    by_task: dict[tuple[str, str, str], list[float]] = {}
    for (run_id, checkpoint, task, _), values in by_cell.items():
        by_task.setdefault((run_id, checkpoint, task), []).append(sum(values) / len(values))
    asked: dict[tuple[str, str], dict[str, int]] = {}
    for cell in cells:
        tasks = asked.setdefault((cell.run_id, cell.checkpoint), {})
        label = task_label(cell.task.name, cell.filtered)
        tasks[label] = tasks.get(label, 0) + 1
    averaged = _averaged(cells)
    rows = []
    for (run_id, checkpoint), tasks in asked.items():
        found = {task: by_task.get((run_id, checkpoint, task), []) for task in tasks}
        means = {task: sum(values) / len(values) for task, values in found.items() if values}
        texts = {task: cell_text(found[task], wanted) for task, wanted in tasks.items()}
        rows.append({"run_id": run_id, "checkpoint": checkpoint} | texts | averages(means, averaged))
    return rows


def cell_text(values: Sequence[float], wanted: int) -> str:
    """`.712 ±.004 (3)`; `(2/3)` while seeds are missing."""
    if not values:
        return MISSING
    mean = sum(values) / len(values)
    seeds = f"{len(values)}" if len(values) >= wanted else f"{len(values)}/{wanted}"
    if len(values) == 1:
        return f"{short(mean)} ({seeds})"
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return f"{short(mean)} ±{short(spread)} ({seeds})"


def short(value: float) -> str:
    """A share in three digits without the zero before the point: `.712`, `-.031`, `1.000`."""
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
