"""Which points are compute-optimal? Four answers, by name, all as row numbers into the pooled curves.

paper     percentile bins on FLOPs, the lowest loss in each (Deshpande et al. 2023, arXiv 2305.17266, Figure 1).
envelope  rows that no cheaper or equal row beats: the lower envelope of the pooled learning curves (the first
          approach of Hoffmann et al. 2022, without its interpolation).
final     the last row of each run.
isoflop   parabolas along one budget: see `isoflop.py`, because its points are fitted, not observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shrunk_core.errors import FitError

from . import bootstrap as boot
from .inputs import labels_of, positive, same_length

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

METHODS = ("paper", "envelope", "final")


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """One compute-optimal row: `row` is its place in the input, flops its budget, loss in the units given."""

    row: int
    run: str
    update: int
    flops: float
    loss: float
    warning: str = ""

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def frontier(
    flops: ArrayLike,
    loss: ArrayLike,
    runs: ArrayLike,
    updates: ArrayLike | None = None,
    method: str = "paper",
    warming_up: ArrayLike | None = None,
    unfinished: ArrayLike | None = None,
) -> tuple[FrontierPoint, ...]:
    """Compute-optimal points of pooled learning curves, sorted by FLOPs.

    flops, loss, runs (n,)  one row per evaluation. updates (n,) the update of each (default: its place in its run).
    warming_up, unfinished  (n,) bool: rows inside the warm-up, and rows before the end of their schedule (their
                            learning rate has not come down). Points that rest on them carry a warning.
    """
    count = same_length(flops=flops, loss=loss, runs=runs, updates=updates, warm=warming_up, unfinished=unfinished)
    budget, value, labels = positive("flops", flops, runs), positive("loss", loss, runs), labels_of(runs, count)
    warm = np.zeros(count, dtype=bool) if warming_up is None else np.asarray(warming_up, dtype=bool)
    early = np.zeros(count, dtype=bool) if unfinished is None else np.asarray(unfinished, dtype=bool)
    update = _places(budget, labels) if updates is None else np.asarray(updates).astype(int)
    found = select(budget, value, labels, method)
    return tuple(
        FrontierPoint(
            row=int(i),
            run=str(labels[i]),
            update=int(update[i]),
            flops=float(budget[i]),
            loss=float(value[i]),
            warning="; ".join(
                text for text, marked in (("in warm-up", warm[i]), ("unfinished schedule", early[i])) if marked
            ),
        )
        for i in found
    )


def select(flops: Array, loss: Array, labels: NDArray[np.str_], method: str) -> Rows:
    """Row numbers of the frontier, sorted by FLOPs."""
    if method == "paper":
        return _binned(flops, loss)
    if method == "envelope":
        return _envelope(flops, loss)
    if method == "final":
        last = [rows[flops[rows].argmax()] for rows in (np.flatnonzero(labels == run) for run in np.unique(labels))]
        return np.array(sorted(last, key=lambda i: flops[i]), dtype=np.intp)
    raise FitError(f"unknown frontier {method!r}: {', '.join(METHODS)}")


def paper_edges(flops: Array) -> Array:
    """Edges of the paper's bins: the percentiles 0, 5, ..., 100 of FLOPs; (0, p0] cut into 10, (p0, p5] into 10 and
    (p5, p10] into 5 equal parts."""
    at = np.percentile(flops, np.arange(0, 101, 5))
    fine = np.linspace(0, at[0], 11), np.linspace(at[0], at[1], 11), np.linspace(at[1], at[2], 6)
    return np.unique(np.concatenate([*fine, at[2:]]))


def _binned(flops: Array, loss: Array) -> Rows:
    bins = np.searchsorted(paper_edges(flops), flops, side="left")  # (a, b]: an edge belongs to the bin it closes
    order = np.lexsort((loss, bins))
    first = np.flatnonzero(np.diff(bins[order], prepend=-1))
    return order[first]


def _envelope(flops: Array, loss: Array) -> Rows:
    order = np.lexsort((loss, flops))
    before = np.concatenate([[np.inf], np.minimum.accumulate(loss[order])[:-1]])
    return order[loss[order] < before]


def _places(flops: Array, labels: NDArray[np.str_]) -> NDArray[np.int_]:
    places = np.empty(len(flops), dtype=int)
    for run in np.unique(labels):
        rows = np.flatnonzero(labels == run)
        places[rows[np.argsort(flops[rows], kind="stable")]] = np.arange(1, len(rows) + 1)
    return places


def resampled(
    flops: ArrayLike,
    loss: ArrayLike,
    runs: ArrayLike,
    seeds: ArrayLike | None = None,
    method: str = "paper",
    count: int = 1000,
    seed: int = 0,
) -> tuple[list[tuple[Array, Array]], int]:
    """`count` frontiers (flops, loss) of resampled runs, and the number of runs (seeds merged) that were drawn from.

    For `broken.fit_broken(replicates=..., replicated_runs=...)`: 34 points of 12 runs came out of 42 candidates, and
    another draw of the 42 has other bins and other winners.
    """
    size = same_length(flops=flops, loss=loss, runs=runs, seeds=seeds)
    budget, value, labels = positive("flops", flops, runs), positive("loss", loss, runs), labels_of(runs, size)
    clusters = boot.clusters_of(labels, seeds, budget)
    total = int(clusters.max()) + 1
    members = [np.flatnonzero(clusters == i) for i in range(total)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rows = np.concatenate([members[i] for i in rng.integers(total, size=total)])
        kept = rows[select(budget[rows], value[rows], labels[rows], method)]
        found.append((budget[kept], value[kept]))
    return found, total
