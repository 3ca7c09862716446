"""Does perplexity predict the task? Correlations with intervals over runs, given size, and along one axis.

All coefficients are computed from counts, so a thousand resamples of the runs are one matrix product: Spearman is
Pearson on the midranks of each resample, Kendall is tau-b on the signs of all pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from shrunk_core.errors import FitError

from . import bootstrap as boot
from .inputs import labels_of, same_length
from .result import LEVEL, plain

Array = NDArray[np.float64]

METHODS = ("pearson", "spearman", "kendall")
_LEAST = 4


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """value with its 95 % interval over n independent runs (seeds of a run merged). `given` names what was held."""

    x: str
    y: str
    method: str
    value: float
    low: float
    high: float
    n: int
    given: str = ""

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__) | {"low": plain(self.low), "high": plain(self.high)}


@dataclass(frozen=True, kw_only=True)
class PairedStep:
    """Runs that differ only in `axis` (from one value to the next), as pairs: the mean difference of the score and its
    95 % interval (Student, over pairs)."""

    axis: str
    lower: Any
    upper: Any
    mean: float
    low: float
    high: float
    n: int
    better: int

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__) | {"low": plain(self.low), "high": plain(self.high)}


def correlate(
    x: ArrayLike,
    y: ArrayLike,
    x_name: str = "x",
    y_name: str = "y",
    method: str = "pearson",
    given: ArrayLike | None = None,
    given_name: str = "",
    runs: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Correlation:
    """Correlation of x and y (n,), with an interval that resamples runs.

    given   (n,) a covariate to hold, log parameters say: the partial correlation, from residuals of x and y (for
            `spearman` and `kendall` from the three pairwise coefficients).
    Refuses (FitError) fewer than four runs, non-finite values and columns without variation.
    """
    if method not in METHODS:
        raise FitError(f"unknown method {method!r}: {', '.join(METHODS)}")
    count = same_length(x=x, y=y, given=given, runs=runs, seeds=seeds)
    columns = {x_name: np.asarray(x, dtype=float), y_name: np.asarray(y, dtype=float)}
    if given is not None:
        columns[given_name or "given"] = np.asarray(given, dtype=float)
    for name, column in columns.items():
        if not np.isfinite(column).all():
            raise FitError(f"{name} has {int((~np.isfinite(column)).sum())} rows that are not finite: leave them out")
        if column.max() == column.min():
            raise FitError(f"{name} is the same in all rows ({column[0]:g}): there is nothing to correlate")
    clusters = boot.clusters_of(labels_of(runs, count), seeds)
    units, width = int(clusters.max()) + 1, len(columns)
    if units < _LEAST + width - 2:
        raise FitError(f"a correlation of {units} runs says nothing: it needs at least {_LEAST + width - 2}")
    draws = boot.resample(clusters, bootstrap, np.random.default_rng(seed), at_least=width + 1)
    weights = np.concatenate([np.ones((1, count)), draws])
    a, b, *held = columns.values()
    values = _coefficient(a, b, weights, method)
    if held:
        with_a, with_b = (_coefficient(one, held[0], weights, method) for one in (a, b))
        with np.errstate(all="ignore"):
            values = (values - with_a * with_b) / np.sqrt((1 - with_a**2) * (1 - with_b**2))
    z = np.arctanh(np.clip(values, -1 + 1e-12, 1 - 1e-12))  # Fisher: nearly normal, so that widening makes sense
    low, high = boot.interval(z[1:], float(z[0]), boot.widening(units, width))
    return Correlation(
        x=x_name,
        y=y_name,
        method=method,
        value=float(values[0]),
        low=float(np.tanh(low)),
        high=float(np.tanh(high)),
        n=units,
        given=given_name if given is not None else "",
    )


def paired_steps(
    axis: str, columns: Mapping[str, Sequence[Any]], score: ArrayLike, larger_is_better: bool = True
) -> tuple[PairedStep, ...]:
    """For neighbouring values of an axis, the score differences of runs equal in every other column (n,).

    Several seeds of one shape are averaged first: leave the seed out of `columns`.
    """
    values = np.asarray(score, dtype=float)
    if axis not in columns:
        raise FitError(f"no column {axis!r}: {', '.join(columns)}")
    others = [name for name in columns if name != axis]
    cells: dict[tuple[Any, ...], dict[Any, list[float]]] = {}
    for i, value in enumerate(values):
        if not np.isfinite(value):
            raise FitError(f"the score of row {i} is not finite: leave it out")
        cell = tuple(columns[name][i] for name in others)
        cells.setdefault(cell, {}).setdefault(columns[axis][i], []).append(float(value))
    places = sorted(set(columns[axis]))
    found = []
    for lower, upper in pairwise(places):
        pairs = [(cell[lower], cell[upper]) for cell in cells.values() if lower in cell and upper in cell]
        gaps = np.array([np.mean(after) - np.mean(before) for before, after in pairs])
        if not gaps.size:
            continue
        reach = float("nan")
        if gaps.size > 1:
            reach = float(special.stdtrit(gaps.size - 1, 0.5 + LEVEL / 2) * gaps.std(ddof=1) / np.sqrt(gaps.size))
        found.append(
            PairedStep(
                axis=axis,
                lower=lower,
                upper=upper,
                mean=float(gaps.mean()),
                low=float(gaps.mean() - reach),
                high=float(gaps.mean() + reach),
                n=int(gaps.size),
                better=int((gaps > 0).sum() if larger_is_better else (gaps < 0).sum()),
            )
        )
    return tuple(found)


def _coefficient(x: Array, y: Array, weights: Array, method: str) -> Array:
    """(B,) coefficients of x, y (n,) under counts (B, n)."""
    if method == "kendall":
        return _kendall(x, y, weights)
    if method == "spearman":
        return _pearson(_midranks(x, weights), _midranks(y, weights), weights)
    return _pearson(np.broadcast_to(x, weights.shape), np.broadcast_to(y, weights.shape), weights)


def _pearson(x: Array, y: Array, weights: Array) -> Array:
    share = weights / weights.sum(-1, keepdims=True)
    a, b = (column - (share * column).sum(-1, keepdims=True) for column in (x, y))
    with np.errstate(all="ignore"):
        return (share * a * b).sum(-1) / np.sqrt((share * a * a).sum(-1) * (share * b * b).sum(-1))


def _midranks(x: Array, weights: Array) -> Array:
    below, equal = (x[:, None] < x[None, :]).astype(float), (x[:, None] == x[None, :]).astype(float)
    return weights @ below + 0.5 * (weights @ equal)


def _kendall(x: Array, y: Array, weights: Array) -> Array:
    a, b = np.sign(x[:, None] - x[None, :]), np.sign(y[:, None] - y[None, :])
    both, of_x, of_y = (((weights @ pairs) * weights).sum(-1) for pairs in (a * b, a * a, b * b))
    with np.errstate(all="ignore"):
        return both / np.sqrt(of_x * of_y)
