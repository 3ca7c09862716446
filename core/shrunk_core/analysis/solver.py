"""One optimiser for every law: damped Gauss-Newton on Huber losses, for a whole batch of problems at once.

A fit here is never one problem. It is hundreds of starts, or thousands of bootstrap resamples, over the *same* points,
so the batch axis carries the starts or the resamples (as row weights) and every step is a few array operations. 500
starts of a five-parameter law on 240 points take under a second on one core.

Shapes: B problems, n points, p coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Residuals = Callable[[Array], tuple[Array, Array]]
"""theta (B, p) -> residuals (B, n) and their derivatives (B, n, p)."""

_PATIENCE = 6
"""Accepted steps in a row that no longer improve the objective before a problem counts as solved."""
_CHUNK_VALUES = 300_000
"""Derivative entries worked on together: what stays in the cache of one core (2.4 MB of doubles)."""


@dataclass(frozen=True, kw_only=True)
class Solutions:
    """theta (B, p) and objective (B,), in the order of the starts."""

    theta: Array
    objective: Array


def huber(residuals: Array, delta: float) -> Array:
    """r^2/2 up to `delta`, linear beyond it; `delta = inf` is half the square (least squares)."""
    size = np.abs(residuals)
    if not np.isfinite(delta):
        return 0.5 * size * size
    inside = np.minimum(size, delta)
    return inside * (size - 0.5 * inside)


def minimise(
    residuals: Residuals,
    starts: Array,
    weights: Array,
    *,
    delta: float,
    steps: int = 200,
    tolerance: float = 1e-11,
    held: NDArray[np.bool_] | None = None,
) -> Solutions:
    """Minimise sum_i w_i huber(r_i(theta)) from each start.

    starts  (B, p).
    weights (B, n) or (1, n): how often each point counts; a bootstrap resample is a row of counts.
    held    (p,): coordinates that stay at their start (profiles).

    Steps are damped Gauss-Newton steps (Marquardt 1963). Two curvatures take turns: the reweighted one (weight
    delta/|r| outside the quadratic zone), which always descends but crawls near the end because most points sit on
    the linear branch, and the exact one (weight 0 there), which is fast once few points cross the kink.
    """
    count, width = starts.shape
    chunk = max(1, _CHUNK_VALUES // max(1, weights.shape[1] * width))
    theta, objective = np.array(starts, dtype=float), np.empty(count)
    for first in range(0, count, chunk):
        part = slice(first, min(first + chunk, count))
        rows = weights[part] if weights.shape[0] > 1 else weights
        theta[part], objective[part] = _minimise_chunk(residuals, theta[part], rows, delta, steps, tolerance, held)
    return Solutions(theta=theta, objective=objective)


def _minimise_chunk(
    residuals: Residuals,
    starts: Array,
    weights: Array,
    delta: float,
    steps: int,
    tolerance: float,
    held: NDArray[np.bool_] | None,
) -> tuple[Array, Array]:
    theta = starts.copy()
    batch, width = theta.shape
    free = np.ones(width) if held is None else (~held).astype(float)
    with np.errstate(all="ignore"):
        r, jac = (np.array(part) for part in residuals(theta))  # own copies: a law may return read-only views
        objective = _finite(_total(r, weights, delta))
        damping, quiet = np.full(batch, 1e-2), np.zeros(batch, dtype=int)
        exact = np.zeros(batch, dtype=bool)
        alive = np.arange(batch)
        for _ in range(steps):
            rows = weights[alive] if weights.shape[0] > 1 else weights
            step = _step(r[alive], jac[alive], rows, delta, damping[alive], exact[alive], free)
            tried = theta[alive] + step
            r_new, jac_new = residuals(tried)
            value = _finite(_total(r_new, rows, delta))
            better = value < objective[alive]
            gain = np.where(better, 1 - value / objective[alive], 0.0)
            won = alive[better]
            theta[won], r[won], jac[won], objective[won] = tried[better], r_new[better], jac_new[better], value[better]
            damping[alive] = np.clip(damping[alive] * np.where(better, 0.2, 5.0), 1e-12, 1e14)
            exact[alive] = np.where(better, gain < 1e-2, ~exact[alive]) & np.isfinite(delta)
            quiet[alive] = np.where(gain < tolerance, quiet[alive] + 1, 0)
            alive = alive[(quiet[alive] < _PATIENCE) & (damping[alive] < 1e12)]
            if not alive.size:
                break
    return theta, objective


def _finite(objective: Array) -> Array:
    return np.where(np.isfinite(objective), objective, np.inf)


def _total(r: Array, weights: Array, delta: float) -> Array:
    return (weights * huber(r, delta)).sum(-1)


def _step(
    r: Array, jac: Array, weights: Array, delta: float, damping: Array, exact: NDArray[np.bool_], free: Array
) -> Array:
    """The damped step (B, p); a coordinate that is held, or that moves nothing, does not move."""
    size = np.abs(r)
    if np.isfinite(delta):
        reweighted = delta / np.maximum(size, delta)
        curvature = weights * np.where(exact[:, None], size <= delta, reweighted)
        slope = weights * np.clip(r, -delta, delta)
    else:
        curvature, slope = np.broadcast_to(weights, r.shape), weights * r
    gradient = (slope[:, None, :] @ jac)[:, 0, :] * free
    hessian = (jac * curvature[..., None]).swapaxes(1, 2) @ jac * (free[:, None] * free[None, :])
    diagonal = np.einsum("bpp->bp", hessian)
    floor = 1e-14 * diagonal.max(-1, keepdims=True) + 1e-300
    ridge = damping[:, None] * diagonal + floor + (1 - free)
    hessian = hessian + ridge[:, :, None] * np.eye(len(free))
    usable = np.isfinite(hessian).all((-1, -2)) & np.isfinite(gradient).all(-1)
    hessian = np.where(usable[:, None, None], hessian, np.eye(len(free)))
    gradient = np.where(usable[:, None], gradient, 0.0)
    try:
        return -np.linalg.solve(hessian, gradient[..., None])[..., 0]
    except np.linalg.LinAlgError:  # one exactly singular problem would fail the whole batch
        return -(np.linalg.pinv(hessian) @ gradient[..., None])[..., 0]
