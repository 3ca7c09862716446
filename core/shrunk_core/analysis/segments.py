"""Where does a line in log-log break? Every candidate at once, by running sums.

For straight segments the least-squares error left and right of every candidate break follows from running sums of
1, x, y, x^2, x*y, y^2, so all breaks of all bootstrap resamples (rows of weights) cost a few array operations.

Shapes: n points sorted by x (natural logs), B rows of weights, K candidate breaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST = 3
"""Distinct x on each side of a break: fewer are fitted exactly and would always win."""
GRID = 96
"""Candidate positions of a kink before it is polished."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Residual sums of squares of the best break of every resample. lines (B, 4): level and slope (d log y / d log x, at
    log x = 0 of the caller's centring) left, then right; position (B,) of the break in log x; rss (B,)."""

    lines: Array
    position: Array
    rss: Array


def line_rss(x: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """One line: (B, 2) level and slope, (B,) residual sum of squares. x, y (n,), weights (B, n); y may be (B, n)."""
    level, slope, rss = _line(*(total.sum(-1) for total in _moments(x, y, weights)))
    return np.stack([level, slope], -1), rss


def splits(x: Array, least: int) -> NDArray[np.intp]:
    """Candidate splits: the left segment is x[:k]. Each side keeps `least` distinct x, and no x is on both sides."""
    distinct, first = np.unique(x, return_index=True)
    return first[least : len(distinct) - least + 1]


def profile_jump(x: Array, y: Array, weights: Array, least: int) -> tuple[Array, tuple[Array, ...]]:
    """Residual sum of squares (B, K) of two free lines for every candidate split, and their level and slope left, level and
    slope right, (B, K) each."""
    cut = splits(x, least)
    total = [moment.sum(-1, keepdims=True) for moment in _moments(x, y, weights)]
    left = [np.cumsum(moment, -1)[:, cut - 1] for moment in _moments(x, y, weights)]
    right = [whole - part for whole, part in zip(total, left, strict=True)]
    level_l, slope_l, rss_l = _line(*left)
    level_r, slope_r, rss_r = _line(*right)
    # a resample that left a side with fewer than `least` distinct x would fit it exactly and win: rule it out
    present = np.cumsum((weights > 0) & np.concatenate([[True], np.diff(x) > 0])[None, :], -1)
    thin = (present[:, cut - 1] < least) | (present[:, -1:] - present[:, cut - 1] < least)
    return np.where(thin, np.inf, rss_l + rss_r), (level_l, slope_l, level_r, slope_r)


def scan_jump(x: Array, y: Array, weights: Array, least: int) -> Scan:
    """Best split into two free lines. The break is placed midway (in log x) between the two points it lies between."""
    cut = splits(x, least)
    rss, lines = profile_jump(x, y, weights, least)
    best, rows = rss.argmin(-1), np.arange(len(rss))
    lines = np.stack([pick[rows, best] for pick in lines], -1)
    # a resample has gaps of its own: its break is midway between the drawn points on either side
    places = np.arange(len(x))
    before = np.maximum.accumulate(np.where(weights > 0, places, 0), -1)[rows, cut[best] - 1]
    after = np.minimum.accumulate(np.where(weights > 0, places, len(x) - 1)[:, ::-1], -1)[:, ::-1][rows, cut[best]]
    return Scan(lines=lines, position=(x[before] + x[after]) / 2, rss=rss[rows, best])


def scan_kink(x: Array, y: Array, weights: Array, least: int) -> Scan:
    """Best continuous pair of lines on a grid of kink positions (then polished by the caller)."""
    distinct = np.unique(x)
    grid = np.linspace(distinct[least - 1], distinct[-least], GRID)
    basis = np.stack([np.ones((GRID, len(x))), np.minimum(x - grid[:, None], 0), np.maximum(x - grid[:, None], 0)], -1)
    products = np.einsum("knp,knq->knpq", basis, basis).reshape(GRID, len(x), 9)
    normal = np.einsum("bn,knm->bkm", weights, products, optimize=True).reshape(len(weights), GRID, 3, 3)
    values = np.broadcast_to(y, weights.shape)
    moment = np.einsum("bn,knp->bkp", weights * values, basis, optimize=True)
    ridge = 1e-10 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] * np.eye(3)
    solution = np.linalg.solve(normal + ridge, moment[..., None])[..., 0]
    rss = np.maximum((weights * values**2).sum(-1)[:, None] - (solution * moment).sum(-1), 0)
    best, rows = rss.argmin(-1), np.arange(len(weights))
    level, left, right = (solution[rows, best, j] for j in range(3))
    at = grid[best]
    return Scan(
        lines=np.stack([level - left * at, left, level - right * at, right], -1), position=at, rss=rss[rows, best]
    )


def _moments(x: Array, y: Array, weights: Array) -> list[Array]:
    values = np.broadcast_to(y, weights.shape)
    return [weights, weights * x, weights * values, weights * x * x, weights * x * values, weights * values * values]


def _line(w: Array, wx: Array, wy: Array, wxx: Array, wxy: Array, wyy: Array) -> tuple[Array, Array, Array]:
    with np.errstate(all="ignore"):
        mean_x, mean_y = wx / w, wy / w
        sxx, sxy, syy = wxx - w * mean_x**2, wxy - w * mean_x * mean_y, wyy - w * mean_y**2
        flat = sxx <= 1e-10 * np.maximum(wxx, 1e-300)
        slope = np.where(flat, 0.0, sxy / np.where(flat, 1.0, sxx))
        rss = np.maximum(syy - slope * sxy, 0.0)
    return mean_y - slope * mean_x, slope, np.where(w > 0, rss, np.inf)
