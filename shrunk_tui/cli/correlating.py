"""The rows of `shrunk correlate`: coefficients with intervals over runs, or paired steps along one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from shrunk_core.analysis.correlation import METHODS, correlate, paired_steps
from shrunk_core.errors import ConfigError, FitError

from .paper_facts import with_tie
from .points import Points

COLUMNS = ("x", "y", "method", "value", "low", "high", "n", "given")
STEP_COLUMNS = ("axis", "lower", "upper", "y", "mean", "low", "high", "n", "better")
_FALLS = ("perplexity", "loss")


def list_correlations(
    points: Points, x: str, y: Sequence[str], given: str | None, bootstrap: int, seed: int
) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Columns and rows: every score with every method, and with `given` the partial correlations as well."""
    rows = []
    for name in scores(points, y):
        there = _with_score(points, name)
        values, predicted = there.numbers(name), predictor(there, x)
        held = _logarithms(there, given) if given else None
        for covariate, known_as in ((None, ""), (held, f"log {given}")) if held else ((None, ""),):
            rows += [
                correlate(
                    predicted,
                    values,
                    x,
                    name,
                    method,
                    covariate,
                    known_as,
                    there.labels(),
                    there.seeds(),
                    bootstrap,
                    seed,
                ).to_dict()
                for method in METHODS
            ]
    return COLUMNS, rows


def list_steps(points: Points, axis: str, y: Sequence[str]) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Columns and rows: of runs equal in everything but the axis, the mean difference of each score, step by step."""
    climbed = points.named(axis, "--axis")
    points, _ = with_tie(points)
    if not points.has("seed"):
        alike = [tuple(row[name] for name in (*points.described, climbed)) for row in points.rows]
        if len(set(alike)) < len(alike):
            raise FitError("rows are alike in every column given: map `seed`, or what differs between them")
    rows = []
    for name in scores(points, y):
        there = _with_score(points, name)
        columns = {column: there.values(column) for column in dict.fromkeys((*there.described, climbed))}
        steps = paired_steps(climbed, columns, there.numbers(name), larger_is_better=name not in _FALLS)
        rows += [step.to_dict() | {"y": name} for step in steps]
    if not rows:
        raise FitError(f"no two runs differ in {climbed} alone")
    return STEP_COLUMNS, rows


def scores(points: Points, y: Sequence[str]) -> list[str]:
    """The columns to explain: those named, else all tasks of the lab."""
    if y:
        return [points.named(name, "--y") for name in y]
    if points.tasks:
        return list(points.tasks)
    if points.cells:
        raise FitError(
            "no run of this lab has been scored on a task yet: `shrunk glue` does it, or name a column with --y"
        )
    raise ConfigError(f"{points.source}: name the scores with --y. There are: {', '.join(points.columns)}")


def _with_score(points: Points, name: str) -> Points:
    if name not in points.tasks:
        return points
    return points.take(i for i, value in enumerate(points.values(name)) if value is not None)


def predictor(points: Points, x: str) -> list[float]:
    """The column that predicts; perplexity from loss where only that is there."""
    if x == "perplexity" and not points.has("perplexity") and points.has("loss"):
        return [math.exp(value) for value in points.numbers("loss")]
    return points.numbers(points.named(x, "--x"))


def _logarithms(points: Points, given: str) -> list[float]:
    name = points.named(given, "--given")
    values = points.numbers(name)
    if min(values) <= 0:
        raise FitError(f"--given {name}: it is held by its logarithm, and {min(values):g} has none")
    return [math.log(value) for value in values]
