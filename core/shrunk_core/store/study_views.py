"""Views of what was made of the runs: the frontier, kept fits, and other people's curves to compare with."""

from __future__ import annotations

from .view import Column, View, field, time_of


def study_views() -> tuple[View, ...]:
    """In an order in which they can be created: `frontier` reads `evaluations` and `runs`."""
    return (_frontier(), _fits(), _references(), _reference_points())


def _frontier() -> View:
    before = (
        "min(e.loss) over (partition by e.evaluation_id order by e.flops, e.loss "
        "rows between unbounded preceding and 1 preceding)"
    )
    inner = (
        f"select e.*, s.grid, s.name, s.updates, s.num_params, {before} as cheapest_before from evaluations e "
        "join raw.run_specs s on s.run_id = e.run_id where e.split = 'validation' and isfinite(e.loss) and e.update > 0"
    )
    return View(
        "frontier",
        "The lower envelope of all validation curves of one evaluation set: evaluations that no cheaper one beats. Other "
        "definitions of compute-optimal points are in `shrunk frontier`.",
        (
            Column("evaluation_id", "r.evaluation_id", "Losses compare, and so make a frontier, within one only."),
            Column("run_id", "r.run_id", "The run whose curve touches the envelope here."),
            Column("grid", "r.grid", "The grid that gave birth to it."),
            Column("name", "r.name", "What it is called there."),
            Column("update", "r.update", "Updates done by the weights that were evaluated."),
            Column("flops", "r.flops", "FLOPs spent on those weights, counting paper."),
            Column("tokens", "r.tokens", "Training tokens they had seen."),
            Column("num_params", "r.num_params", "Parameters of the run, embeddings included."),
            Column("loss", "r.loss", "Validation loss there, nats."),
            Column("unfinished", "r.update < r.updates", "True before the end of the run's schedule."),
            Column("flops_counting", "'paper'", "The counting that flops is in: always paper."),
        ),
        f"from ({inner}) r where r.cheapest_before is null or r.loss < r.cheapest_before",
    )


def _fits() -> View:
    def own(name: str, sql_type: str, comment: str, of: str = "") -> Column:
        return Column(name, field(of or name, sql_type), comment)

    latest = (
        f"row_number() over (partition by {field('name')} order by r.logged_at desc, r.source desc, r.seq desc) = 1"
    )
    return View(
        "fits",
        "One row a fit that was kept with `shrunk fit --keep NAME`: what was found, on what, and the command.",
        (
            own("name", "VARCHAR", "The name it was kept under."),
            Column("saved_at", time_of("r.logged_at"), "When, UTC."),
            Column("latest", latest, "True for the last fit kept under its name."),
            own("form", "VARCHAR", "power, broken, chinchilla, kaplan or bnsl."),
            own("x", "VARCHAR", "What grows: flops, n, d, or both of the joint laws."),
            own("y", "VARCHAR", "What is explained: loss or perplexity."),
            own("flops_counting", "VARCHAR", "The counting of its FLOPs; empty where none are used.", "counting"),
            own("frontier", "VARCHAR", "Which points of the curves: final, paper, envelope or none (all)."),
            own("evaluation_id", "VARCHAR", "The evaluation set its losses are of."),
            own("loss_function", "VARCHAR", "huber or lsq."),
            own("points", "BIGINT", "Points fitted."),
            own("runs", "BIGINT", "Runs that they come from."),
            own("clusters", "BIGINT", "Independent runs: seeds of one shape merged."),
            own("bootstrap", "BIGINT", "Resamples of runs behind the intervals."),
            own("identifiable", "BOOLEAN", "False where the points cannot tell the parameters; these are then empty."),
            Column("reason", "r.message", "Why they cannot tell."),
            own("params", "MAP(VARCHAR, DOUBLE)", "Parameters by symbol."),
            own("intervals", "MAP(VARCHAR, DOUBLE[])", "95 % intervals over runs by symbol: [low, high]."),
            own("break_point", "DOUBLE", "Break of `broken`, in units of x."),
            own("break_low", "DOUBLE", "Lower end of its 95 % interval."),
            own("break_high", "DOUBLE", "Upper end of its 95 % interval."),
            own("test_one_law", "DOUBLE", "p-value of one law in the place of two."),
            own("objective", "DOUBLE", "The minimised loss over log residuals."),
            own("r2", "DOUBLE", "Of log residuals; descriptive where points share runs."),
            own("aic", "DOUBLE", "n ln(RSS/n) + 2k; descriptive where points share runs."),
            own("bic", "DOUBLE", "n ln(RSS/n) + k ln n; descriptive where points share runs."),
            own("warnings", "VARCHAR[]", "What a reader of the numbers must know."),
            own("command", "VARCHAR", "The command that makes it again."),
            own("shrunk_version", "VARCHAR", "Of the program that fitted."),
        ),
        "from raw.events r where r.kind = 'fit-saved'",
    )


_STANDS = (
    "not exists (select 1 from raw.events x where x.kind = 'reference-removed' and x.logged_at > r.logged_at "
    "and (x.fields ->> 'reference') = (r.fields ->> 'reference'))"
)
"""Only references that nobody removed since; the row is `r`."""


def _references() -> View:
    columns = (
        ("reference", "reference", "VARCHAR", "Name of the reference grid."),
        ("imported_from", "source", "VARCHAR", "The file it was read from."),
        ("citation", "citation", "VARCHAR", "Whose numbers they are."),
        ("flops_counting", "flops_counting", "VARCHAR", "The counting of its FLOPs; empty where unknown."),
        ("padding_in_loss", "padding_in_loss", "BOOLEAN", "True if its losses count padding positions."),
        ("evaluation_id", "evaluation_id", "VARCHAR", "The evaluation set of this lab that its losses are of; else empty."),
        ("runs", "runs", "BIGINT", "Runs."),
        ("points", "points", "BIGINT", "Evaluations of all runs."),
    )  # fmt: skip
    return View(
        "reference_grids",
        "One row a set of somebody else's runs that was taken in with `shrunk import`. Read-only: they are no runs of the "
        "lab and take part in no fit of them.",
        (
            *(Column(name, field(of, sql_type), comment) for name, of, sql_type, comment in columns),
            Column("imported_at", time_of("r.logged_at"), "When, UTC."),
        ),
        f"from raw.events r where r.kind = 'reference-imported' and {_STANDS}",
    )


def _reference_points() -> View:
    shape = (
        "embedding_size",
        "hidden_size",
        "intermediate_size",
        "num_heads",
        "num_layers",
        "num_params",
        "embedding_params",
    )
    inner = (
        "select r.*, unnest((r.fields -> 'updates')::BIGINT[]) as at_update, unnest((r.fields -> 'tokens')::BIGINT[]) as "
        "tokens, unnest((r.fields -> 'flops')::DOUBLE[]) as flops, unnest((r.fields -> 'losses')::DOUBLE[]) as loss "
        f"from raw.events r where r.kind = 'reference-run' and {_STANDS}"
    )
    return View(
        "reference_points",
        "One row an evaluation of a reference's run. Its losses are on another evaluation set than the lab's unless "
        "reference_grids says otherwise.",
        (
            Column("reference", field("reference"), "The reference grid it belongs to."),
            Column("name", field("name"), "The run's name there."),
            Column("seed", field("seed", "BIGINT"), "Its seed, 0 where unknown."),
            Column("tie", field("tie"), "How it ties its output weights, empty where unknown."),
            *(Column(name, f"nullif({field(name, 'BIGINT')}, 0)", f"{name}; NULL where unknown.") for name in shape),
            Column("update", "nullif(r.at_update, 0)", "Updates done; NULL where unknown."),
            Column("tokens", "nullif(r.tokens, 0)", "Training tokens seen; NULL where unknown."),
            Column("flops", "nullif(r.flops, 0)", "FLOPs spent, in the reference's own counting; NULL where unknown."),
            Column("loss", "r.loss", "Validation loss, nats."),
            Column("perplexity", "exp(r.loss)", "exp(loss)."),
        ),
        f"from ({inner}) r",
    )  # fmt: skip
