"""What a fit returns: numbers that never travel without their n, their spread and their caveats."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Coverage of every interval in this package."""


@dataclass(frozen=True, kw_only=True)
class Leverage:
    """What one point does to one exponent: its value with all points (`value`) and without this one (`without`)."""

    point: int
    run: str
    x: float
    param: str
    value: float
    without: float

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The law fitted without the top budget, asked to predict it. `log_error` is the root mean square of the log errors
    (natural log of predicted over observed loss) over the held-out points; `bias` is their mean, signed."""

    points: int
    largest_x_fitted: float
    largest_x: float
    log_error: float
    bias: float
    params: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """One law fitted to one set of points.

    objective  the minimised loss, in the units of `loss`: the sum over points of the Huber loss (`huber`) or half the
               sum of squares (`lsq`) of natural-log residuals.
    agreed     how many of `starts` ended within a relative 1e-4 of the best objective: few agreeing starts mean that
               the surface has other basins and the optimum may be a lucky one.
    bootstrap  resamples behind the intervals (0: no intervals were asked for or possible).
    clusters   independent units that were resampled: runs, with seeds of one run merged.
    r2, aic, bic   of the log residuals; k counts the parameters and the noise level; aic = n ln(RSS/n) + 2k. They
               treat points as independent, so they only describe where points share runs (a warning says so).
    optimum, optimum_intervals   the numbers even where they mean nothing; `params` and `intervals` are what may be
               quoted, and are empty when `identifiable` is false.
    draws      (bootstrap, parameters) in the order of `optimum`: for bands, not for `to_dict`.
    """

    form: str
    loss: str
    points: int
    runs: int
    clusters: int
    optimum: dict[str, float]
    optimum_intervals: dict[str, tuple[float, float]]
    objective: float
    starts: int
    agreed: int
    bootstrap: int
    r2: float
    aic: float
    bic: float
    identifiable: bool
    reason: str = ""
    warnings: tuple[str, ...] = ()
    leverage: tuple[Leverage, ...] = ()
    held_out: HeldOut | None = None
    draws: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)), repr=False, compare=False)

    @property
    def params(self) -> dict[str, float]:
        return dict(self.optimum) if self.identifiable else {}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        return dict(self.optimum_intervals) if self.identifiable else {}

    def to_dict(self) -> dict[str, Any]:
        """Plain structure for JSON; infinite or undefined numbers become None."""
        return {
            "form": self.form,
            "loss": self.loss,
            "points": self.points,
            "runs": self.runs,
            "clusters": self.clusters,
            "params": {name: plain(value) for name, value in self.params.items()},
            "intervals": {name: [plain(low), plain(high)] for name, (low, high) in self.intervals.items()},
            "objective": plain(self.objective),
            "starts": self.starts,
            "agreed": self.agreed,
            "bootstrap": self.bootstrap,
            "r2": plain(self.r2),
            "aic": plain(self.aic),
            "bic": plain(self.bic),
            "identifiable": self.identifiable,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "leverage": [one.to_dict() for one in self.leverage],
            "held_out": self.held_out.to_dict() if self.held_out else None,
        }


def plain(value: float) -> float | None:
    """A float for JSON, or None where JSON has no number for it."""
    return float(value) if math.isfinite(value) else None
