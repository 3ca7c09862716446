"""The rows of `shrunk frontier`: compute-optimal points, and what another counting of FLOPs would make of them."""

from __future__ import annotations

import math
from typing import Any

from shrunk_core.analysis import frontier as analysis
from shrunk_core.analysis.isoflop import IsoFlops, isoflop
from shrunk_core.errors import ConfigError, FitError

from .points import Points
from .schedules import finished, marks
from .sources import Source

COLUMNS = ("run", "update", "flops", "loss", "warning", "counting")
ISOFLOP_COLUMNS = (
    "run", "update", "flops", "loss", "n_opt", "d_opt", "points", "n_exponent", "n_exponent_low", "n_exponent_high",
    "d_exponent", "d_exponent_low", "d_exponent_high", "warning", "counting",
)  # fmt: skip
CURVES = ("paper", "envelope")
"""Methods that choose among all rows of curves."""
_TOKENS_FLOPS = 6
"""C = 6 N D, where a file gives two of them."""


def list_frontier(
    source: Source, method: str, finished_only: bool, seed: int
) -> tuple[tuple[str, ...], list[dict[str, Any]], list[str]]:
    """Columns, rows and notes. An IsoFLOP row is the bottom of a budget's parabola: fitted, so of no run and update."""
    if finished_only and method not in CURVES:
        raise ConfigError(f"--finished-only is of curves, {' and '.join(CURVES)}; {method} has its rows already")

    def read(points: Points) -> Points:
        return finished(points) if finished_only else points

    points = read(source.points())
    counting = points.counting or None
    if method == "isoflop":
        found = valleys(points, seed)
        spans = {
            f"{size}_exponent{end}": value
            for size, at, (low, high) in (
                ("n", found.n_exponent, found.n_interval),
                ("d", found.d_exponent, found.d_interval),
            )
            for end, value in (("", at), ("_low", low), ("_high", high))
        }
        rows = [
            dict(one.__dict__) | spans | {"points": one.points, "run": None, "update": None, "counting": counting}
            for one in found.valleys
        ]
        notes = [f"N_opt grows as C^{found.n_exponent:.3f} [{found.n_interval[0]:.3f}, {found.n_interval[1]:.3f}], D_opt as "
                 f"C^{found.d_exponent:.3f} [{found.d_interval[0]:.3f}, {found.d_interval[1]:.3f}]", *found.warnings]  # fmt: skip
        return ISOFLOP_COLUMNS, rows, notes + _other_exponents(found, source, seed)
    front = optimal(points, method)
    names = points.texts("run")
    rows = [one.to_dict() | {"run": names[one.row], "counting": counting} for one in front]
    runs = {row["run"] for row in rows}
    counted = f", FLOPs counted as {counting}" if counting else ""
    notes = [f"{len(rows)} points come from {len(runs)} of {len(set(names))} runs{counted}"]
    if method in CURVES and not marks(points).known:
        notes.append(
            "no row is marked as warm-up or unfinished: the points do not say (map `update`, and `updates` or `warmup`)"
        )
    for other, there in source.others().items():
        there = read(there)
        theirs = {there.texts("run")[one.row] for one in optimal(there, method)}
        if theirs != runs:
            changes = (("without", sorted(runs - theirs)), ("with", sorted(theirs - runs)))
            text = "; ".join(f"{word} {', '.join(some)}" for word, some in changes if some)
            notes.append(f"with FLOPs counted as `{other}` the frontier is of other runs: {text}")
    return COLUMNS, rows, notes


def losses(points: Points) -> list[float]:
    """Loss in nats, from perplexity where only that is there (or mapped)."""
    if points.has("loss") and not ("perplexity" in points.mapped and "loss" not in points.mapped):
        return points.numbers("loss")
    if not points.has("perplexity"):
        return points.numbers("loss")  # says what is missing
    values = points.numbers("perplexity")
    bad = [points.places[i] for i, value in enumerate(values) if not value > 0]
    if bad:
        raise FitError(f"perplexity must be above zero: {', '.join(bad[:5])}")
    return [math.log(value) for value in values]


def optimal(points: Points, method: str) -> tuple[analysis.FrontierPoint, ...]:
    updates = [int(value) for value in points.numbers("update")] if points.has("update") else None
    marked = marks(points)
    return analysis.frontier(
        points.numbers("flops"), losses(points), points.trained(), updates, method,
        warming_up=marked.warming_up, unfinished=marked.unfinished,
    )  # fmt: skip


def valleys(points: Points, seed: int) -> IsoFlops:
    n = points.numbers("n")
    if points.has("d") and points.has("flops"):
        d, flops = points.numbers("d"), points.numbers("flops")
    elif points.has("d"):
        d = points.numbers("d")
        flops = [_TOKENS_FLOPS * a * b for a, b in zip(n, d, strict=True)]
    else:
        flops = points.numbers("flops")
        d = [c / (_TOKENS_FLOPS * a) for a, c in zip(n, flops, strict=True)]
    return isoflop(n, d, losses(points), flops, points.labels(), points.seeds(), seed=seed)


def _other_exponents(found: IsoFlops, source: Source, seed: int) -> list[str]:
    notes = []
    for counting, points in source.others().items():
        try:
            other = valleys(points, seed).n_exponent
        except FitError as refused:
            notes.append(f"with FLOPs counted as `{counting}`: {refused}")
            continue
        low, high = found.n_interval
        if not low <= other <= high:
            notes.append(
                f"with FLOPs counted as `{counting}` N_opt grows as C^{other:.3f}, outside {low:.3f} to {high:.3f}"
            )
    return notes
