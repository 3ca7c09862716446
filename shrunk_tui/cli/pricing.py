"""The rows of `shrunk icer`: ladders and dominance along an axis or over everything, and what holds still meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from shrunk_core.analysis.icer import Rung, dominance, ladder
from shrunk_core.errors import ConfigError, FitError

from .paper_facts import with_tie
from .points import SHAPE, Points, loose, pair
from .sources import Source

COLUMNS = (
    "axis", "at", "run", "cost", "effect", "status", "icer", "effect_per_unit", "unit", "low", "high", "seeds",
    "on_frontier", "counting", "warning",
)  # fmt: skip
_TABLE = ("axis", "at", "run", "cost", "effect", "status", "icer", "effect_per_unit", "low", "high", "on_frontier", "unit",
          "warning")  # fmt: skip
_WHERE_SEEDS_ALLOW = ("low", "high", "on_frontier")
_FALLS = ("perplexity", "loss")
"""Effects of which less is better: their effect is minus the value, so that a rise of it is a gain."""
_TWICE = 2.0
Columns = Mapping[str, Sequence[Any]]
"""Columns that describe the options, each with one value a row."""


def table_columns(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns of a table on the terminal: intervals where any row has one."""
    there = {name for name in _WHERE_SEEDS_ALLOW if any(row[name] is not None for row in rows)}
    return tuple(name for name in _TABLE if name not in _WHERE_SEEDS_ALLOW or name in there)


def list_icer(
    source: Source, axis: str, method: str, cost: str, effect: str, base: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and notes. For FLOPs of the lab the notes say where another counting changes the conclusion."""
    rows, notes = priced(source.points(), axis, method, cost, effect, base)
    if cost == "flops":
        for counting, points in source.others().items():
            other, _ = priced(points, axis, method, cost, effect, base)
            notes += [f"with FLOPs counted as `{counting}` {text}" for text in _differences(rows, other, method)]
    return rows, notes


def priced(
    points: Points, axis: str, method: str, cost: str, effect: str, base: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """One table: of an axis, of every axis (`ladder`), or of all options at once (`dominance`)."""
    points, notes = options(points, effect, cost)
    points, inferred = with_tie(points)
    if inferred:
        notes.append("tie is not in the file; it is taken from the table of the paper's runs that these rows are of")
    fixed: dict[str, Any] = {}
    for text in base:
        name, value = pair(text, "--base", "COLUMN=VALUE")
        fixed[points.named(name, "--base")] = loose(value)
    climbed = None if axis == "all" else points.named(axis, "--axis")
    described = [*points.described, *fixed, *([climbed] if climbed else [])]
    columns: Columns = {name: points.values(name) for name in described}
    for name, value in fixed.items():
        if value not in columns[name]:
            there = ", ".join(map(str, sorted(set(columns[name]), key=str)[:12]))
            raise ConfigError(f"--base {name}={value}: no row has it. There are: {there}")
    free = {"tie"} if inferred else set()
    if climbed is None and method == "dominance":
        return _table(points, columns, None, fixed, method, cost, effect), notes
    rows: list[dict[str, Any]] = []
    for name in [climbed] if climbed else _axes(columns, free):
        held = fixed or default_base(columns, name, free, _costs(points, cost))
        kept = _at(columns, name, held)
        if climbed is None and len({columns[name][i] for i in kept}) < 2:
            continue
        if not fixed and held:
            shown = {k: v for k, v in held.items() if k in SHAPE or len(set(map(str, columns[k]))) > 1}
            notes.append(f"{name} at base " + ", ".join(f"{k}={v}" for k, v in shown.items()))
        rows += _table(points, columns, name, held, method, cost, effect)
    if not columns:
        raise ConfigError(
            f"no column of {points.source} describes the runs: map the shape columns, or name --axis and --base"
        )
    if not rows:
        raise FitError("no column has two rungs at this base: nothing climbs")
    return rows, notes


def options(points: Points, effect: str, cost: str) -> tuple[Points, list[str]]:
    """Curves cut to the last row of each run; runs without the score, or whose cost nobody measured, left out."""
    notes = []
    if effect in points.tasks:
        there = [i for i, value in enumerate(points.values(effect)) if value is not None]
        if len(there) < len(points):
            notes.append(f"{len(points) - len(there)} runs without a score on {effect} are left out")
        points = points.take(there)
    if cost in _MEASURED and points.cells:
        points, lacking = _measured(points, cost)
        notes += lacking
    if points.has("run") and points.has("update"):
        last: dict[str, int] = {}
        update, trained = points.numbers("update"), points.trained()
        for i, run in enumerate(trained):
            if run not in last or update[i] > update[last[run]]:
                last[run] = i
        if len(last) < len(points):
            notes.append(f"{len(points)} rows are {len(last)} runs: the last row of each is taken")
        points = points.take(sorted(last.values()))
    return points, notes


def default_base(columns: Columns, axis: str, free: set[str], costs: Sequence[float]) -> dict[str, Any]:
    """Of all settings of the other columns the one with the most rungs along the axis; of equals the dearest.

    A column that follows from the axis (I = 4 H in every row) cannot be held: it climbs along, and each rung says so.
    """
    others = [name for name in columns if name != axis and name not in free and not _follows(columns, name, axis)]
    cells: dict[tuple[Any, ...], list[int]] = {}
    for i in range(len(costs)):
        cells.setdefault(tuple(columns[name][i] for name in others), []).append(i)
    best = max(cells, key=lambda c: (len({columns[axis][i] for i in cells[c]}), max(costs[i] for i in cells[c])))
    return dict(zip(others, best, strict=True))


def _axes(columns: Columns, free: set[str]) -> list[str]:
    """Columns that can climb: numbers with at least two values; of columns that always climb together, the first."""
    found: list[str] = []
    for name, values in columns.items():
        if name in free or len(set(values)) < 2 or not all(map(_is_number, values)):
            continue
        if not any(_follows(columns, name, one) and _follows(columns, one, name) for one in found):
            found.append(name)
    return found


def _follows(columns: Columns, name: str, axis: str) -> bool:
    """Does a column vary, with one value for each value of the axis?"""
    varies = len(set(columns[name])) > 1
    return varies and len(set(zip(columns[axis], columns[name], strict=True))) == len(set(columns[axis]))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _at(columns: Columns, axis: str, base: Mapping[str, Any]) -> list[int]:
    count = len(columns[axis])
    return [i for i in range(count) if all(columns[name][i] == value for name, value in base.items() if name != axis)]


def _table(
    points: Points,
    columns: Columns,
    axis: str | None,
    base: Mapping[str, Any],
    method: str,
    cost: str,
    effect: str,
) -> list[dict[str, Any]]:
    kept = _at(columns, axis or "", base) if axis else _held(columns, base, len(points))
    if len(kept) < 2:
        raise FitError(
            f"{len(kept)} rows have the base {', '.join(f'{k}={v}' for k, v in base.items())}: nothing to compare"
        )
    points = points.take(kept)
    columns = {name: [values[i] for i in kept] for name, values in columns.items()}
    spent, gained = _costs(points, cost), _effects(points, effect)
    runs = points.texts("run") if points.has("run") else points.places
    twins: dict[int, str] = {}
    if not points.has("seed"):
        chosen, twins = _best_of_twins(columns, gained)
        if len(chosen) < len(points) and method == "ladder":
            columns = {name: [values[i] for i in chosen] for name, values in columns.items()}
            spent, gained, runs = [spent[i] for i in chosen], [gained[i] for i in chosen], [runs[i] for i in chosen]
            twins = {new: twins[old] for new, old in enumerate(chosen) if old in twins}
    ids = [str(i) for i in range(len(runs))]
    if method == "ladder":
        assert axis is not None
        rungs = ladder(ids, spent, gained, axis, columns, base, cost_kind=cost)
    else:
        rungs = dominance([ids[i] for i in _firsts(points)], spent, gained, cost_kind=cost)
    rows = []
    before: int | None = None
    for rung in rungs:
        i = int(rung.run)
        row = _row(rung, runs[i], axis, columns[axis][i] if axis else None, points.counting if cost == "flops" else "")
        notes = [row["warning"], twins.get(i, "") if method == "ladder" else ""]
        if method == "dominance" and rung.status in ("reference", "frontier"):
            if axis and before is not None:
                changed = [f"{n} {v[before]} to {v[i]}" for n, v in columns.items() if n != axis and v[before] != v[i]]
                notes.append(f"not only {axis} changes: {', '.join(changed)}" if changed else "")
            before = i
        rows.append(row | {"warning": "; ".join(note for note in notes if note)})
    return rows


def _held(columns: Columns, base: Mapping[str, Any], count: int) -> list[int]:
    return [i for i in range(count) if all(columns[name][i] == value for name, value in base.items())]


def _row(rung: Rung, run: str, axis: str | None, at: Any, counting: str) -> dict[str, Any]:
    low, high = rung.interval or (None, None)
    return rung.to_dict() | {"run": run, "axis": axis, "at": at, "low": low, "high": high, "counting": counting or None}


_MEASURED = {"energy": "energy", "gpu-hours": "GPU hours"}
_COLUMN = {"params": "n", "gpu-hours": "gpu_hours"}
_WHOLE = 0.9
"""Share of a run's time that samples must cover for their sum to pass as the run's."""


def _measured(points: Points, cost: str) -> tuple[Points, list[str]]:
    """The runs of a lab with samples of the card they were on, and what to know of the others."""
    column = _COLUMN.get(cost, cost)
    there = [i for i, value in enumerate(points.values(column)) if value is not None]
    if not there:
        raise FitError(
            f"no run of this lab has measured {_MEASURED[cost]}: they are sampled from GPUs while a supervisor serves, and "
            "CPUs have no reading; --cost seconds and --cost flops need none"
        )
    notes = []
    if len(there) < len(points):
        notes.append(f"{len(points) - len(there)} runs without measured {_MEASURED[cost]} are left out")
    points = points.take(there)
    thin = [
        row["run"]
        for row in points.rows
        if row["sampled_seconds"] is None or row["sampled_seconds"] < _WHOLE * (row["seconds"] or 0)
    ]
    if thin:
        shown = ", ".join(thin[:5]) + (", ..." if len(thin) > 5 else "")
        notes.append(f"{_MEASURED[cost]} of {shown} come from samples of less than 90 % of the run's time: too low")
    return points, notes


def _costs(points: Points, cost: str) -> list[float]:
    return points.numbers(_COLUMN.get(cost, cost))


def _effects(points: Points, effect: str) -> list[float]:
    if effect == "perplexity" and not points.has("perplexity") and points.has("loss"):
        return [-math.exp(value) for value in points.numbers("loss")]
    name = effect if effect == "perplexity" else points.named(effect, "--effect")
    return [-value if name in _FALLS else value for value in points.numbers(name)]


def _best_of_twins(columns: Columns, gained: Sequence[float]) -> tuple[list[int], dict[int, str]]:
    """Without seeds, rows alike in every column are no repetitions but options that differ in something unsaid."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for i in range(len(gained)):
        alike.setdefault(tuple(values[i] for values in columns.values()), []).append(i)
    best = {max(rows, key=lambda i: gained[i]): len(rows) for rows in alike.values()}
    text = "best of {} rows that are alike in every column given: map `seed`, or what differs"
    return sorted(best), {i: text.format(count) for i, count in best.items() if count > 1}


def _firsts(points: Points) -> list[int]:
    """For each row the first row of its cell: seeds of one cell are one option."""
    first: dict[str, int] = {}
    return [first.setdefault(points.cells[i] if points.cells else str(i), i) for i in range(len(points))]


def _differences(rows: list[dict[str, Any]], other: list[dict[str, Any]], method: str) -> list[str]:
    if method == "dominance":
        kept, theirs = ([r["run"] for r in some if r["status"] in ("reference", "frontier")] for some in (rows, other))
        return [] if kept == theirs else [f"the frontier is {', '.join(theirs)} in place of {', '.join(kept)}"]
    rates, others = _rates(rows), _rates(other)
    best, theirs = (max(some, key=lambda axis: some[axis]) for some in (rates, others))
    found = [f"{theirs} is the cheapest to grow, not {best}"] if best != theirs else []
    for axis, rate in rates.items():
        ratio = others.get(axis, 0) / rate if rate else 1.0
        if not 1 / _TWICE <= ratio <= _TWICE:
            found.append(f"growing {axis} buys {ratio:.2g} times as much")
    return found


def _rates(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Effect per unit of cost from the first to the last rung of each axis."""
    found = {}
    for axis in dict.fromkeys(row["axis"] for row in rows):
        first, *_, last = [row for row in rows if row["axis"] == axis]
        paid = last["cost"] - first["cost"]
        found[axis] = (last["effect"] - first["effect"]) / paid if paid else 0.0
    return found
