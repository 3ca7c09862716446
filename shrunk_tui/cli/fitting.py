"""A law fitted to points: which columns it takes, which rows, what is said beside the numbers.

Order of the rows: the highest losses are dropped, then (if asked) rows of unfinished schedules, then the frontier is drawn,
then the law is fitted. With a frontier
drawn from curves the runs behind it are resampled, because which runs make the frontier is itself uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from shrunk_core.analysis import fit as laws
from shrunk_core.analysis.broken import BrokenResult, fit_broken, slopes_at
from shrunk_core.analysis.frontier import frontier, resampled
from shrunk_core.analysis.paper_table import PUBLISHED, PUBLISHED_BREAK, against_published
from shrunk_core.analysis.result import FitResult
from shrunk_core.errors import ConfigError, FitError

from .paper_facts import from_paper
from .points import Points
from .schedules import finished, marks

X_NAMES = {"flops": "flops", "params": "n", "tokens": "d"}
JOINT = ("chinchilla", "kaplan")
CHEAP = 200
"""Resamples of the fits that only ask whether another counting of FLOPs changes the conclusion."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `shrunk fit`; None is the law's own default."""

    form: str
    x: str | None = None
    loss: str | None = None
    starts: int | None = None
    bootstrap: int = 1000
    breaks: int = 1
    drop_highest_loss: int = 0
    frontier: str = "none"
    jump: bool = True
    irreducible: bool = False
    hold_out_largest: bool = False
    finished_only: bool = False
    seed: int = 0

    def check(self) -> None:
        """ConfigError for options that the law does not have: silence would look like an answer."""
        if self.form != "bnsl" and self.breaks != 1:
            raise ConfigError(
                f"--breaks is of bnsl; {self.form} has {'one break' if self.form == 'broken' else 'none'}"
            )
        if self.form != "power" and self.irreducible:
            raise ConfigError(f"--irreducible is of power; {self.form} has " + _OWN_E[self.form])
        if self.form != "broken" and not self.jump:
            raise ConfigError(f"--kink is of broken, not of {self.form}")
        if self.form == "broken" and self.starts is not None:
            raise ConfigError("--starts is of the laws that start at random; broken tries every break")
        if self.form in JOINT and self.x is not None:
            raise ConfigError(f"--x is of laws with one variable; {self.form} takes n, and d or flops")


_OWN_E = {
    "broken": "no irreducible loss",
    "kaplan": "no irreducible loss",
    "chinchilla": "it anyway, E",
    "bnsl": "it anyway, a",
}


def measured(points: Points) -> str:
    """The column that is explained: y, loss or perplexity, those mapped in so many words first.

    A column that merely is called y is no answer: in files of digitised figures it is a coordinate on the page.
    """
    names = [name for name in ("loss", "perplexity") if points.has(name)]
    names += ["y"] if "y" in points.mapped else []
    if not names:
        points.numbers("loss")  # says what is missing
    return next((name for name in ("y", "loss", "perplexity") if name in points.mapped), names[0])


def explaining(points: Points, asked: Asked) -> dict[str, str]:
    """The columns that explain it, by the argument of the law that takes them."""
    if asked.form in JOINT:
        tokens = "d" if points.has("d") and ("d" in points.mapped or "flops" not in points.mapped) else "flops"
        return {"n": "n", tokens: tokens}
    if points.has("x") and "x" in points.mapped:
        return {"x": "x"}
    return {"x": X_NAMES[asked.x or "flops"]}


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fit with the rows it was made on (`used`), the rows they were chosen from, and the columns x and y."""

    result: FitResult
    used: Points
    pool: Points
    x: str
    y: str


def fit_points(points: Points, asked: Asked) -> Fitted:
    """Choose the rows and fit them."""
    y = measured(points)
    values = points.numbers(y)
    dropped = asked.drop_highest_loss
    if not 0 <= dropped < len(values):
        raise FitError(f"cannot drop {dropped} of {len(values)} rows")
    pool = points.take(sorted(sorted(range(len(values)), key=lambda i: values[i])[: len(values) - dropped]))
    pool = finished(pool) if asked.finished_only else pool
    used = pool
    if asked.frontier != "none":
        front = frontier(pool.numbers("flops"), pool.numbers(y), pool.trained(), method=asked.frontier)
        used = pool.take(point.row for point in front)
    names = explaining(points, asked)
    columns = {argument: used.numbers(name) for argument, name in names.items()}
    x = list(names.values())[-1]
    labels, seeds = used.labels(), used.seeds()
    if asked.form == "broken":
        drawn, units = None, None
        if asked.frontier in ("paper", "envelope") and asked.bootstrap and explaining(points, asked)["x"] == "flops":
            drawn, units = resampled(
                pool.numbers("flops"), pool.numbers(y), pool.labels() or pool.trained(), pool.seeds(), asked.frontier,
                asked.bootstrap, asked.seed,
            )  # fmt: skip
        result: FitResult = fit_broken(
            columns["x"], used.numbers(y), labels, seeds, jump=asked.jump, loss=asked.loss or laws.DEFAULT_LOSS["broken"],
            bootstrap=asked.bootstrap, seed=asked.seed, replicates=drawn, replicated_runs=units,
            hold_out_largest=asked.hold_out_largest,
        )  # fmt: skip
    else:
        result = laws.fit(
            asked.form, y=used.numbers(y), runs=labels, seeds=seeds, loss=asked.loss, starts=asked.starts,
            bootstrap=asked.bootstrap, breaks=asked.breaks, irreducible=asked.irreducible,
            hold_out_largest=asked.hold_out_largest, seed=asked.seed, x=columns.get("x"), n=columns.get("n"),
            d=columns.get("d"), flops=columns.get("flops"),
        )  # fmt: skip
    notes = [*([f"the {dropped} highest losses were left out"] if dropped else []), *marks(used).said()]
    result = replace(result, warnings=(*result.warnings, *notes))
    return Fitted(result=result, used=used, pool=pool, x=x, y=y)


def report(points: Points, asked: Asked, others: Callable[[], Mapping[str, Points]]) -> tuple[dict[str, Any], Fitted]:
    """Everything that `shrunk fit` prints, and the fit. others: reads the points in other countings, to see whether they
    agree."""
    fitted = fit_points(points, asked)
    result, used = fitted.result, fitted.used
    explained = explaining(points, asked)
    found = result.to_dict() | {
        "x": asked.x or list(explained.values())[-1] if asked.form not in JOINT else list(explained),
        "y": measured(points),
        "counting": points.counting or None,
        "frontier": asked.frontier,
        "evaluation_id": points.evaluation_id or None,
        "source": points.source,
    }
    warnings = list(result.warnings)
    if "flops" in explained.values() or asked.frontier != "none":
        found["by_counting"], changed = by_counting(result, asked, others())
        warnings += changed
    if isinstance(result, BrokenResult) and explained == {"x": "flops"} and from_paper(points):
        found["published"], notes = against_paper(result, used)
        warnings += notes
    return found | {"warnings": warnings}, fitted


def by_counting(result: FitResult, asked: Asked, others: Mapping[str, Points]) -> tuple[dict[str, Any], list[str]]:
    """The fit in every other counting, with few resamples, and a warning for each that concludes something else."""
    found, warnings = {}, []
    for counting, points in others.items():
        try:
            other = fit_points(
                points, replace(asked, bootstrap=min(CHEAP, asked.bootstrap), hold_out_largest=False)
            ).result
        except FitError as refused:
            found[counting] = {"params": {}, "identifiable": False, "reason": str(refused)}
        else:
            found[counting] = {k: v for k, v in other.to_dict().items() if k in ("params", "identifiable", "reason")}
            warnings += [f"with FLOPs counted as `{counting}` {text}" for text in _differences(result, other)]
    return found, warnings


def _differences(result: FitResult, other: FitResult) -> list[str]:
    if result.identifiable != other.identifiable:
        return ["the law is identifiable" if other.identifiable else f"the law is not identifiable: {other.reason}"]
    found = []
    if isinstance(result, BrokenResult) and isinstance(other, BrokenResult) and result.two_laws != other.two_laws:
        found.append(f"one law is {'ruled out' if other.two_laws else 'not ruled out'} (p = {other.test_one_law:.3f})")
    for symbol, value in other.params.items():
        low, high = result.intervals.get(symbol, (-np.inf, np.inf))
        # prefactors depend on the unit of x, which is what a counting changes; exponents do not
        if symbol not in ("A", "A1", "A2", "B", "b", "d1", "Nc", "Dc") and not low <= value <= high:
            found.append(f"{symbol} = {value:.3g} lies outside the interval {low:.3g} to {high:.3g}")
    return found


def against_paper(result: BrokenResult, used: Points) -> tuple[dict[str, Any], list[str]]:
    """The paper's own law of these points: is its break in our interval, and what does its lower law rest on?"""
    x, y = used.numbers("flops"), used.numbers(measured(used))
    rest = sorted(range(len(x)), key=lambda i: x[i])[1:]
    warnings = [against_published(result)] if result.break_interval[0] == result.break_interval[0] else []
    found: dict[str, Any] = {"break": PUBLISHED_BREAK, **PUBLISHED}
    try:
        held = slopes_at(x, y, PUBLISHED_BREAK)
        without = slopes_at([x[i] for i in rest], [y[i] for i in rest], PUBLISHED_BREAK)
    except FitError:  # too few points below the published break
        return found, warnings
    found |= {"refitted": held, "refitted_without_first_point": without}
    free = next((one for one in result.leverage if one.param == "a1"), None)
    text = f"without the first point the lower exponent falls from {held['a1']:.3f} to {without['a1']:.3f} with the break held at"
    text += f" {PUBLISHED_BREAK:.3g} FLOPs"
    if free is not None and math.isclose(free.x, min(x), rel_tol=1e-9):
        text += f", and from {free.value:.3f} to {free.without:.3f} with a free break"
    return found, [*warnings, text]
