"""Which of the paper's runs tie their output weights: its files do not say it, and its ladders mix both kinds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from shrunk_core.analysis.paper_table import PaperRun, paper_runs

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


def _equal(one: float, other: Any) -> bool:
    return isinstance(other, (int, float)) and math.isclose(one, other, rel_tol=1e-6)
