"""Two power laws with a free break: straight segments in log-log, with a jump between them or joined at a kink.

    L = A1 x^-a1 for x <= break, A2 x^-a2 above          jump = True (the segments need not meet), or A2 tied (a kink)

Whether there is a break at all, and where one with a jump may lie, is asked in `breaks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import bootstrap as boot
from .breaks import break_gaps, one_law_test
from .estimate import HUBER_DELTA, Design, Settings, caveats, describe
from .inputs import enough, labels_of, positive, same_length, varied
from .result import FitResult, HeldOut, Leverage, plain
from .segments import LEAST, line_rss, profile_jump, scan_jump, scan_kink, splits
from .solver import minimise

Array = NDArray[np.float64]

_ALPHA = 0.05
_SYMBOLS: tuple[str, ...] = ("A1", "a1", "A2", "a2")


@dataclass(frozen=True, kw_only=True)
class BrokenResult(FitResult):
    """A fit of two segments. break_point is in units of x; with a jump every break in `break_between` fits alike and
    break_point is their geometric middle. break_interval: of a kink, resampled runs; with a jump, whole gaps between
    budgets (`breaks.break_gaps`); of a resampled frontier, its resamples. test_one_law is the p-value of "one law made
    these points"."""

    jump: bool
    break_point: float
    break_between: tuple[float, float]
    break_interval: tuple[float, float]
    test_one_law: float
    one_law_aic: float

    @property
    def two_laws(self) -> bool:
        return self.test_one_law < _ALPHA

    def to_dict(self) -> dict[str, Any]:
        shown = self.identifiable
        return super().to_dict() | {
            "jump": self.jump,
            "break": plain(self.break_point) if shown else None,
            "break_between": [plain(end) for end in self.break_between] if shown else None,
            "break_interval": [plain(end) for end in self.break_interval] if shown else None,
            "test_one_law": plain(self.test_one_law),
            "one_law_aic": plain(self.one_law_aic),
        }


@dataclass(frozen=True)
class _Jump:
    """theta: level and slope left, level and slope right, position of the break (held: the fit is a step in it)."""

    x: Array
    y: Array

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        left = (self.x <= theta[:, 4:5]).astype(float)
        predicted = np.where(left > 0, theta[:, :1] + theta[:, 1:2] * self.x, theta[:, 2:3] + theta[:, 3:4] * self.x)
        right, zero = 1 - left, np.zeros(left.shape)
        return predicted - self.y, np.stack([left, left * self.x, right, right * self.x, zero], -1)


@dataclass(frozen=True)
class _Kink:
    """theta: level at the kink, slope left, slope right, position of the kink."""

    x: Array
    y: Array

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        past = self.x - theta[:, 3:4]
        left, right = np.minimum(past, 0), np.maximum(past, 0)
        slope = np.where(past <= 0, theta[:, 1:2], theta[:, 2:3])
        jacobian = np.stack([np.ones_like(past), left, right, -slope], -1)
        return theta[:, :1] + theta[:, 1:2] * left + theta[:, 2:3] * right - self.y, jacobian


def _solve(x: Array, y: Array, weights: Array, jump: bool, delta: float, least: int) -> tuple[Array, Array]:
    """Best break of every row of weights: (B, 5) level and slope left, level and slope right, position; (B,) objective.
    x, y are natural logs sorted by x."""
    scan = (scan_jump if jump else scan_kink)(x, y, weights, least)
    found = np.column_stack([scan.lines, scan.position])
    if jump and not np.isfinite(delta):
        return found, 0.5 * scan.rss
    if jump:
        held = np.array([False] * 4 + [True])
        solved = minimise(_Jump(x, y).residuals, found, weights, delta=delta, held=held, tolerance=1e-9)
        best, objective = solved.theta, solved.objective
        if len(weights) == 1:  # the data themselves: every candidate break under the robust loss
            tried, value = _every_jump(x, y, delta, least)
            i = int(value.argmin())
            if value[i] < objective[0]:
                best, objective = tried[i : i + 1], value[i : i + 1]
        return best, objective
    level = found[:, 0] + found[:, 1] * found[:, 4]
    solved = minimise(
        _Kink(x, y).residuals, np.column_stack([level, found[:, 1], found[:, 3], found[:, 4]]), weights,
        delta=delta, tolerance=1e-9,
    )  # fmt: skip
    level, left, right, at = solved.theta.T
    distinct = np.unique(x)
    inside = (at >= distinct[least - 1]) & (at <= distinct[-least])
    polished = np.column_stack([level - left * at, left, level - right * at, right, at])
    return np.where(inside[:, None], polished, found), solved.objective


def _every_jump(x: Array, y: Array, delta: float, least: int) -> tuple[Array, Array]:
    """The best lines about every candidate break: (K, 5) as `_solve` returns them, and (K,) objectives."""
    cut = splits(x, least)
    rss, lines = profile_jump(x, y, np.ones((1, len(x))), least)
    found = np.column_stack([*(line[0] for line in lines), (x[cut - 1] + x[cut]) / 2])
    if not np.isfinite(delta):
        return found, 0.5 * rss[0]
    held = np.array([False] * 4 + [True])
    solved = minimise(_Jump(x, y).residuals, found, np.ones((len(cut), len(x))), delta=delta, held=held, tolerance=1e-9)
    return solved.theta, solved.objective


def _read(found: Array, centre: float) -> Array:
    """(B, 5) lines about `centre` and position -> (B, 5) A1, a1, A2, a2, break."""
    with np.errstate(over="ignore"):
        return np.column_stack(
            [
                np.exp(found[:, 0] - found[:, 1] * centre),
                -found[:, 1],
                np.exp(found[:, 2] - found[:, 3] * centre),
                -found[:, 3],
                np.exp(found[:, 4] + centre),
            ]
        )


def fit_broken(
    x: ArrayLike,
    y: ArrayLike,
    runs: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    jump: bool = True,
    loss: str = "lsq",
    delta: float = HUBER_DELTA,
    bootstrap: int = 1000,
    seed: int = 0,
    replicates: Sequence[tuple[Array, Array]] | None = None,
    replicated_runs: int | None = None,
    test: int = 999,
    hold_out_largest: bool = False,
) -> BrokenResult:
    """Fit two segments; x, y, runs, seeds, loss, bootstrap, seed as in `powerlaw.fit_power`.

    jump         the segments need not meet (two laws); without it they meet at the break (one curve that bends).
    replicates   resampled points (x, y) to use in place of resampled rows, drawn from `replicated_runs` runs: where
                 the points are a frontier, the runs behind it are resampled and the frontier drawn again
                 (`frontier.resampled`), because which runs make the frontier is itself uncertain.
    test         resamples of the one-law test (0: none, NaN).
    hold_out_largest   also fit without the top budget and predict it with the upper segment.
    """
    same_length(x=x, y=y, runs=runs, seeds=seeds)
    x, y = positive("x", x, runs), positive("loss", y, runs)
    form = "broken with a jump" if jump else "broken"
    enough(len(x), 5 if jump else 4, form)
    enough(len(np.unique(x)), 2 * LEAST - 2, f"{form}, counting distinct budgets,")
    varied("x", x, "a broken law", "tell a slope from one budget")
    settings = Settings(loss=loss, delta=delta, bootstrap=bootstrap, seed=seed, starts=1)
    threshold, rng = settings.threshold, np.random.default_rng(seed)
    design = Design.of(labels_of(runs, len(x)), seeds, x, x)
    order = np.argsort(x, kind="stable")
    centre = float(np.log(x).mean())
    log_x, log_y, clusters = np.log(x)[order] - centre, np.log(y)[order], design.clusters[order]

    every = np.ones((1, len(x)))
    found, objective = _solve(log_x, log_y, every, jump, threshold, LEAST)
    optimum = _read(found, centre)[0]
    params = {symbol: float(optimum[j]) for j, symbol in enumerate(_SYMBOLS)}
    residuals = _Jump(log_x, log_y).residuals(found)[0][0]
    r2, aic, bic = describe(residuals, log_y, 6 if jump else 5)
    line, _ = line_rss(log_x, log_y, every)
    one_law = line[0, 0] + line[0, 1] * log_x

    units = replicated_runs or design.units
    draws = np.empty((0, 5))
    if bootstrap and units >= 6:
        if replicates is None:
            weights = boot.resample(clusters, bootstrap, rng, at_least=2 * LEAST)
            draws = _read(_solve(log_x, log_y, weights, jump, threshold, LEAST)[0], centre)
        else:
            draws = np.concatenate([_replicate(*pair, jump, threshold, centre) for pair in replicates])
    # each line rests on about half of the runs, and the search for the break spends runs that resamples do not give back
    searched = float(np.sqrt(units / (units - 4))) if units > 4 else float("inf")
    widen = searched * boot.widening(units // 2, 2, robust=bool(np.isfinite(threshold)))
    intervals = {
        symbol: boot.interval(draws[:, j], float(optimum[j]), widen, logarithmic=symbol[0] == "A")
        for j, symbol in enumerate(_SYMBOLS)
        if len(draws)
    }
    left = log_x <= found[0, 4]
    ends = (float(np.exp(log_x[left].max() + centre)), float(np.exp(log_x[~left].min() + centre)))
    span = (float("nan"), float("nan"))
    if jump and replicates is None:
        robust = bool(np.isfinite(threshold))
        low, high = break_gaps(log_x, _every_jump(log_x, log_y, threshold, LEAST)[1], units, robust)
        span = float(np.exp(low + centre)), float(np.exp(high + centre))
    elif len(draws):
        span = boot.interval(draws[:, 4], float(optimum[4]), widen, logarithmic=True)
    if jump:  # the break is anywhere in the gap, however sure the gap is
        span = (min(span[0], ends[0]), max(span[1], ends[1])) if np.isfinite(span[0]) else span
    reason = ""
    if span[1] >= 10 * span[0]:
        reason = f"the 95 % interval of the break covers an order of magnitude ({span[0]:.3g} to {span[1]:.3g})"
    p_value = one_law_test(log_x, log_y, clusters, jump, test, rng) if test else float("nan")
    warnings = list(caveats(design, len(x), 5, settings, 1, 1, len(draws)))
    if p_value >= _ALPHA:
        warnings.append(f"one law is not ruled out (p = {p_value:.3f}): do not claim a break")
    for symbol in ("a1", "a2"):
        if symbol in intervals and intervals[symbol][0] <= 0 <= intervals[symbol][1]:
            warnings.append(f"the 95 % interval of {symbol} includes 0: that segment may be a plateau")
    return BrokenResult(
        form="broken",
        loss=loss,
        points=len(x),
        runs=design.runs,
        clusters=units,
        optimum=params,
        optimum_intervals=intervals,
        objective=float(objective[0]),
        starts=len(splits(log_x, LEAST)),
        agreed=1,
        bootstrap=len(draws),
        r2=r2,
        aic=aic,
        bic=bic,
        identifiable=not reason,
        reason=reason,
        warnings=tuple(warnings),
        leverage=_leverage(log_x, log_y, design, order, jump, threshold, centre),
        held_out=_hold_out(log_x, log_y, jump, threshold, centre) if hold_out_largest else None,
        draws=draws,
        jump=jump,
        break_point=float(optimum[4]),
        break_between=ends if jump else (float(optimum[4]), float(optimum[4])),
        break_interval=span,
        test_one_law=p_value,
        one_law_aic=describe(log_y - one_law, log_y, 3)[1],
    )


def slopes_at(x: ArrayLike, y: ArrayLike, at: float) -> dict[str, float]:
    """A1, a1, A2, a2 by least squares with the break held at `at` (to compare with a published one)."""
    log_x, log_y = np.log(positive("x", x)), np.log(positive("loss", y))
    found: dict[str, float] = {}
    for side, rows in (("1", log_x <= np.log(at)), ("2", log_x > np.log(at))):
        enough(len(np.unique(log_x[rows])), 0, f"the segment {'below' if side == '1' else 'above'} {at:.3g}")
        slope, level = np.polyfit(log_x[rows], log_y[rows], 1)
        found |= {f"A{side}": float(np.exp(level)), f"a{side}": float(-slope)}
    return found


def _replicate(x: Array, y: Array, jump: bool, delta: float, centre: float) -> Array:
    order = np.argsort(x, kind="stable")
    log_x, log_y = np.log(x)[order] - centre, np.log(y)[order]
    if len(np.unique(log_x)) < 2 * LEAST:
        return np.empty((0, 5))
    return _read(_solve(log_x, log_y, np.ones((1, len(x))), jump, delta, LEAST)[0], centre)


def _leverage(
    log_x: Array, log_y: Array, design: Design, order: NDArray[np.intp], jump: bool, delta: float, centre: float
) -> tuple[Leverage, ...]:
    """Leave-one-out with the break free again: for each slope the point whose absence moves it most."""
    points = len(log_x)
    if points < 2 * LEAST + 1 or points > 400:
        return ()
    value = _read(_solve(log_x, log_y, np.ones((1, points)), jump, delta, LEAST)[0], centre)[0]
    without = _read(_solve(log_x, log_y, 1 - np.eye(points), jump, delta, LEAST)[0], centre)
    found = []
    for j in (1, 3):
        i = int(np.abs(without[:, j] - value[j]).argmax())
        found.append(
            Leverage(
                point=int(order[i]),
                run=str(design.labels[order[i]]),
                x=float(np.exp(log_x[i] + centre)),
                param=_SYMBOLS[j],
                value=float(value[j]),
                without=float(without[i, j]),
            )
        )
    return tuple(found)


def _hold_out(log_x: Array, log_y: Array, jump: bool, delta: float, centre: float) -> HeldOut | None:
    """As `estimate` does for the smooth laws; None where too few budgets are left for two segments."""
    top = log_x >= log_x.max() - np.log(1.1)
    kept_x, kept_y = log_x[~top], log_y[~top]
    if len(np.unique(kept_x)) < 2 * LEAST:
        return None
    found = _solve(kept_x, kept_y, np.ones((1, len(kept_x))), jump, delta, LEAST)[0]
    errors = _Jump(log_x[top], log_y[top]).residuals(found)[0][0]
    values = _read(found, centre)[0]
    return HeldOut(
        points=int(top.sum()),
        largest_x_fitted=float(np.exp(kept_x.max() + centre)),
        largest_x=float(np.exp(log_x.max() + centre)),
        log_error=float(np.sqrt((errors**2).mean())),
        bias=float(errors.mean()),
        params={symbol: float(values[j]) for j, symbol in enumerate(_SYMBOLS)},
    )
