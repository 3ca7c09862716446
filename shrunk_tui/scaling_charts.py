"""What a fit, a frontier, ladders and correlations look like: descriptions for the terminal and for files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from shrunk_core.analysis.broken import BrokenResult
from shrunk_core.analysis.curve import curve
from shrunk_core.analysis.result import FitResult

from .charts import Band, Chart, Mark, Series
from .cli.points import SHAPE, Points
from .format import short

MOST_GROUPS = 6
"""Values of an axis that get a sign of their own; more cannot be told apart."""
LAW = 6
GREY = 7
_SHORT = {"embedding_size": "E", "hidden_size": "H", "intermediate_size": "I", "num_heads": "A", "num_layers": "L"}
_UNITS = {"flops": "FLOPs", "n": "parameters", "params": "parameters", "d": "tokens", "tokens": "tokens", "x": "x"}
_JOINT = ("chinchilla", "kaplan")
_STEPS = 200


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Somebody else's points. same_scale: their losses compare with the chart's, else they get an axis of their own."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    same_scale: bool
    why: str = ""


def axis_label(x: str, counting: str = "") -> str:
    """`FLOPs (paper)`, `parameters`, `tokens`."""
    text = _UNITS.get(x, x)
    return f"{text} ({counting})" if x == "flops" and counting else text


def loss_label(y: str) -> str:
    return "loss (nats)" if y == "loss" else y


def fit_chart(
    result: FitResult,
    used: Points,
    x: str,
    y: str,
    *,
    pool: Points | None = None,
    colour_by: str | None = None,
    residuals: bool = True,
    overlay: Overlay | None = None,
) -> Chart:
    """The points that were fitted with the law, its 95 % band, its break and its residuals.

    used: the rows of the fit; x, y: their columns. pool: all rows where the fit took a frontier of them, drawn as dots
    behind. Joint laws (of N and D) are drawn as observed against predicted loss, since they have no single x.
    """
    if result.form in _JOINT:
        return _joint_chart(result, used, y, colour_by)
    at, value = np.asarray(used.numbers(x)), np.asarray(used.numbers(y))
    groups = grouped(used, colour_by)
    series = [
        Series(label=name, x=at[rows].tolist(), y=value[rows].tolist(), colour=i)
        for i, (name, rows) in enumerate(groups)
    ]
    if pool is not None and len(pool) > len(used):
        series.insert(0, Series(label="all evaluations", x=pool.numbers(x), y=pool.numbers(y), colour=GREY, glyph="·"))
    notes: list[str] = []
    bands: list[Band] = []
    marks: list[Mark] = []
    panel: list[Series] = []
    if result.identifiable:
        ends = at.min(), at.max()
        line = np.geomspace(*ends, _STEPS)
        law = curve(result, line)
        series.append(Series(label=equation(result), x=line.tolist(), y=law.fit.tolist(), line=True, colour=LAW))
        if law.low is not None and law.high is not None:
            bands.append(
                Band(label="95 % band", x=line.tolist(), low=law.low.tolist(), high=law.high.tolist(), colour=GREY)
            )
        if isinstance(result, BrokenResult):
            low, high = result.break_interval
            marks.append(Mark(label=f"break {short(result.break_point)} [{short(low)}, {short(high)}]",
                              x=result.break_point, low=low, high=high))  # fmt: skip
        for symbol in (s for s in result.params if result.form == "bnsl" and s.startswith("d")):
            low, high = result.intervals.get(symbol, (None, None))
            marks.append(Mark(label=f"break {symbol} {short(result.params[symbol])}", x=result.params[symbol], low=low,
                              high=high))  # fmt: skip
        if residuals:
            error = 100 * np.log(value / curve(result, at).fit)
            panel = [
                Series(label=name, x=at[rows].tolist(), y=error[rows].tolist(), colour=i)
                for i, (name, rows) in enumerate(groups)
            ]
    else:
        notes.append(f"no law is drawn: {result.reason}")
    chart = Chart(
        title=f"{y} against {axis_label(x, used.counting)}: {result.points} points of {result.runs} runs",
        x_label=axis_label(x, used.counting),
        y_label=loss_label(y),
        series=tuple(series),
        log_x=True,
        log_y=True,
        notes=tuple(notes),
        bands=tuple(bands),
        marks=tuple(marks),
        residuals=tuple(panel),
        residual_label="residual (%)" if panel else "",
    )
    return with_overlay(chart, overlay)


def with_overlay(chart: Chart, overlay: Overlay | None) -> Chart:
    """The chart with somebody else's points in it."""
    if overlay is None:
        return chart
    points = Series(label=overlay.label, x=overlay.x, y=overlay.y, colour=GREY, glyph="+", right=not overlay.same_scale)
    return replace(
        chart,
        series=(*chart.series, points),
        right_label="" if overlay.same_scale else f"loss of {overlay.label}",
        notes=(*chart.notes, *([overlay.why] if overlay.why else [])),
    )


def points_chart(points: Points, x: str, y: str, colour_by: str | None = None, overlay: Overlay | None = None) -> Chart:
    """The points alone, where no law could be fitted."""
    at, value = np.asarray(points.numbers(x)), np.asarray(points.numbers(y))
    series = tuple(
        Series(label=name, x=at[rows].tolist(), y=value[rows].tolist(), colour=i)
        for i, (name, rows) in enumerate(grouped(points, colour_by))
    )
    label = axis_label(x, points.counting)
    title = f"{y} against {label}: {len(points)} points"
    return with_overlay(
        Chart(title=title, x_label=label, y_label=loss_label(y), series=series, log_x=True, log_y=True), overlay
    )


def _joint_chart(result: FitResult, used: Points, y: str, colour_by: str | None) -> Chart:
    n = np.asarray(used.numbers("n"))
    d = np.asarray(used.numbers("d")) if used.has("d") else np.asarray(used.numbers("flops")) / (6 * n)
    value = np.asarray(used.numbers(y))
    groups = grouped(used, colour_by)
    title = f"{result.form}: {result.points} points of {result.runs} runs"
    if not result.identifiable:
        series = [Series(label=name, x=n[rows].tolist(), y=value[rows].tolist(), colour=i)
                  for i, (name, rows) in enumerate(groups)]  # fmt: skip
        return Chart(title=title, x_label="parameters", y_label=loss_label(y), series=tuple(series), log_x=True, log_y=True,
                     notes=(f"no law is drawn: {result.reason}",))  # fmt: skip
    law = curve(result, d, n).fit
    ends = [float(min(law.min(), value.min())), float(max(law.max(), value.max()))]
    series = [Series(label=name, x=law[rows].tolist(), y=value[rows].tolist(), colour=i)
              for i, (name, rows) in enumerate(groups)]  # fmt: skip
    error = 100 * np.log(value / law)
    panel = [Series(label=name, x=law[rows].tolist(), y=error[rows].tolist(), colour=i)
             for i, (name, rows) in enumerate(groups)]  # fmt: skip
    series.append(Series(label="observed = predicted", x=ends, y=ends, line=True, colour=LAW))
    return Chart(
        title=title, x_label=f"predicted {loss_label(y)}", y_label=f"observed {loss_label(y)}", series=tuple(series),
        log_x=True, log_y=True, residuals=tuple(panel), residual_label="residual (%)",
    )  # fmt: skip


def frontier_chart(pool: Points, front: Sequence[Mapping[str, Any]], y_values: Sequence[float], method: str) -> Chart:
    """The pooled curves as dots and their compute-optimal points, those of unfinished schedules and of warm-ups with signs
    of their own; y_values (len(pool),) losses in nats."""
    series = [Series(label="evaluations", x=pool.numbers("flops"), y=y_values, colour=GREY, glyph="·")]
    kinds = {
        "": (f"frontier ({method})", 1),
        "unfinished schedule": ("unfinished schedule", 6),
        "in warm-up": ("in warm-up", 5),
    }
    for start, (label, colour) in kinds.items():
        rows = [row for row in front if row["warning"].partition(";")[0] == start]
        if rows:
            series.append(Series(label=label, x=[float(row["flops"]) for row in rows],
                                 y=[float(row["loss"]) for row in rows], colour=colour))  # fmt: skip
    return Chart(
        title=f"compute-optimal points ({method}): {len(front)} of {len(pool)} rows",
        x_label=axis_label("flops", pool.counting), y_label="loss (nats)", series=tuple(series), log_x=True, log_y=True,
    )  # fmt: skip


def isoflop_chart(pool: Points, valleys: Sequence[Mapping[str, Any]], y_values: Sequence[float]) -> Chart:
    """Loss against size, a sign a budget, and the bottom of each budget's parabola. Budgets beyond the signs there are come
    as one grey cloud."""
    n, value = np.asarray(pool.numbers("n")), np.asarray(y_values)
    series = []
    for i, one in enumerate(valleys):
        rows = np.array(one["rows"])
        order = rows[np.argsort(n[rows], kind="stable")]
        known = i < MOST_GROUPS
        label = (
            f"C {short(one['flops'])}" if known else f"{len(valleys) - MOST_GROUPS} more" if i == MOST_GROUPS else ""
        )
        colour, glyph = (i, "") if known else (GREY, "+")
        series.append(Series(label=label, x=n[order].tolist(), y=value[order].tolist(), colour=colour, glyph=glyph))
        if not one["warning"]:
            line = np.geomspace(n[order].min(), n[order].max(), _STEPS)
            bend = one["loss"] + one["bend"] * np.log(line / one["n_opt"]) ** 2
            series.append(Series(label="", x=line.tolist(), y=bend.tolist(), line=True, colour=colour))
    bottoms = [one for one in valleys if not one["warning"]]
    series.append(Series(label="best size", x=[one["n_opt"] for one in bottoms], y=[one["loss"] for one in bottoms],
                         colour=LAW, glyph="✕"))  # fmt: skip
    return Chart(
        title=f"IsoFLOPs: {len(valleys)} budgets", x_label="parameters", y_label="loss (nats)", series=tuple(series),
        log_x=True, log_y=True,
    )  # fmt: skip


def ladder_chart(rows: Sequence[Mapping[str, Any]], cost: str, effect: str) -> Chart:
    """Effect against cost: a line a ladder with its rungs, or the frontier among all options. rows: those of `shrunk icer`.
    Rungs where something else than the axis changes have a sign of their own."""
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    falls = effect in ("perplexity", "loss")
    sign = -1.0 if falls else 1.0
    series: list[Series] = []

    def put(some: Sequence[Mapping[str, Any]], label: str, line: bool, colour: int, glyph: str = "") -> None:
        if some:
            x, y = [float(row["cost"]) for row in some], [sign * float(row["effect"]) for row in some]
            series.append(Series(label=label, x=x, y=y, line=line, colour=colour, glyph=glyph))

    for i, axis in enumerate(axes):
        mine = [row for row in rows if row["axis"] == axis]
        kept = [row for row in mine if "dominated" not in row["status"]]
        put(kept, axis or "frontier", False, i)
        put(kept, "", True, i)
    put([row for row in rows if "dominated" in row["status"]], "dominated", False, GREY, "·")
    put([row for row in rows if row["warning"].startswith("not only")], "something else changes too", False, GREY, "!")
    counting = next((row["counting"] for row in rows if row.get("counting")), "")
    unit = {
        "flops": axis_label("flops", counting),
        "params": "parameters",
        "gpu-hours": "GPU hours",
        "energy": "joules",
    }
    return Chart(
        title=f"{effect} against {unit.get(cost, cost)}", x_label=unit.get(cost, cost), y_label=effect, series=tuple(series),
        log_x=True, log_y=falls,
    )  # fmt: skip


def correlation_chart(predictor: Sequence[float], scores: Mapping[str, Sequence[float]], x_name: str) -> Chart:
    """Scores against their predictor; scores: by task, None where a run has none."""
    series = [
        Series(label=name, x=[a for a, b in zip(predictor, values, strict=True) if b is not None],
               y=[float(b) for b in values if b is not None], colour=i)
        for i, (name, values) in enumerate(scores.items())
    ]  # fmt: skip
    return Chart(title=f"scores against {x_name}", x_label=x_name, y_label="score", series=tuple(series),
                 log_x=min(predictor, default=0) > 0)  # fmt: skip


def equation(result: FitResult) -> str:
    """The law with its numbers, short enough for a legend."""
    p = result.params
    if result.form == "power":
        return f"{short(p['A'])} x^-{short(p['a'])}" + (f" + {short(p['E'])}" if "E" in p else "")
    if result.form == "broken":
        return f"{short(p['A1'])} x^-{short(p['a1'])}, then {short(p['A2'])} x^-{short(p['a2'])}"
    return result.form


def grouped(points: Points, by: str | None = None) -> list[tuple[str, np.ndarray]]:
    """Rows by the values of a column: the one that is named, else the first of the shape that takes 2 to 6 values."""
    names = [by] if by else [name for name in SHAPE if points.has(name)]
    for name in names:
        values = points.values(name)
        found = sorted(set(values), key=lambda value: (isinstance(value, str), value))
        if by or 2 <= len(found) <= MOST_GROUPS:
            groups = [(f"{_SHORT.get(name, name)} {value}", np.flatnonzero([one == value for one in values]))
                      for value in found[: MOST_GROUPS - 1]]  # fmt: skip
            rest = np.flatnonzero([one in found[MOST_GROUPS - 1 :] for one in values])
            return groups + ([(f"{_SHORT.get(name, name)} more", rest)] if len(rest) else [])
    return [("runs", np.arange(len(points)))]
