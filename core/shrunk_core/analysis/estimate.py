"""From a law and its points to a result: starts, optimum, resamples, checks. The same path for every smooth law.

A law is a `Form` bound to its data: residuals of the log loss with derivatives, starts, and the way from its fitting
coordinates (logs, centred, unbounded) to the parameters people read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import bootstrap as boot
from .identifiability import verdict
from .inputs import loss_delta
from .result import FitResult, HeldOut, Leverage
from .solver import minimise

Array = NDArray[np.float64]

HUBER_DELTA = 1e-3
"""Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3: Huber on log residuals with this threshold."""
_AGREE = 1e-4
_POLISHED = 8
"""Best starts that go on for many more steps: a narrow valley (sharp breaks) takes thousands."""
_BASINS = 3
"""Distinct optima from which every resample starts again: a resample may prefer another basin than the data."""
_LEVERAGE_LIMIT = 400
"""Leave-one-out beyond this many points is left out: one of so many points moves nothing."""


class Form(Protocol):
    """A law bound to n points. Coordinates `theta` are (B, p); symbols are p names, in the order of `params`."""

    @property
    def name(self) -> str: ...

    @property
    def symbols(self) -> tuple[str, ...]: ...

    @property
    def exponents(self) -> tuple[str, ...]:
        """Symbols that must be above 0 and tight for the law to mean anything; their coordinate is the value itself."""
        ...

    @property
    def positive(self) -> tuple[str, ...]:
        """Symbols whose intervals are widened as ratios, and so stay above 0."""
        ...

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        """log of the predicted minus log of the observed loss (B, n), and derivatives (B, n, p)."""
        ...

    def params(self, theta: Array) -> Array:
        """(B, p) fitting coordinates -> (B, p) parameters in the order of `symbols`."""
        ...

    def starts(self, count: int, rng: np.random.Generator) -> Array:
        """At least one and about `count` starting points (count, p)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to fit. `delta` is the Huber threshold; `bootstrap` 0 asks for no intervals; `seed` fixes every draw."""

    loss: str = "huber"
    delta: float = HUBER_DELTA
    starts: int = 32
    bootstrap: int = 1000
    seed: int = 0
    hold_out_largest: bool = False

    @property
    def threshold(self) -> float:
        return loss_delta(self.loss, self.delta)


@dataclass(frozen=True, kw_only=True)
class Design:
    """Where the points come from: run label of each row, cluster of each row, and the budget that orders them."""

    labels: NDArray[np.str_]
    clusters: NDArray[np.intp]
    runs: int
    budget: Array

    @classmethod
    def of(cls, labels: NDArray[np.str_], seeds: ArrayLike | None, budget: Array, *inputs: Array) -> Design:
        return cls(
            labels=labels,
            clusters=boot.clusters_of(labels, seeds, *inputs),
            runs=boot.count_runs(labels, seeds),
            budget=budget,
        )

    @property
    def units(self) -> int:
        return int(self.clusters.max()) + 1


def estimate(form: Form, log_y: Array, design: Design, settings: Settings, known: str = "") -> FitResult:
    """Fit, resample, check. `log_y` (n,) is the natural log of the loss that `form` was bound to. `known` is a reason
    why the design cannot tell, where the caller sees one beforehand: then nothing is resampled."""
    rng = np.random.default_rng(settings.seed)
    delta, points, width = settings.threshold, len(log_y), len(form.symbols)
    every = np.ones((1, points))
    tried = form.starts(settings.starts, rng)
    solved = minimise(form.residuals, tried, every, delta=delta)
    order = np.argsort(solved.objective)
    front = order[:_POLISHED]
    polished = minimise(form.residuals, solved.theta[front], every, delta=delta, steps=3000, tolerance=1e-13)
    solved.theta[front], solved.objective[front] = polished.theta, polished.objective
    order = np.argsort(solved.objective)
    best, objective = solved.theta[order[0]], float(solved.objective[order[0]])
    agreed = int((solved.objective <= objective * (1 + _AGREE) + 1e-15).sum())
    optimum = form.params(best[None])[0]

    draws = np.empty((0, width))
    units = design.units
    if units < width:
        known = known or f"{width} parameters cannot be told from {units} independent run{'s' if units > 1 else ''}"
    if settings.bootstrap and units > width and not known:
        weights = boot.resample(design.clusters, settings.bootstrap, rng, at_least=width + 1)
        basins = _basins(solved.theta[order], solved.objective[order])
        draws = form.params(refit(form, basins, weights, delta))
    widen = boot.widening(units, width, robust=bool(np.isfinite(delta)))
    intervals = {
        symbol: boot.interval(draws[:, j], float(optimum[j]), widen, logarithmic=symbol in form.positive)
        for j, symbol in enumerate(form.symbols)
        if len(draws)
    }
    params = dict(zip(form.symbols, map(float, optimum), strict=True))
    reason = known or verdict(form, best, objective, params, intervals, units, delta)
    residuals = form.residuals(best[None])[0][0]
    r2, aic, bic = describe(residuals, log_y, width + 1)
    leverage = () if known else _leverage(form, best, params, design, delta)
    return FitResult(
        form=form.name,
        loss=settings.loss,
        points=points,
        runs=design.runs,
        clusters=units,
        optimum=params,
        optimum_intervals=intervals,
        objective=objective,
        starts=len(tried),
        agreed=agreed,
        bootstrap=len(draws),
        r2=r2,
        aic=aic,
        bic=bic,
        identifiable=not reason,
        reason=reason,
        warnings=caveats(design, points, width, settings, agreed, len(tried), len(draws) or bool(known)),
        leverage=leverage,
        held_out=_hold_out(form, best, design, delta) if settings.hold_out_largest else None,
        draws=draws,
    )


def refit(form: Form, basins: Array, weights: Array, delta: float) -> Array:
    """Optimum (B, p) of every row of weights (B, n), the best over warm starts from each of `basins` (k, p)."""
    best, value = np.empty((len(weights), basins.shape[1])), np.full(len(weights), np.inf)
    for basin in basins:
        solved = minimise(form.residuals, np.tile(basin, (len(weights), 1)), weights, delta=delta, tolerance=1e-8)
        better = solved.objective < value
        best[better], value[better] = solved.theta[better], solved.objective[better]
    return best


def describe(residuals: Array, log_y: Array, count: int) -> tuple[float, float, float]:
    """R2, AIC = n ln(RSS/n) + 2k and BIC = n ln(RSS/n) + k ln n of log residuals (n,), with k = `count`."""
    points, rss = len(residuals), float(residuals @ residuals)
    spread = float(((log_y - log_y.mean()) ** 2).sum())
    likelihood = points * np.log(max(rss, 1e-300) / points)
    r2 = 1 - rss / spread if spread > 0 else float("nan")
    return r2, float(likelihood + 2 * count), float(likelihood + count * np.log(points))


def caveats(
    design: Design, points: int, width: int, settings: Settings, agreed: int, tried: int, drawn: int
) -> tuple[str, ...]:
    """What a reader of the numbers must know."""
    found = []
    if points > design.units:
        of = "runs" if design.units == design.runs else f"shapes ({design.runs} runs)"
        found.append(
            f"{points} points come from {design.units} {of}: AIC, BIC and R2 treat points as independent and only "
            "describe; intervals resample runs"
        )
    if settings.bootstrap and not drawn:
        found.append(f"no intervals: {width} parameters need at least {width + 1} independent runs, not {design.units}")
    if tried >= 8 and agreed < max(2, tried // 20):
        found.append(f"only {agreed} of {tried} starts reached the best objective: the surface has several basins")
    return tuple(found)


def _basins(theta: Array, objective: Array) -> Array:
    """The best optimum and up to two that are worse but not far (theta and objective sorted, best first)."""
    kept = [0]
    for i in np.flatnonzero(objective <= objective[0] * 1.5 + 1e-12):
        if len(kept) == _BASINS:
            break
        if objective[i] > objective[kept[-1]] * (1 + 1e-3) + 1e-15:
            kept.append(int(i))
    return theta[kept]


def _leverage(form: Form, best: Array, params: dict[str, float], design: Design, delta: float) -> tuple[Leverage, ...]:
    """For each exponent the point whose absence moves it most; sorted, the largest move first."""
    points = len(design.labels)
    if points > _LEVERAGE_LIMIT or points < len(form.symbols) + 2:
        return ()
    without = form.params(refit(form, best[None], 1 - np.eye(points), delta))
    found = []
    for symbol in form.exponents:
        values = without[:, form.symbols.index(symbol)]
        i = int(np.nanargmax(np.abs(values - params[symbol])))
        found.append(
            Leverage(
                point=i,
                run=str(design.labels[i]),
                x=float(design.budget[i]),
                param=symbol,
                value=params[symbol],
                without=float(values[i]),
            )
        )
    return tuple(sorted(found, key=lambda one: -abs(one.without / one.value - 1) if one.value else 0.0))


def _hold_out(form: Form, best: Array, design: Design, delta: float) -> HeldOut | None:
    """Fit without the top budget (every point within 10 % of the largest) and predict it; None if too little is left."""
    top = design.budget >= design.budget.max() / 1.1
    kept = ~top
    if kept.sum() < len(form.symbols) + 1:
        return None
    theta = refit(form, best[None], kept[None].astype(float), delta)
    errors = form.residuals(theta)[0][0][top]
    return HeldOut(
        points=int(top.sum()),
        largest_x_fitted=float(design.budget[kept].max()),
        largest_x=float(design.budget.max()),
        log_error=float(np.sqrt((errors**2).mean())),
        bias=float(errors.mean()),
        params=dict(zip(form.symbols, map(float, form.params(theta)[0]), strict=True)),
    )
