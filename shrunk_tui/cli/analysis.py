"""`shrunk fit`, `frontier`, `icer`, `correlate`: the analysis without a screen, over the lab's runs or a file.

Modules that need scipy or the database are imported when a command runs, so that --help stays quick.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer
from shrunk_core.errors import ConfigError

from .output import Format, FormatOption, LabOption, print_object, print_rows, say
from .pictures import DrawOption, SaveOption
from .sources import CsvOption, MapOption, Place, QueryOption, SetOption, SourceCountingOption, WhereOption


class Form(str, Enum):
    power = "power"
    broken = "broken"
    chinchilla = "chinchilla"
    kaplan = "kaplan"
    bnsl = "bnsl"


class Budget(str, Enum):
    flops = "flops"
    params = "params"
    tokens = "tokens"


class Params(str, Enum):
    total = "total"
    non_embedding = "non-embedding"


class Loss(str, Enum):
    huber = "huber"
    lsq = "lsq"


class Frontier(str, Enum):
    paper = "paper"
    envelope = "envelope"
    final = "final"
    none = "none"


class FrontierMethod(str, Enum):
    paper = "paper"
    envelope = "envelope"
    isoflop = "isoflop"
    final = "final"


class Cost(str, Enum):
    flops = "flops"
    seconds = "seconds"
    gpu_hours = "gpu-hours"
    energy = "energy"
    params = "params"


class IcerMethod(str, Enum):
    dominance = "dominance"
    ladder = "ladder"


FinishedOption = Annotated[
    bool, typer.Option("--finished-only", help="Of curves, leave out warm-up and what is short of its schedule's end.")
]


def fit(
    form: Annotated[Form, typer.Argument(help="The law.")],
    x: Annotated[Budget | None, typer.Option(help="What grows: FLOPs by default, or the file's column for x.")] = None,
    params: Annotated[Params, typer.Option(help="What n counts in the lab's runs.")] = Params.total,
    csv: CsvOption = None,
    query: QueryOption = None,
    maps: MapOption = None,
    where: WhereOption = None,
    loss: Annotated[
        Loss | None, typer.Option(help="Huber (1e-3) on log residuals, or least squares. By default the law's own.")
    ] = None,
    starts: Annotated[int | None, typer.Option(min=1, help="Starting points; by default the law's own number.")] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples of runs for intervals; 0: none.")] = 1000,
    breaks: Annotated[int, typer.Option(min=1, help="Breaks of bnsl.")] = 1,
    drop_highest_loss: Annotated[int, typer.Option(min=0, metavar="K", help="Leave out the K highest losses.")] = 0,
    frontier: Annotated[
        Frontier | None,
        typer.Option(
            help="Fit compute-optimal points of the curves only. By default every row of a file or a query, and of the "
            "lab's runs the final point of each."
        ),
    ] = None,
    hold_out_largest: Annotated[
        bool, typer.Option("--hold-out-largest", help="Also fit without the top budget, and predict it.")
    ] = False,
    finished_only: FinishedOption = False,
    irreducible: Annotated[
        bool, typer.Option("--irreducible", help="power: L = E + A x^-a in place of A x^-a.")
    ] = False,
    jump: Annotated[bool, typer.Option("--jump/--kink", help="broken: two laws, or one curve that bends.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of starts and resamples.")] = 0,
    counting: SourceCountingOption = None,
    evaluation_id: SetOption = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="In the picture: an imported reference beside the lab's points.")
    ] = None,
    save: SaveOption = None,
    draw: DrawOption = False,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="NAME", help="Keep the fit in the lab: a row of the view `fits`.")
    ] = None,
    lab: LabOption = None,
    how: FormatOption = Format.json,
) -> None:
    """Fit a law with 95 % intervals over runs, or say why the points cannot tell (`identifiable`, `reason`).

    power L = A x^-a; broken: two of them with a free break; chinchilla L = E + A/N^alpha + B/D^beta; kaplan: joint in N
    and D; bnsl: Caballero et al.'s smooth broken law. Refused input exits 1.

    Examples: shrunk fit power --where 'num_layers == 2'

    shrunk fit chinchilla --csv points.csv --map n="Model Size" --map flops="Training FLOP" --drop-highest-loss 5

    shrunk fit power --draw --save law.svg --keep "first law"

    shrunk fit broken --csv curves.csv --map flops=C --map loss=eval/loss --map run=name --frontier paper
    """  # fmt: skip
    place = Place(csv=csv, query=query, maps=maps, where=where, lab=lab, evaluation_id=evaluation_id, counting=counting)
    asked_frontier = frontier or (Frontier.final if place.runs else Frontier.none)
    # the lab's final points are read as such: a run that is still going has none
    every = place.runs and asked_frontier is not Frontier.final
    source = place.open(embeddings=params is Params.total, every=every)
    from .fitting import Asked, report
    from .pictures import check, show

    check(save)
    if csv is not None and (keep or reference):
        raise ConfigError("--keep and --reference are of a lab, not of --csv")
    asked = Asked(
        form=form.value,
        x=x.value if x else None,
        loss=loss.value if loss else None,
        starts=starts,
        bootstrap=bootstrap,
        breaks=breaks,
        drop_highest_loss=drop_highest_loss,
        frontier="none" if source.lab and not every else asked_frontier.value,
        jump=jump,
        irreducible=irreducible,
        hold_out_largest=hold_out_largest,
        finished_only=finished_only,
        seed=seed,
    )
    asked.check()
    found, fitted = report(source.points(), asked, source.others)
    found |= {"frontier": asked_frontier.value, "counted_params": params.value if source.lab else None}
    print_fit(found, how)
    if draw or save is not None:
        from ..scaling_charts import fit_chart
        from .overlay import overlay_of

        beside = overlay_of(source.home, reference, fitted) if reference and source.home else None
        chart = fit_chart(fitted.result, fitted.used, fitted.x, fitted.y, pool=fitted.pool, overlay=beside)
        show(chart, draw, save)
    if keep and source.home:
        from .kept_fits import keep_fit

        keep_fit(source.home, keep, found)
        say(f"kept as {keep}: shrunk sql \"from fits where name = '{keep}'\"")


def print_fit(found: dict[str, Any], how: Format) -> None:
    """json: everything. table, csv: a row a parameter. Warnings and reasons also go to stderr."""
    if how is Format.json:
        print_object(found, how)
    else:
        spans = found["intervals"]
        named = dict(found["params"])
        if found.get("break") is not None:
            named |= {"break": found["break"]}
            spans = spans | {"break": found["break_interval"]}
        rows = [
            {"param": k, "value": v, "low": spans.get(k, (None, None))[0], "high": spans.get(k, (None, None))[1]}
            for k, v in named.items()
        ]
        print_rows(rows, ("param", "value", "low", "high"), how)
    counted = f", FLOPs counted as {found['counting']}" if found["counting"] else ""
    say(f"{found['form']}: {found['points']} points of {found['runs']} runs{counted}; 95 % intervals over "
        f"{found['bootstrap']} resamples of {found['clusters']} independent runs")  # fmt: skip
    if not found["identifiable"]:
        say(f"not identifiable: {found['reason']}")
    for warning in found["warnings"]:
        say(f"note: {warning}")


def frontier(
    method: Annotated[
        FrontierMethod, typer.Option(help="How compute-optimal points are found.")
    ] = FrontierMethod.paper,
    csv: CsvOption = None,
    query: QueryOption = None,
    maps: MapOption = None,
    where: WhereOption = None,
    finished_only: FinishedOption = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples behind the exponents of isoflop.")] = 0,
    counting: SourceCountingOption = None,
    evaluation_id: SetOption = None,
    save: SaveOption = None,
    draw: DrawOption = False,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """List the compute-optimal points of learning curves.

    paper: the lowest loss in percentile bins of FLOPs (Deshpande et al. 2023). envelope: points that no cheaper one
    beats. final: the last of each run. isoflop: bottoms of parabolas of loss against log N along budgets (Hoffmann et al.
    2022), with the exponents of the best N and D.

    Example: shrunk frontier --method paper --csv curves.csv --map flops=C --map loss=eval/loss --map run=name
    """
    curves = method in (FrontierMethod.paper, FrontierMethod.envelope)
    place = Place(csv=csv, query=query, maps=maps, where=where, lab=lab, evaluation_id=evaluation_id, counting=counting)
    source = place.open(every=curves)
    from .frontiers import list_frontier, losses
    from .pictures import check, show

    check(save)
    columns, rows, notes = list_frontier(source, method.value, finished_only, seed)
    print_rows(rows, columns, how)
    for note in notes:
        say(f"note: {note}")
    if draw or save is not None:
        from ..scaling_charts import frontier_chart, isoflop_chart

        pool = source.points()
        if method is FrontierMethod.isoflop:
            show(isoflop_chart(pool, rows, losses(pool)), draw, save)
        else:
            show(frontier_chart(pool, rows, losses(pool), method.value), draw, save)


def icer(
    axis: Annotated[str, typer.Option(help="The column that climbs, or `all`.")] = "all",
    method: Annotated[
        IcerMethod, typer.Option(help="ladder: each rung priced. dominance: what a cheaper mix beats drops out.")
    ] = IcerMethod.ladder,
    cost: Annotated[Cost, typer.Option(help="What is paid.")] = Cost.flops,
    effect: Annotated[
        str, typer.Option(help="What is bought: a fall in perplexity, or a rise of a score's column.")
    ] = "perplexity",
    base: Annotated[
        list[str] | None,
        typer.Option(
            "--base",
            metavar="COLUMN=VALUE",
            help="Hold a column at a value; repeat it. By default the base with the most rungs.",
        ),
    ] = None,
    csv: CsvOption = None,
    query: QueryOption = None,
    maps: MapOption = None,
    where: WhereOption = None,
    counting: SourceCountingOption = None,
    evaluation_id: SetOption = None,
    save: SaveOption = None,
    draw: DrawOption = False,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """What does the next unit of quality cost? Incremental cost-effectiveness, in order of effect.

    `icer` is cost per unit of effect of the step from the rung before; `effect_per_unit` its inverse, per `unit`, with its
    95 % interval (`low`, `high`) where both rungs have seeds. A ladder says in `warning` what else changes between two
    rungs. With --axis all: every one-factor ladder, or dominance over all; `on_frontier` is then how often an option stays
    on the frontier when the seeds' noise is drawn again. Energy and GPU hours are those of the card while the run was on
    it, in equal shares with the runs beside it.

    Examples: shrunk icer --axis hidden_size

    shrunk icer --axis num_layers --method dominance --csv results.csv --map flops=C --base hidden_size=256
    """  # fmt: skip
    source = Place(
        csv=csv, query=query, maps=maps, where=where, lab=lab, evaluation_id=evaluation_id, counting=counting
    ).open()
    from .pictures import check, show
    from .pricing import COLUMNS, list_icer, table_columns

    check(save)
    rows, notes = list_icer(source, axis, method.value, cost.value, effect, base or [])
    print_rows(rows, COLUMNS, how, table_columns=table_columns(rows))
    for note in notes:
        say(f"note: {note}")
    if draw or save is not None:
        from ..scaling_charts import ladder_chart

        show(ladder_chart(rows, cost.value, effect), draw, save)


def correlate(
    x: Annotated[str, typer.Option(help="The predictor.")] = "perplexity",
    y: Annotated[
        list[str] | None, typer.Option("--y", help="A score; repeat it. By default every task of the lab.")
    ] = None,
    given: Annotated[
        str | None, typer.Option(help="Hold this column (its logarithm): partial correlations too.")
    ] = None,
    axis: Annotated[
        str | None, typer.Option(help="Instead: pairs of runs that differ in this column only, as steps of each score.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=50, help="Resamples of runs for intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    csv: CsvOption = None,
    query: QueryOption = None,
    maps: MapOption = None,
    where: WhereOption = None,
    evaluation_id: SetOption = None,
    save: SaveOption = None,
    draw: DrawOption = False,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Does perplexity predict the score? Pearson, Spearman and Kendall with 95 % intervals over runs.

    Examples: shrunk correlate --given n

    shrunk correlate --csv results.csv --map perplexity=test/perplexity --y accuracy
    """
    source = Place(csv=csv, query=query, maps=maps, where=where, lab=lab, evaluation_id=evaluation_id).open()
    from .correlating import list_correlations, list_steps, predictor, scores
    from .pictures import check, show

    check(save)
    points = source.points()
    if axis is not None:
        columns, rows = list_steps(points, axis, y or [])
    else:
        columns, rows = list_correlations(points, x, y or [], given, bootstrap, seed)
    print_rows(rows, columns, how)
    if draw or save is not None:
        from ..scaling_charts import correlation_chart

        named = {name: points.values(name) for name in scores(points, y or [])}
        show(correlation_chart(predictor(points, x), named, x), draw, save)
