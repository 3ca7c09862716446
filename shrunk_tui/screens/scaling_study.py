"""What the Scaling screen shows, worked out: a chart and the numbers beside it. Runs in a process beside the screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shrunk_core.errors import FitError, ShrunkError
from shrunk_core.store import queries
from shrunk_core.store.store import Store

from ..charts import Chart
from ..cli import references
from ..cli.correlating import list_correlations, list_steps, predictor, scores
from ..cli.fitting import JOINT, Asked, Fitted, explaining, measured, report
from ..cli.frontiers import list_frontier, losses
from ..cli.kept_fits import keep_fit
from ..cli.overlay import reference_overlay
from ..cli.points import SHAPE, Points
from ..cli.points_lab import lab_points
from ..cli.pricing import list_icer
from ..cli.sources import Source
from ..format import short
from ..lab_store import kept_store
from ..scaling_charts import (
    Overlay,
    correlation_chart,
    fit_chart,
    frontier_chart,
    isoflop_chart,
    ladder_chart,
    points_chart,
)
from .scaling_answer import Study
from .scaling_choice import Choice

RESAMPLES = 400
"""Resamples of a fit on the screen; `shrunk fit` takes 1,000."""


def answer(lab: Path, looking: bool, choice: Choice, first: bool) -> tuple[Study, float]:
    """The answer to a choice, and the seconds until what was logged meanwhile may be published (0: nothing waits).

    looking: the lab may not be written. first: see `study`; only then the logs are taken in.
    """
    store = kept_store(lab, looking)
    pending = store.refresh().pending if first else 0.0
    return study(store, choice, first), pending


def keep(lab: Path, name: str, found: Mapping[str, Any], command: str) -> None:
    """A fit as a row of the view `fits`."""
    keep_fit(kept_store(lab, False), name, found, command)


def save(chart: Chart, folder: Path, name: str) -> list[str]:
    """A chart as SVG and PNG; returns their names beside the lab's."""
    from ..figures import save

    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.{form}" for form in ("svg", "png")]
    for path in paths:
        save(chart, path)
    return [f"{folder.name}/{path.name}" for path in paths]


def study(store: Store, choice: Choice, first: bool = False) -> Study:
    """The answer to a choice. A refusal is an answer: its reason is in `problem`, with the points where there are some.

    first: a quick answer, which does not yet say whether another counting of FLOPs would conclude something else.
    """
    sets = tuple(row[0] for row in queries.evaluation_sets(store).rows)
    base = Study(choice=choice, whole=not first, sets=sets, references=tuple(references.names(store)))
    if not sets:
        return replace(base, problem="No run of this lab has been evaluated yet. When one has, its law is drawn here.")
    chosen = choice.evaluation_id if choice.evaluation_id in sets else sets[0]
    choice = replace(choice, evaluation_id=chosen if len(sets) > 1 else "")
    base = replace(base, choice=choice)
    every = choice.points != "final" if choice.view == "law" else choice.view == "frontier" and choice.method in (
        "paper", "envelope",
    )  # fmt: skip

    def read(counting: str) -> Points:
        return lab_points(store, counting=counting, where=choice.where or None, evaluation_id=chosen, every=every)

    source = Source(read=read, counting=choice.counting, home=store, lab=True, one_counting=first)
    try:
        points = source.points()
    except ShrunkError as refused:
        return replace(base, problem=str(refused))
    base = replace(base, tasks=points.tasks, groups=_varied(points), runs=len(set(points.values("run_id"))))
    try:
        return {"law": _law, "frontier": _frontier, "ladders": _ladders, "correlations": _correlations}[choice.view](
            base, source, points
        )
    except ShrunkError as refused:
        chart = points_chart(points, _x_column(choice), "loss", choice.group or None) if choice.view == "law" else None
        return replace(base, problem=str(refused), chart=chart)


def _x_column(choice: Choice) -> str:
    return {"flops": "flops", "params": "n", "tokens": "d"}[choice.x]


def _varied(points: Points) -> tuple[str, ...]:
    return tuple(name for name in points.described if 2 <= len({str(value) for value in points.values(name)}) <= 12)


# ---------------------------------------------------------------- views


def _law(base: Study, source: Source, points: Points) -> Study:
    choice = base.choice
    form = {"power + E": "power", "kink": "broken"}.get(choice.form, choice.form)
    asked = Asked(
        form=form,
        x=None if form in JOINT else choice.x,
        bootstrap=RESAMPLES,
        frontier="none" if choice.points == "final" else choice.points,
        jump=choice.form != "kink",
        irreducible=choice.form == "power + E",
    )
    overlay, remark = _overlay(base, source, points, measured(points), list(explaining(points, asked).values())[-1])
    try:
        found, fitted = report(points, asked, source.others)
    except FitError as refused:
        chart = points_chart(points, _x_column(choice), measured(points), choice.group or None, overlay)
        return replace(base, problem=str(refused), chart=chart)
    chart = fit_chart(
        fitted.result, fitted.used, fitted.x, fitted.y, pool=fitted.pool, colour_by=choice.group or None,
        residuals=choice.residuals != "none", overlay=overlay,
    )  # fmt: skip
    found |= {"frontier": choice.points}
    lines = (*_numbers(found, fitted), *remark)
    return replace(base, chart=chart, lines=lines, found=found)


def _overlay(base: Study, source: Source, points: Points, y: str, x: str) -> tuple[Overlay | None, tuple[str, ...]]:
    name = base.choice.reference
    if name not in base.references or y != "loss" or source.home is None:
        return None, ()
    try:
        beside = reference_overlay(
            source.home, name, x, points.counting, points.evaluation_id, set(points.values("run_id")),
            last_only=base.choice.points == "final",
        )  # fmt: skip
    except ShrunkError as refused:
        return None, ("", str(refused))
    return beside, ()


def _numbers(found: Mapping[str, Any], fitted: Fitted) -> list[str]:
    """The parameters with their intervals, what they rest on, and what must be known of them."""
    spans = dict(found["intervals"])
    values = dict(found["params"])
    if found.get("break") is not None:
        values["break"], spans["break"] = found["break"], found["break_interval"]
    lines = []
    if not found["identifiable"]:
        lines += ["NOT IDENTIFIABLE", found["reason"], ""]
    if values:
        lines.append(f"{'':6}{'value':>9}  95 % interval")
        for symbol, value in values.items():
            low, high = spans.get(symbol, (None, None))
            span = f"[{short(low)}, {short(high)}]" if low is not None or high is not None else "none"
            lines.append(f"{symbol:6}{short(value):>9}  {span}")
        lines.append("")
    lines.append(f"{found['points']} points, {found['clusters']} independent runs")
    tried = (
        f"{found['starts']} breaks tried"
        if found["form"] == "broken"
        else f"{found['agreed']} of {found['starts']} starts agree"
    )
    lines.append(f"{tried}; R2 {short(found['r2'])}")
    if found.get("test_one_law") is not None:
        lines.append(f"one law in place of two: p = {found['test_one_law']:.3f}")
    moved = [one for one in fitted.result.leverage if one.value]
    if moved:
        one = moved[0]
        lines.append(
            f"without {fitted.used.texts('run')[one.point]}: {one.param} {short(one.value)} to {short(one.without)}"
        )
    return [*lines, *_notes(found["warnings"])]


def _notes(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in ("", note)]


_MARKED = {"unfinished schedule": "unfinished", "in warm-up; unfinished schedule": "warm-up"}


def _frontier(base: Study, source: Source, points: Points) -> Study:
    method = base.choice.method
    _, rows, notes = list_frontier(source, method, False, 0)
    if method == "isoflop":
        chart = isoflop_chart(points, rows, losses(points))
        table = [
            (short(r["flops"]), short(r["n_opt"]), short(r["d_opt"]), short(r["loss"]), r["warning"]) for r in rows
        ]
        lines = _table(("FLOPs", "best N", "best D", "loss", ""), table)
    else:
        chart = frontier_chart(points, rows, losses(points), method)
        table = [
            (
                short(r["flops"]),
                short(r["loss"]),
                str(r["run"]),
                str(r["update"]),
                str(_MARKED.get(r["warning"], r["warning"])),
            )
            for r in rows
        ]
        lines = _table(("FLOPs", "loss", "run", "update", ""), table)
    return replace(base, chart=chart, lines=(*lines, *_notes(notes)))


def _ladders(base: Study, source: Source, points: Points) -> Study:
    choice = base.choice
    effect = choice.effect if choice.effect in ("perplexity", *points.tasks) else "perplexity"
    rows, notes = list_icer(source, "all", choice.pricing, choice.cost, effect, [])
    chart = ladder_chart(rows, choice.cost, effect)
    unit = rows[0]["unit"] if rows else ""
    table, remarks = [], []
    for row in rows:
        rate = row["effect_per_unit"]
        span = f"[{short(row['low'])}, {short(row['high'])}]" if row["low"] is not None else ""
        mark = ""
        if row["warning"]:
            remarks.append(f"{row['axis'] or row['run']} {'' if row['at'] is None else row['at']}: {row['warning']}")
            mark = "!"
        where = (str(row["axis"] or ""), str(row["at"])) if row["axis"] else (str(row["run"]), row["status"])
        table.append((*where, "-" if rate is None else short(rate), span, mark))
    head = ("axis", "to", "gain", "95 %", "") if choice.pricing == "ladder" else ("run", "status", "gain", "95 %", "")
    what = f"fall of {effect}" if effect in ("perplexity", "loss") else f"rise of {effect}"
    lines = [f"gain: {what} {unit}", "", *_table(head, table)]
    return replace(base, chart=chart, lines=(*lines, *_notes(["! " + remark for remark in remarks]), *_notes(notes)))


def _correlations(base: Study, source: Source, points: Points) -> Study:
    named = scores(points, [])
    _, rows = list_correlations(points, "perplexity", [], "n" if len(points) > 6 else None, RESAMPLES, 0)
    table = [
        (r["y"], r["method"] + (" given N" if r["given"] else ""), short(r["value"]), _span(r), str(r["n"]))
        for r in rows
    ]
    lines = _table(("task", "perplexity", "value", "95 %", "n"), table)
    for axis in SHAPE:
        steps = _steps(points, axis) if axis in base.groups else []
        if steps:
            lines += ["", f"{axis}: pairs equal in everything else"]
            lines += _table(("task", "step", "mean gain", "95 %", "pairs"), steps)
    chart = correlation_chart(predictor(points, "perplexity"), {n: points.values(n) for n in named}, "perplexity")
    return replace(base, chart=chart, lines=tuple(lines))


def _steps(points: Points, axis: str) -> list[tuple[str, ...]]:
    try:
        _, rows = list_steps(points, axis, [])
    except ShrunkError:  # no two runs differ in this axis alone
        return []
    return [(r["y"], f"{r['lower']} to {r['upper']}", short(r["mean"]), _span(r), str(r["n"])) for r in rows]


def _span(row: Mapping[str, Any]) -> str:
    return f"[{short(row['low'])}, {short(row['high'])}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    return ["  ".join(str(c).ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
