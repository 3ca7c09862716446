"""`shrunk plot`: learning curves, or final losses against what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.errors import PlanError, StoreError
from shrunk_core.store import queries
from shrunk_core.store.queries import Curve, Point
from shrunk_core.store.store import Store, open_store

from ..charts import Chart, Series, draw
from ..scaling_charts import with_overlay
from .laws import Law, power_of, say_fit
from .output import Counting, CountingOption, LabOption, chart_size, colours, say
from .overlay import reference_overlay
from .pictures import SaveOption, check, show

MOST_CURVES = 10


class Axis(str, Enum):
    updates = "updates"
    tokens = "tokens"
    flops = "flops"
    params = "params"


class What(str, Enum):
    final = "final"
    validation = "validation"
    train = "train"


LABELS = {"updates": "updates", "tokens": "tokens", "flops": "FLOPs ({})", "params": "parameters"}


def plot(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs or grids; all of the lab when none is named.")] = None,
    lab: LabOption = None,
    x: Annotated[Axis, typer.Option(help="What runs along the bottom.")] = Axis.flops,
    what: Annotated[
        What | None, typer.Option(help="Final losses, validation curves or training curves; by default what suits x.")
    ] = None,
    counting: CountingOption = Counting.paper,
    log_x: Annotated[bool | None, typer.Option("--log-x/--linear-x", help="Log by default, but for updates.")] = None,
    log_y: Annotated[bool | None, typer.Option("--log-y/--linear-y", help="Log by default for final losses.")] = None,
    fit: Annotated[bool, typer.Option("--fit/--no-fit", help="Draw the power law of final losses.")] = True,
    width: Annotated[int | None, typer.Option(min=30, help="Columns; the terminal's by default.")] = None,
    height: Annotated[int | None, typer.Option(min=10, help="Lines.")] = None,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Letters and signs only.")] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="An imported reference beside the runs; on an axis of its own unless its losses compare.",
        ),
    ] = None,
    save: SaveOption = None,
) -> None:
    """Draw losses in the terminal: final losses against FLOPs, tokens or parameters, or learning curves.

    Examples: shrunk plot demo    shrunk plot demo --x updates    shrunk plot RUN --what train --x tokens --log-y

    shrunk plot demo --reference paper --save figure.svg
    """
    check(save)
    store = open_store(find_lab(lab))
    store.refresh(force=True)
    ids = queries.find_runs(store, runs) if runs else queries.runs_table(store).column("run_id")
    if not ids:
        raise PlanError("the lab has no runs yet; `shrunk run GRID` or `shrunk demo` trains some")
    kind = what or (What.validation if x is Axis.updates else What.final)
    law: Law | None = None
    if kind is What.final:
        if x is Axis.updates:
            raise PlanError("final losses have no updates axis: --what validation --x updates draws the curves")
        points = one_set(store, queries.final_points(store, counting=counting.value, run_ids=ids))
        law = power_of(points, x.value) if fit else None
        chart = points_chart(points, x=x.value, counting=counting.value, law=law, log_x=log_x is not False,
                             log_y=log_y is not False)  # fmt: skip
    else:
        chart = curves_chart(store, ids, kind, x, counting.value, bool(log_x), bool(log_y))
    if reference is not None:
        if kind is What.train:
            raise PlanError("a reference holds validation losses: --what validation or final")
        sets = {one for i in ids if (one := queries.one_run(store, i)["evaluation_id"])}
        beside = reference_overlay(
            store, reference, x.value, counting.value if x is Axis.flops else "", sets.pop() if len(sets) == 1 else "", ids,
            last_only=kind is What.final,
        )  # fmt: skip
        chart = with_overlay(chart, beside)
    columns, lines = chart_size(width, height)
    print(draw(chart, width=columns, height=lines, colour=colours(), ascii_only=ascii_only))
    show(chart, False, save)
    if law is not None:
        say_fit(law)


def one_set(store: Store, points: list[Point]) -> list[Point]:
    """The points of the largest evaluation set, with a word about the others: losses compare within one set only."""
    if not points:
        raise StoreError("no run has finished yet; --what validation or --what train shows those that run")
    sets = {p.evaluation_id for p in points}
    largest = max(sorted(sets), key=lambda s: sum(p.evaluation_id == s for p in points))
    chosen = [p for p in points if p.evaluation_id == largest]
    if len(sets) > 1:
        say(
            f"{len(points) - len(chosen)} runs are left out: they were evaluated on {len(sets) - 1} other sets than "
            f"{largest}, and losses compare within one only. Name runs or grids to choose."
        )
    return chosen


def points_chart(
    points: Sequence[Point], *, x: str, counting: str, law: Law | None, log_x: bool = True, log_y: bool = True
) -> Chart:
    """Final losses, a series a hidden size, with the unigram baseline in the notes and the law where there is one."""
    sizes = sorted({p.shape[1] for p in points})
    series = [
        Series(
            label=f"H {size}",
            x=[float(getattr(p, x)) for p in points if p.shape[1] == size],
            y=[p.loss for p in points if p.shape[1] == size],
            colour=i,
        )
        for i, size in enumerate(sizes)
    ]
    values = [float(getattr(p, x)) for p in points]
    line = law.line(min(values), max(values), len(sizes)) if law else None
    if line is not None:
        series.insert(0, line)
    baselines = sorted({p.unigram_loss for p in points})
    return Chart(
        title=f"validation loss against {LABELS[x].format(counting)}, {len(points)} runs",
        x_label=LABELS[x].format(counting),
        y_label="loss (nats per masked token)",
        series=tuple(series),
        log_x=log_x,
        log_y=log_y,
        bands=law.band(min(values), max(values)) if law else (),
        notes=(f"unigram baseline: {baselines[0]:.3f} nats on the same tokens",),
    )


def curves_chart(
    store: Store, ids: Sequence[str], kind: What, x: Axis, counting: str, log_x: bool, log_y: bool
) -> Chart:
    """Learning curves of at most MOST_CURVES runs; more cannot be told apart in a terminal."""
    table = queries.runs_table(store)
    names = dict(zip(table.column("run_id"), table.column("name"), strict=True))
    if x is Axis.params:
        raise PlanError("a learning curve has no parameters axis: choose updates, tokens or flops")
    if x is Axis.flops and counting != "paper":
        raise PlanError("curves are logged in the counting `paper`; --what final takes all of them")
    curves: list[Curve] = (queries.evaluation_curves if kind is What.validation else queries.training_curves)(
        store, ids
    )
    if len(curves) > MOST_CURVES:
        say(f"{len(curves)} runs have curves; the first {MOST_CURVES} are drawn. Name runs to choose.")
    field = "update" if x is Axis.updates else x.value
    return Chart(
        title=f"{kind.value} loss",
        x_label=LABELS[x.value].format(counting),
        y_label="loss (nats per masked token)",
        series=tuple(
            Series(label=names[c.run_id], x=getattr(c, field), y=c.loss, line=True, colour=i)
            for i, c in enumerate(curves[:MOST_CURVES])
        ),
        log_x=log_x,
        log_y=log_y,
    )
