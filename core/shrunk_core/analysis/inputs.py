"""The gate: what a fit refuses before it starts, in one sentence that names the rows.

A refusal is about the *input* (missing numbers, mixed scales, no variation in something the law depends on). A design
that is complete but too weak is not refused: it is fitted and reported as not identifiable.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shrunk_core.errors import FitError

Array = NDArray[np.float64]

_SAME = 1e-6
"""Relative difference below which two budgets or sizes are the same one."""


def labels_of(runs: ArrayLike | None, count: int) -> NDArray[np.str_]:
    """One run label a row (n,); without labels every row is its own run."""
    if runs is None:
        return np.array([str(i) for i in range(count)])
    labels = np.asarray(runs).astype(str)
    if labels.shape != (count,):
        raise FitError(f"{labels.size} run labels for {count} points: give one label a point")
    return labels


def positive(name: str, values: ArrayLike, runs: ArrayLike | None = None) -> Array:
    """`values` as floats (n,), or FitError naming the rows that are NaN, infinite, zero or negative."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise FitError(f"{name} must be one number a point, not an array of shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array) | (array <= 0))
    if bad.size:
        labels = labels_of(runs, len(array))
        named = ", ".join(f"{labels[i] if runs is not None else f'row {i}'} ({array[i]:g})" for i in bad[:5])
        more = f" and {bad.size - 5} more" if bad.size > 5 else ""
        raise FitError(f"{name} must be finite and above zero: {named}{more}; leave these rows out or repair them")
    return array


def same_length(**columns: ArrayLike | None) -> int:
    """The common length of the columns that are given, or FitError naming the odd ones."""
    lengths = {name: len(np.asarray(values)) for name, values in columns.items() if values is not None}
    if len(set(lengths.values())) > 1:
        raise FitError("columns differ in length: " + ", ".join(f"{name} {size}" for name, size in lengths.items()))
    return next(iter(lengths.values()))


def enough(count: int, params: int, form: str) -> None:
    if count < params + 2:
        raise FitError(f"{form} has {params} parameters and needs at least {params + 2} points; there are {count}")


def varied(name: str, values: Array, form: str, why: str) -> None:
    """FitError unless `values` differ: `why` says what cannot be told without that."""
    if values.max() <= values.min() * (1 + _SAME):
        raise FitError(f"all points have the same {name} ({values[0]:.4g}): {form} cannot {why}")


def one_of(kind: str, values: ArrayLike | Sequence[str] | None) -> None:
    """FitError where rows of several countings or evaluation sets would be fitted together."""
    if values is None:
        return
    found = sorted({str(value) for value in np.asarray(values)})
    if len(found) > 1:
        raise FitError(
            f"rows mix {kind}s ({', '.join(found[:4])}{', ...' if len(found) > 4 else ''}): fit one at a time"
        )


def loss_delta(loss: str, delta: float) -> float:
    """The Huber threshold behind a loss name: `huber` keeps `delta`, `lsq` has none."""
    if loss == "lsq":
        return float("inf")
    if loss == "huber":
        return delta
    raise FitError(f"unknown loss {loss!r}: huber or lsq")
