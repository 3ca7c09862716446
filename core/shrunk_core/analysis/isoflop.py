"""The best size for each budget: parabolas of loss against log N along budgets (Hoffmann et al. 2022, approach 2), then
power laws of the best N and D against the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shrunk_core.errors import FitError

from . import bootstrap as boot
from .inputs import labels_of, positive, same_length
from .result import plain

Array = NDArray[np.float64]

_LEAST_SIZES = 4
"""Sizes a budget needs: a parabola through three points fits anything."""


@dataclass(frozen=True, kw_only=True)
class Valley:
    """One budget: the size n_opt and tokens d_opt at the bottom of its parabola, and the loss there.

    bend   the parabola is loss + bend (log N - log n_opt)^2. rows: places in the input of the points of this budget.
    """

    flops: float
    n_opt: float
    d_opt: float
    loss: float
    bend: float
    rows: tuple[int, ...]
    warning: str = ""

    @property
    def points(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class IsoFlops:
    """N_opt = C^n_exponent, D_opt = C^d_exponent up to a constant; intervals resample runs."""

    valleys: tuple[Valley, ...]
    n_exponent: float
    d_exponent: float
    n_interval: tuple[float, float]
    d_interval: tuple[float, float]
    bootstrap: int
    runs: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__) | {
            "valleys": [dict(one.__dict__) | {"points": one.points} for one in self.valleys],
            "n_interval": [plain(end) for end in self.n_interval],
            "d_interval": [plain(end) for end in self.d_interval],
            "warnings": list(self.warnings),
        }


def isoflop(
    n: ArrayLike,
    d: ArrayLike,
    loss: ArrayLike,
    flops: ArrayLike,
    runs: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    tolerance: float = 0.1,
    bootstrap: int = 1000,
    seed: int = 0,
) -> IsoFlops:
    """n, d, loss, flops (r,): final points. Budgets closer than `tolerance` (relative) are one budget.

    Refuses (FitError) a single budget, or fewer than two budgets with at least four sizes.
    """
    count = same_length(n=n, d=d, loss=loss, flops=flops, runs=runs, seeds=seeds)
    size, tokens, y, c = (positive(k, v, runs) for k, v in (("n", n), ("d", d), ("loss", loss), ("flops", flops)))
    clusters = boot.clusters_of(labels_of(runs, count), seeds, size, tokens)
    order = np.argsort(c)
    group = np.empty(count, dtype=int)
    group[order] = np.cumsum(np.diff(np.log(c[order]), prepend=np.log(c[order[0]])) > np.log1p(tolerance))
    budgets = [g for g in range(group.max() + 1) if len(np.unique(size[group == g])) >= _LEAST_SIZES]
    if len(budgets) < 2:
        raise FitError(
            f"isoflop needs at least two budgets with {_LEAST_SIZES} model sizes each; there are {len(budgets)} "
            f"among {group.max() + 1} budgets"
        )
    weights = boot.resample(clusters, bootstrap, np.random.default_rng(seed)) if bootstrap else np.ones((0, count))
    weights = np.concatenate([np.ones((1, count)), weights])
    best, level, bends = (np.full((len(weights), len(budgets)), np.nan) for _ in range(3))
    valleys, warnings, log_c = [], [], np.log([np.exp(np.log(c[group == g]).mean()) for g in budgets])
    ratio = np.array([np.exp(np.log(c[group == g] / (size * tokens)[group == g]).mean()) for g in budgets])
    for j, g in enumerate(budgets):
        rows = np.flatnonzero(group == g)
        at, bottom, bend = _parabola(np.log(size[rows]), y[rows], weights[:, rows])
        best[:, j], level[:, j], bends[:, j] = at, bottom, bend
        problem = ""
        if not bend[0] > 0:
            problem = "no minimum: the parabola opens downwards"
        elif not np.log(size[rows].min()) <= at[0] <= np.log(size[rows].max()):
            problem = "the minimum lies outside the sizes tried"
        if problem:
            warnings.append(f"budget {np.exp(log_c[j]):.3g}: {problem}")
        n_opt = float(np.exp(np.clip(at[0], -700, 700)))
        valleys.append(
            Valley(
                flops=float(np.exp(log_c[j])),
                n_opt=n_opt,
                d_opt=float(np.exp(log_c[j]) / (ratio[j] * n_opt)),
                loss=float(bottom[0]),
                bend=float(bend[0]),
                rows=tuple(map(int, rows)),
                warning=problem,
            )
        )
    usable = np.where(bends > 0, best, np.nan)
    n_exponents = _slopes(log_c, usable)
    d_exponents = _slopes(log_c, log_c - np.log(ratio) - usable)
    widen = boot.widening(int(clusters.max()) + 1, 3 * len(budgets))
    if not np.isfinite(n_exponents[0]):
        raise FitError("fewer than two budgets have a minimum: widen the range of model sizes")
    n_interval = boot.interval(n_exponents[1:], float(n_exponents[0]), widen)
    d_interval = boot.interval(d_exponents[1:], float(d_exponents[0]), widen)
    return IsoFlops(
        valleys=tuple(valleys),
        n_exponent=float(n_exponents[0]),
        d_exponent=float(d_exponents[0]),
        n_interval=n_interval,
        d_interval=d_interval,
        bootstrap=bootstrap,
        runs=count,
        warnings=tuple(warnings),
    )


def _parabola(log_n: Array, loss: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Place of the bottom in log N, loss there, and curvature (B,) for every row of weights (B, r)."""
    centre = log_n.mean()
    basis = np.stack([np.ones_like(log_n), log_n - centre, (log_n - centre) ** 2], -1)
    normal = np.einsum("br,rp,rq->bpq", weights, basis, basis)
    moment = np.einsum("br,rp->bp", weights * loss, basis)
    present = np.array([len(np.unique(log_n[row > 0])) for row in weights]) >= 3
    normal = np.where(present[:, None, None], normal, np.eye(3))
    level, slope, bend = np.linalg.solve(normal, moment[..., None])[..., 0].T
    with np.errstate(all="ignore"):
        at = np.where(present & (bend > 0), centre - slope / (2 * bend), np.nan)
        return at, level - slope**2 / (4 * bend), np.where(present, bend, np.nan)


def _slopes(log_c: Array, log_best: Array) -> Array:
    """Least-squares slope (B,) of log_best (B, k) on log_c (k,), over the budgets that have a minimum."""
    known = np.isfinite(log_best)
    w = known / np.maximum(known.sum(-1, keepdims=True), 1)
    value = np.where(known, log_best, 0.0)
    x = log_c - (w * log_c).sum(-1, keepdims=True)
    with np.errstate(all="ignore"):
        slope = (w * x * value).sum(-1) / (w * x * x).sum(-1)
    return np.where(known.sum(-1) >= 2, slope, np.nan)
