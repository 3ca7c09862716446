"""Can this design tell the parameters at all? A reason in words, or the empty string.

Three questions, each a way in which an optimiser returns numbers that the data never contained: do two parameters trade
off exactly (rank), does the fit hardly worsen when an exponent changes three-fold (flat profile), and do resampled runs
disagree about an exponent by an order of magnitude or about its sign (interval)?

Prefactors are exempt: they are the law read off at x = 1, often fifteen decades from the data, and are loose in every
good fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .result import LEVEL
from .solver import minimise

if TYPE_CHECKING:
    from .estimate import Form

Array = NDArray[np.float64]

_RANK = 1e-6
"""Ratio of the smallest to the largest singular value of the scaled derivatives below which they are dependent."""
_DECADE = 10.0


def verdict(
    form: Form,
    best: Array,
    objective: float,
    params: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    units: int,
    delta: float,
) -> str:
    """Why the parameters cannot be told, or ''. best (p,) is the optimum in fitting coordinates."""
    return (
        _bounded(form, params)
        or _rank(form, best)
        or _interval(form, params, intervals)
        or _profile(form, best, objective, params, units, delta)
    )


def _watched(form: Form) -> tuple[str, ...]:
    """Exponents, and an irreducible loss: what a law claims. The order is the order of complaint."""
    return (*form.exponents, *(symbol for symbol in form.symbols if symbol == "E"))


def _bounded(form: Form, params: dict[str, float]) -> str:
    for symbol in form.exponents:
        if not np.isfinite(params[symbol]) or params[symbol] <= 0:
            return f"the loss does not fall: exponent {symbol} = {params[symbol]:.3g}"
    return ""


def _rank(form: Form, best: Array) -> str:
    _, jacobian = form.residuals(best[None])
    columns = jacobian[0] / np.maximum(np.linalg.norm(jacobian[0], axis=0), 1e-300)
    size = np.linalg.norm(jacobian[0], axis=0)
    if size.min() < 1e-9 * size.max():
        return f"the points say nothing about {form.symbols[int(size.argmin())]}: changing it does not change the fit"
    _, values, vectors = np.linalg.svd(columns, full_matrices=False)
    if values[-1] >= _RANK * values[0]:
        return ""
    mixed = [form.symbols[j] for j in np.flatnonzero(np.abs(vectors[-1]) > 0.3)]
    return f"{' and '.join(mixed)} trade off exactly in this design (their derivatives are linearly dependent)"


def _interval(form: Form, params: dict[str, float], intervals: dict[str, tuple[float, float]]) -> str:
    for symbol in _watched(form):
        if symbol not in intervals:
            continue
        low, high = intervals[symbol]
        kind = "exponent" if symbol in form.exponents else "irreducible loss"
        if low <= 0 and symbol in form.exponents:
            return (
                f"the 95 % interval of the {kind} {symbol} = {params[symbol]:.3g} includes 0 ({low:.3g} to {high:.3g})"
            )
        if not high < _DECADE * low:
            return f"the 95 % interval of the {kind} {symbol} covers an order of magnitude ({low:.3g} to {high:.3g})"
    return ""


def _profile(form: Form, best: Array, objective: float, params: dict[str, float], units: int, delta: float) -> str:
    """Flat where the objective, minimised over the rest, stays within its 95 % noise at half a decade to either side."""
    width = len(form.symbols)
    free = units - width
    if free < 1 or objective <= 0:
        return ""
    allowed = 1 + special.stdtrit(free, 0.5 + LEVEL / 2) ** 2 / free
    if np.isfinite(delta):  # beyond the threshold the objective is a sum of absolute values: the square root of a ratio
        allowed = np.sqrt(allowed)
    for symbol in form.exponents:
        moved = form.symbols.index(symbol)
        ends = np.tile(best, (2, 1))
        ends[:, moved] = best[moved] * np.array([_DECADE**-0.5, _DECADE**0.5])
        held = np.zeros(width, dtype=bool)
        held[moved] = True
        every = np.ones((1, form.residuals(best[None])[0].shape[1]))
        profile = minimise(form.residuals, ends, every, delta=delta, held=held, tolerance=1e-8).objective / objective
        if (profile < allowed).all():
            return (
                f"the profile of {symbol} is flat: a tenfold range of {symbol} around {params[symbol]:.3g} fits alike"
            )
    return ""
