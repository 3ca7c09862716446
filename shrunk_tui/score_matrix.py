"""Models x tasks as rows: means over seeds with their spread, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from shrunk_core.config.cell import CellSpec

MISSING = "."
"""What stands for a cell that has not been scored."""


def matrix_columns(cells: Sequence[CellSpec]) -> list[str]:
    """`run`, `checkpoint` and the tasks in the order in which they were asked for."""
    return ["run_id", "checkpoint", *dict.fromkeys(task_label(c.task.name, c.filtered) for c in cells)]


def task_label(task: str, filtered: bool) -> str:
    return f"{task}, filtered" if filtered else task


def matrix_rows(scores: Iterable[dict[str, Any]], cells: Sequence[CellSpec]) -> list[dict[str, Any]]:
    """A row a run and checkpoint; a cell is `.712 ±.004 (3)`: mean over seeds of the task's score (the mean of its metrics
    and splits), standard deviation over seeds, seeds; `.` where nothing is scored yet.
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
    return [
        {"run_id": run_id, "checkpoint": checkpoint}
        | {task: cell_text(by_task.get((run_id, checkpoint, task), []), wanted) for task, wanted in tasks.items()}
        for (run_id, checkpoint), tasks in asked.items()
    ]


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
