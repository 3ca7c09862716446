"""Uncertainty by resampling runs, never rows.

The evaluations of one run are one trajectory: 1,512 rows of 42 runs carry about 42 independent facts, and an interval
made from rows would be many times too narrow. So whole runs are drawn with replacement, as counts that weigh their
rows. Runs that differ only in their seed are one *cluster* and are drawn together: what a new grid would redraw is the
shape, and its seeds share everything but noise.

Small designs: percentile intervals are widened around the estimate by the ratio of Student's to the normal quantile
(the idea of the expanded percentile interval, Hesterberg 2015, The American Statistician 69(4), section 5). Its second
factor, sqrt(G/(G-p)), is left out: drawn counts leave out a third of the clusters of a regression, which already
spreads the refits by about as much. What is used was chosen by its coverage in `benchmarks/bench_calibration.py`, which
is therefore in-sample for it; the fresh check is in the benchmark's results.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .result import LEVEL

Array = NDArray[np.float64]
Clusters = NDArray[np.intp]


def clusters_of(labels: NDArray[np.str_], seeds: ArrayLike | None = None, *inputs: Array) -> Clusters:
    """Cluster number of each row (n,), from 0.

    labels  the run of each row. With `seeds`, rows of one label and several seeds are several runs of one cluster, and
            so are runs of different labels and different seeds whose rows have exactly the same `inputs` (x, or N and
            D): the same cell of the grid, trained again.
    """
    _, cluster = np.unique(labels, return_inverse=True)
    if seeds is None:
        return cluster
    seed = np.asarray(seeds).astype(str)
    seen: dict[tuple[bytes, ...], list[tuple[int, set[str]]]] = {}
    merged = cluster.copy()
    for run in range(cluster.max() + 1):
        rows = np.flatnonzero(cluster == run)
        order = rows[np.lexsort(tuple(column[rows] for column in inputs))] if inputs else rows
        key = tuple(column[order].tobytes() for column in inputs) or (str(labels[rows[0]]).encode(),)
        own = set(seed[rows])
        for home, taken in seen.setdefault(key, []):
            if not own & taken:
                merged[rows] = home
                taken |= own
                break
        else:
            seen[key].append((run, set(own)))
    return np.unique(merged, return_inverse=True)[1]


def count_runs(labels: NDArray[np.str_], seeds: ArrayLike | None = None) -> int:
    """Trained models behind the rows: distinct (label, seed)."""
    if seeds is None:
        return len(set(labels))
    return len(set(zip(labels, np.asarray(seeds).astype(str), strict=True)))


def resample(clusters: Clusters, count: int, rng: np.random.Generator, *, at_least: int = 1) -> Array:
    """Row weights (count, n) of `count` resamples: how often the cluster of each row was drawn.

    at_least  distinct clusters that a resample must hold to be kept (a law of p parameters has no meaning on fewer);
              the others are drawn again.
    """
    total = int(clusters.max()) + 1
    at_least = min(at_least, max(1, int(0.6 * total)))  # what a draw of `total` reaches often enough to wait for
    counts = np.empty((count, total))
    pending = np.arange(count)
    while pending.size:
        counts[pending] = rng.multinomial(total, np.full(total, 1 / total), size=pending.size)
        pending = pending[(counts[pending] > 0).sum(1) < at_least]
    return counts[:, clusters]


def widening(clusters: int, params: int, *, robust: bool = False) -> float:
    """The factor by which to stretch a percentile interval of `clusters` units and `params` parameters.

    robust  the loss is Huber with a small threshold. Such fits pass through p of their points, so a refit jumps between
            points and the draws are too wide by an amount that grows with p and fades with the number of clusters. Its
            size, (0.3 + 0.2 p) / sqrt(clusters) and at most 0.27, is empirical: chosen on the calibration benchmark's own
            settings, then checked on grids that played no part in it (the benchmark's results say with what outcome).
    """
    free = clusters - params
    if free < 1:
        return float("inf")
    quantile = 0.5 + LEVEL / 2
    student = float(special.stdtrit(free, quantile) / special.ndtri(quantile))
    return student * (1 - min(0.27, (0.3 + 0.2 * params) / float(np.sqrt(clusters)))) if robust else student


def interval(draws: Array, estimate: float, widen: float, *, logarithmic: bool = False) -> tuple[float, float]:
    """95 % interval from draws (count,), widened around the estimate.

    logarithmic  widen the ratio rather than the difference: for positive parameters, whose interval then stays above 0.
    """
    draws = draws[np.isfinite(draws)]
    if not draws.size or not np.isfinite(widen):
        return float("nan"), float("nan")
    low, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    if logarithmic:
        if min(low, estimate) <= 0:
            return 0.0, float(max(high, estimate) if estimate <= 0 else estimate * (high / estimate) ** widen)
        with np.errstate(over="ignore", under="ignore"):
            return float(estimate * (low / estimate) ** widen), float(estimate * (high / estimate) ** widen)
    return float(estimate + widen * (low - estimate)), float(estimate + widen * (high - estimate))
