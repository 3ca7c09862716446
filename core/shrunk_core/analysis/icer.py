"""What does the next unit of quality cost? Incremental cost-effectiveness, as health economists ask it.

Options are sorted by effect; an option that another one beats at no higher cost is *dominated*; one whose next step is
cheaper per unit of effect than its own is *extendedly dominated* (a mix of its neighbours would beat it). Along what is
left, ICER = (cost - cost before) / (effect - effect before). Drummond et al., Methods for the Economic Evaluation of
Health Care Programmes, 4th edition, section 5.4.

A *ladder* is plainer: the rungs of one axis, everything else held, each step priced, none dropped. Its danger is a
second thing changing between two rungs, so every other column is compared and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from shrunk_core.errors import FitError

from .inputs import same_length
from .result import LEVEL, plain

Array = NDArray[np.float64]

PER = {"flops": (1e16, "per 1e16 FLOPs"), "seconds": (3600.0, "per hour"), "gpu-hours": (1.0, "per GPU hour"),
       "energy": (3.6e6, "per kWh"), "params": (1e6, "per 1e6 parameters")}  # fmt: skip
"""For each cost (FLOPs, seconds, hours, joules, parameters): the amount that `effect_per_unit` is quoted for."""
REDRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One option. icer is cost per unit of effect of the step from the rung before, effect_per_unit its inverse per
    `unit`, both None at the reference and where nothing is to be divided; interval is of effect_per_unit, where both
    ends of the step have two seeds, with the costs at their means. on_frontier: see `dominance`."""

    run: str
    cost: float
    effect: float
    status: str
    icer: float | None
    effect_per_unit: float | None
    unit: str
    warning: str = ""
    interval: tuple[float, float] | None = None
    seeds: int = 1
    on_frontier: float | None = None

    def to_dict(self) -> dict[str, Any]:
        low, high = self.interval or (float("nan"), float("nan"))
        return dict(self.__dict__) | {"interval": [plain(low), plain(high)] if self.interval else None}


def dominance(
    runs: Sequence[str], cost: ArrayLike, effect: ArrayLike, cost_kind: str = "flops", seed: int = 0
) -> tuple[Rung, ...]:
    """All options in order of effect, with their status: `reference` (the cheapest that is not dominated), `frontier`,
    `dominated`, `extendedly dominated`. effect: larger is better (a fall in perplexity is minus the perplexity).

    Rows of one label in `runs` are seeds of one option, which stands at their mean; `interval` is then Welch's, of a step
    along the frontier as it was found. Whether it would be found again is `on_frontier`: the share of redraws of the mean
    effects in which an option is on the frontier. They are drawn with the seeds' noise pooled over all options (Student's
    t, so few seeds count for little), which takes that noise to be alike; None without two degrees of freedom for it.
    """
    spent, gained = _checked(runs, cost, effect)
    per, unit = _unit(cost_kind)
    members: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        members.setdefault(str(run), []).append(i)
    names, rows = list(members), list(members.values())
    if len(names) < 2:
        raise FitError(f"cost-effectiveness compares at least two options; there is {len(names)}")
    c, e = (np.array([values[i].mean() for i in rows]) for values in (spent, gained))
    status = _statuses(c, e)
    hull = sorted((i for i, one in enumerate(status) if one in _ON), key=lambda i: c[i])
    before = dict(zip(hull[1:], hull[:-1], strict=True))
    again = _on_frontier_again(c, e, rows, gained, np.random.default_rng(seed))
    found = []
    for i in sorted(range(len(names)), key=lambda i: (e[i], -c[i])):
        last = before.get(i)
        step = None if last is None else float((c[i] - c[last]) / (e[i] - e[last]))
        found.append(
            Rung(
                run=names[i],
                cost=float(c[i]),
                effect=float(e[i]),
                status=status[i],
                icer=step,
                effect_per_unit=per / step if step else None,
                unit=unit,
                interval=None if last is None else _welch(gained[rows[last]], gained[rows[i]], (c[i] - c[last]) / per),
                seeds=len(rows[i]),
                on_frontier=None if again is None else float(again[i]),
            )
        )
    return tuple(found)


_ON = ("reference", "frontier")


def _statuses(cost: Array, effect: Array) -> list[str]:
    """The status of each option: a staircase of what nothing cheaper equals, and of that the hull."""
    order = np.lexsort((np.arange(len(cost)), -effect, cost))
    status = ["dominated"] * len(cost)
    kept: list[int] = []
    for i in order:
        if not kept or effect[i] > effect[kept[-1]]:
            kept.append(int(i))
    hull: list[int] = []
    for i in kept:
        while len(hull) > 1 and _step(hull[-2], hull[-1], cost, effect) > _step(hull[-1], i, cost, effect):
            status[hull.pop()] = "extendedly dominated"
        hull.append(i)
    for i in hull:
        status[i] = "frontier"
    status[hull[0]] = "reference"
    return status


def _on_frontier_again(
    cost: Array, effect: Array, members: list[list[int]], gained: Array, rng: np.random.Generator
) -> Array | None:
    """Share (options,) of redraws of the mean effects that leave each option on the frontier."""
    free = sum(len(rows) - 1 for rows in members)
    spread = sum(float(((gained[rows] - gained[rows].mean()) ** 2).sum()) for rows in members)
    if free < 2 or spread == 0:
        return None
    error = np.sqrt(spread / free / np.array([len(rows) for rows in members]))
    scale = np.sqrt(free / rng.chisquare(free, REDRAWS))
    drawn = effect + error * scale[:, None] * rng.standard_normal((REDRAWS, len(cost)))
    return np.mean([[one in _ON for one in _statuses(cost, row)] for row in drawn], axis=0)


def ladder(
    runs: Sequence[str],
    cost: ArrayLike,
    effect: ArrayLike,
    axis: str,
    columns: Mapping[str, Sequence[Any]],
    base: Mapping[str, Any] | None = None,
    cost_kind: str = "flops",
) -> tuple[Rung, ...]:
    """The rungs of one axis, smallest first, each step priced.

    axis     name of the column that climbs; columns  every column that describes an option (shape, tie, recipe), each
             (n,); leave out what follows from them (parameters, FLOPs) and the seed.
    base     values that the other columns must have; rows with other values are left out. Where a rung has several
             options (tied and untied) the best one is taken, and the warning says so. Rows of one option (several
             seeds) are averaged; with two or more seeds on both sides of a step `interval` is Welch's 95 % interval
             of its effect per unit of cost.
    A column named in `base` selects; any other column that changes between two rungs is a confounder and is named.
    """
    spent, gained = _checked(runs, cost, effect)
    if axis not in columns:
        raise FitError(f"no column {axis!r} to climb: {', '.join(columns)}")
    for name in base or {}:
        if name not in columns:
            raise FitError(f"no column {name!r} for the base: {', '.join(columns)}")
    per, unit = _unit(cost_kind)
    others = [name for name in columns if name != axis]
    fixed = {name: value for name, value in (base or {}).items() if name != axis}
    rows = [i for i in range(len(spent)) if all(columns[name][i] == value for name, value in fixed.items())]
    options: dict[Any, dict[tuple[Any, ...], list[int]]] = {}
    for i in rows:
        options.setdefault(columns[axis][i], {}).setdefault(tuple(columns[name][i] for name in others), []).append(i)
    if len(options) < 2:
        raise FitError(f"the {axis} ladder has {len(options)} rung{'s' if len(options) != 1 else ''} at this base")
    found: list[Rung] = []
    last: tuple[tuple[Any, ...], list[int]] | None = None
    for place in sorted(options):
        choices = options[place]
        kind, members = max(choices.items(), key=lambda item: float(gained[item[1]].mean()))
        notes = [f"best of {len(choices)} options at {axis} = {place}"] if len(choices) > 1 else []
        c, e = float(spent[members].mean()), float(gained[members].mean())
        step, rate, span = None, None, None
        if last is not None:
            changed = [name for name, old, new in zip(others, last[0], kind, strict=True) if old != new]
            if changed:
                notes.insert(
                    0, f"not only {axis} changes: " + ", ".join(_change(n, others, last[0], kind) for n in changed)
                )
            d_cost, d_effect = c - found[-1].cost, e - found[-1].effect
            step = d_cost / d_effect if d_effect else None
            rate = d_effect / d_cost * per if d_cost else None
            span = _welch(gained[last[1]], gained[members], d_cost / per)
            if d_effect <= 0:
                notes.append("no gain: this step costs more and is not better" if d_cost > 0 else "no gain")
        found.append(
            Rung(
                run=str(runs[members[0]]),
                cost=c,
                effect=e,
                status="rung" if found else "reference",
                icer=step,
                effect_per_unit=rate,
                unit=unit,
                warning="; ".join(notes),
                interval=span,
                seeds=len(members),
            )
        )
        last = (kind, members)
    return tuple(found)


def _change(name: str, others: list[str], old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    j = others.index(name)
    return f"{name} {old[j]} to {new[j]}"


def _checked(runs: Sequence[str], cost: ArrayLike, effect: ArrayLike) -> tuple[Array, Array]:
    same_length(runs=list(runs), cost=cost, effect=effect)
    spent, gained = np.asarray(cost, dtype=float), np.asarray(effect, dtype=float)
    bad = np.flatnonzero(~np.isfinite(spent) | ~np.isfinite(gained) | (spent < 0))
    if bad.size:
        raise FitError("cost and effect must be finite, cost not negative: " + ", ".join(str(runs[i]) for i in bad[:5]))
    if len(spent) < 2:
        raise FitError(f"cost-effectiveness compares at least two options; there is {len(spent)}")
    return spent, gained


def _unit(cost_kind: str) -> tuple[float, str]:
    if cost_kind not in PER:
        raise FitError(f"unknown cost {cost_kind!r}: {', '.join(PER)}")
    return PER[cost_kind]


def _step(before: int, after: int, cost: Array, effect: Array) -> float:
    return float((cost[after] - cost[before]) / (effect[after] - effect[before]))


def _welch(before: Array, after: Array, units: float) -> tuple[float, float] | None:
    """Welch's interval of the difference of means, per unit of cost."""
    if len(before) < 2 or len(after) < 2 or not units:
        return None
    parts = before.var(ddof=1) / len(before), after.var(ddof=1) / len(after)
    error = float(np.sqrt(sum(parts)))
    if error == 0:
        return None
    free = error**4 / (parts[0] ** 2 / (len(before) - 1) + parts[1] ** 2 / (len(after) - 1))
    reach = float(special.stdtrit(free, 0.5 + LEVEL / 2)) * error
    ends = (after.mean() - before.mean() - reach) / units, (after.mean() - before.mean() + reach) / units
    return float(min(ends)), float(max(ends))
