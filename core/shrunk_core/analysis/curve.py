"""The fitted law as a line to draw: its value and its 95 % band at any budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shrunk_core.errors import FitError

from .bnsl import predict_bnsl
from .broken import BrokenResult
from .result import LEVEL, FitResult

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """x (k,), the law there, and pointwise 95 % percentiles over the resamples (None without resamples)."""

    x: Array
    fit: Array
    low: Array | None
    high: Array | None


def curve(result: FitResult, x: ArrayLike, n: ArrayLike | None = None) -> Curve:
    """The law at x (k,): its budget for `power`, `broken`, `bnsl`; tokens, beside parameters `n` (k,), for joint laws.

    The line of a broken law jumps at its break. Refuses (FitError) a law that is not identifiable: a line through
    numbers that the data do not hold would look like a result.
    """
    if not result.identifiable:
        raise FitError(f"the {result.form} law is not identifiable and has no line: {result.reason}")
    at, sizes = np.asarray(x, dtype=float), None if n is None else np.asarray(n, dtype=float)
    best = dict(result.params)
    symbols = list(best)
    if isinstance(result, BrokenResult):
        best["break"] = result.break_point
        symbols.append("break")
    fitted = _value(result.form, best, at, sizes)
    if not len(result.draws):
        return Curve(x=at, fit=fitted, low=None, high=None)
    drawn = np.stack([_value(result.form, dict(zip(symbols, row, strict=True)), at, sizes) for row in result.draws])
    low, high = np.nanquantile(drawn, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    return Curve(x=at, fit=fitted, low=low, high=high)


def _value(form: str, p: dict[str, float], x: Array, n: Array | None) -> Array:
    if form == "power":
        return p["A"] * x ** -p["a"] + p.get("E", 0.0)
    if form == "broken":
        return np.where(x <= p["break"], p["A1"] * x ** -p["a1"], p["A2"] * x ** -p["a2"])
    if form == "bnsl":
        return predict_bnsl(p, x)
    if n is None:
        raise FitError(f"{form} is a law of parameters and tokens: give n beside x")
    if form == "chinchilla":
        return p["E"] + p["A"] / n ** p["alpha"] + p["B"] / x ** p["beta"]
    return ((p["Nc"] / n) ** (p["aN"] / p["aD"]) + p["Dc"] / x) ** p["aD"]
