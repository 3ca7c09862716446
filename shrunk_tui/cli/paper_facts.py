"""What the paper's files do not say of its runs: which of them tie their output weights, and where their schedules end.

Its ladders mix tied and untied runs, and its frontier rests on evaluations early in the schedules, some in warm-up.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from shrunk_core.analysis.paper_table import UPDATES, WARMUP, PaperRun, paper_runs

from .points import SHAPE, Points


def with_tie(points: Points) -> tuple[Points, bool]:
    """The column `tie` added where every row is one of the paper's runs, known by shape and by name or perplexity."""
    if points.has("tie") or not all(map(points.has, SHAPE)):
        return points, False
    known: dict[tuple[Any, ...], list[PaperRun]] = {}
    for run in paper_runs():
        known.setdefault((run.E, run.H, run.I, run.A, run.L), []).append(run)
    ties = []
    for row in points.rows:
        same = known.get(tuple(row[name] for name in SHAPE), [])
        found = [
            run.tie for run in same if run.name == row.get("run") or _equal(run.test_perplexity, row.get("perplexity"))
        ]
        if not found:
            return points, False
        ties.append(found[0])
    rows = [row | {"tie": tie} for row, tie in zip(points.rows, ties, strict=True)]
    return replace(points, rows=rows, columns=(*points.columns, "tie"), described=(*points.described, "tie")), True


def from_paper(points: Points) -> bool:
    """Are these the paper's runs, by their names?"""
    return points.has("run") and set(points.texts("run")) <= {run.name for run in paper_runs()}


def with_schedule(points: Points) -> Points:
    """The columns `updates` and `warmup` added to the paper's curves, where they do not say."""
    if not points.has("update") or points.has("updates") or points.has("warmup") or not from_paper(points):
        return points
    rows = [row | {"updates": UPDATES, "warmup": WARMUP} for row in points.rows]
    return replace(points, rows=rows, columns=(*points.columns, "updates", "warmup"))


def _equal(one: float, other: Any) -> bool:
    return isinstance(other, (int, float)) and math.isclose(one, other, rel_tol=1e-6)
