"""The power law of a set of final points, and how it is told: a line to draw and a sentence, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shrunk_core.analysis.curve import curve
from shrunk_core.analysis.powerlaw import fit_power
from shrunk_core.analysis.result import FitResult
from shrunk_core.errors import FitError
from shrunk_core.store.queries import Point

from ..charts import Band, Series
from .output import say

FEWEST_POINTS = 4


@dataclass(frozen=True, kw_only=True)
class Law:
    """A fit, or the reason why the points refuse one."""

    fit: FitResult | None
    refused: str
    x: str

    def line(self, low: float, high: float, colour: int) -> Series | None:
        """The law between two budgets, as a series; None when there is none to draw."""
        if self.fit is None or not self.fit.identifiable:
            return None
        x = np.geomspace(low, high, 60)
        label = f"L = {self.fit.params['A']:.3g} x^-{self.fit.params['a']:.3g}"
        return Series(label=label, x=x.tolist(), y=curve(self.fit, x).fit.tolist(), line=True, colour=colour)

    def band(self, low: float, high: float) -> tuple[Band, ...]:
        """Its 95 % band between two budgets; nothing when there is none to draw."""
        if self.fit is None or not self.fit.identifiable:
            return ()
        x = np.geomspace(low, high, 60)
        law = curve(self.fit, x)
        if law.low is None or law.high is None:
            return ()
        return (Band(label="95 % band", x=x.tolist(), low=law.low.tolist(), high=law.high.tolist(), colour=7),)


def power_of(points: Sequence[Point], x: str) -> Law:
    """Fit L = A x^-a to final points; x: `flops`, `tokens` or `params`. Seeds of one shape are one cluster."""
    try:
        values = [float(getattr(p, x)) for p in points]
        shapes = [f"{p.shape} {p.updates}" for p in points]
        fit = fit_power(values, [p.loss for p in points], runs=shapes, seeds=[p.seed for p in points])
    except FitError as problem:
        return Law(fit=None, refused=str(problem), x=x)
    return Law(fit=fit, refused="", x=x)


def say_fit(law: Law) -> None:
    """One or two lines about the fit, on stderr."""
    if law.fit is None:
        say(f"power law: not identifiable, {law.refused}")
        return
    fit = law.fit
    if not fit.identifiable:
        say(f"power law: not identifiable, {fit.reason} ({fit.points} points of {fit.clusters} independent runs)")
        return
    intervals = ", ".join(
        f"{k} = {fit.params[k]:.4g} [{low:.4g}, {high:.4g}]" for k, (low, high) in fit.intervals.items()
    )
    say(
        f"power law: loss = A {law.x}^-a with {intervals} (95 % over {fit.bootstrap} resamples of {fit.clusters} "
        f"independent runs, n = {fit.points}, R2 {fit.r2:.2f})"
    )
    for warning in fit.warnings:
        say(f"  note: {warning}")
