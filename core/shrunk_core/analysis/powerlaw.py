"""The power law of loss against one budget, L = A x^-a, with or without an irreducible term: L = E + A x^-a.

x is anything that grows: training FLOPs, parameters, tokens. Kaplan et al. 2020 (arXiv 2001.08361), equations 1.1-1.3,
for the plain form; Henighan et al. 2020 (arXiv 2010.14701), equation 1.1, for the irreducible term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .estimate import HUBER_DELTA, Design, Settings, estimate
from .inputs import enough, labels_of, positive, same_length, varied
from .result import FitResult

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Power:
    """L = A x^-a in coordinates (log of A at the centre of log x, a). A straight line in log-log: no local optima."""

    log_x: Array
    log_y: Array
    name: str = "power"
    symbols: tuple[str, ...] = ("A", "a")
    exponents: tuple[str, ...] = ("a",)
    positive: tuple[str, ...] = ("A",)

    @property
    def centre(self) -> float:
        return float(self.log_x.mean())

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        from_centre = self.log_x - self.centre
        predicted = theta[:, :1] - theta[:, 1:2] * from_centre
        jacobian = np.stack([np.ones_like(from_centre), -from_centre], -1)
        return predicted - self.log_y, np.broadcast_to(jacobian, (len(theta), *jacobian.shape))

    def params(self, theta: Array) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            return np.stack([np.exp(theta[:, 0] + theta[:, 1] * self.centre), theta[:, 1]], -1)

    def starts(self, count: int, rng: np.random.Generator) -> Array:
        """The least-squares line, and lines through random pairs of points (an outlier spoils the first only)."""
        found = [_line(self.log_x - self.centre, self.log_y)]
        for _ in range(count - 1):
            i, j = rng.choice(len(self.log_x), 2, replace=False)
            if self.log_x[i] != self.log_x[j]:
                slope = -(self.log_y[i] - self.log_y[j]) / (self.log_x[i] - self.log_x[j])
                found.append(np.array([self.log_y[i] + slope * (self.log_x[i] - self.centre), slope]))
        return np.stack(found)


@dataclass(frozen=True)
class IrreduciblePower:
    """L = E + A x^-a in coordinates (log of A at the centre of log x, a, log E)."""

    log_x: Array
    log_y: Array
    name: str = "power"
    symbols: tuple[str, ...] = ("A", "a", "E")
    exponents: tuple[str, ...] = ("a",)
    positive: tuple[str, ...] = ("A", "a", "E")

    @property
    def centre(self) -> float:
        return float(self.log_x.mean())

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        from_centre = self.log_x - self.centre
        reducible = theta[:, :1] - theta[:, 1:2] * from_centre
        predicted = np.logaddexp(reducible, theta[:, 2:3])
        share = np.exp(reducible - predicted)
        return predicted - self.log_y, np.stack([share, -share * from_centre, 1 - share], -1)

    def params(self, theta: Array) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            prefactor = np.exp(theta[:, 0] + theta[:, 1] * self.centre)
            return np.stack([prefactor, theta[:, 1], np.exp(theta[:, 2])], -1)

    def starts(self, count: int, rng: np.random.Generator) -> Array:
        """For a ladder of E up to just below the lowest loss, the straight line of log(L - E)."""
        lowest = np.exp(self.log_y.min())
        found = []
        for share in 1 - np.geomspace(0.999, 1e-3, max(2, count)):
            line = _line(self.log_x - self.centre, np.log(np.exp(self.log_y) - share * lowest))
            found.append(np.array([line[0], max(line[1], 1e-3), np.log(max(share, 1e-3) * lowest)]))
        return np.stack(found)


def _line(from_centre: Array, log_y: Array) -> Array:
    slope, level = np.polyfit(from_centre, log_y, 1)
    return np.array([level, -slope])


def fit_power(
    x: ArrayLike,
    y: ArrayLike,
    runs: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    irreducible: bool = False,
    loss: str = "huber",
    delta: float = HUBER_DELTA,
    starts: int = 32,
    bootstrap: int = 1000,
    seed: int = 0,
    hold_out_largest: bool = False,
) -> FitResult:
    """Fit y = A x^-a (or E + A x^-a with `irreducible`).

    x, y      (n,) budget and loss (nats) or perplexity, above zero.
    runs      (n,) the run of each point; rows of one run are resampled together. Default: each point is a run.
    seeds     (n,) the seed of each point; runs that differ only in it form one cluster (`bootstrap.clusters_of`).
    loss      `huber` (threshold `delta` on log residuals) or `lsq`.
    starts    starting points; bootstrap: resamples behind the 95 % intervals (0: none); seed: of every random draw.
    hold_out_largest   also fit without the top budget and predict it.

    Refuses (FitError) non-finite or non-positive numbers, fewer than parameters + 2 points and a single budget. Six
    runs on a plateau are not refused; the result says `identifiable = False`, and why.
    """
    same_length(x=x, y=y, runs=runs, seeds=seeds)
    x, y = positive("x", x, runs), positive("loss", y, runs)
    enough(len(x), 3 if irreducible else 2, "power with an irreducible term" if irreducible else "power")
    varied("x", x, "a power law", "tell an exponent from one budget")
    log_x, log_y = np.log(x), np.log(y)
    design = Design.of(labels_of(runs, len(x)), seeds, x, x)
    form = IrreduciblePower(log_x, log_y) if irreducible else Power(log_x, log_y)
    settings = Settings(
        loss=loss, delta=delta, starts=starts, bootstrap=bootstrap, seed=seed, hold_out_largest=hold_out_largest
    )
    return estimate(form, log_y, design, settings)
