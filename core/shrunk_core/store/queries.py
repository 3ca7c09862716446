"""Every SELECT that our own commands, screens and charts ask. Results are plain rows; `analysis` takes them from there.

What a person types for a run or a grid becomes run ids in `find_runs`; everything else takes run ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PlanError
from .result import Result
from .store import Store
from .views import COUNTINGS


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One run's curve, collapsed to at most as many points as were asked for; each list has one value a point.

    loss: mean nats over the point's updates; low, high: its extremes; update, tokens, flops (counting paper): at the
    last update of the point; logged_at: seconds since 1970 UTC.
    """

    run_id: str
    update: list[int]
    tokens: list[int]
    flops: list[int]
    logged_at: list[float]
    loss: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One evaluation of one run as a point of a scaling plot. Points compare within one `evaluation_id` only.

    flops: spent so far in the counting that was asked for; params: all of them, or without embeddings, as asked;
    updates: the run's budget, so that `update < updates` marks a point of an unfinished schedule.
    """

    run_id: str
    name: str
    grid: str
    seed: int
    evaluation_id: str
    update: int
    updates: int
    flops: float
    tokens: int
    params: int
    loss: float
    loss_stderr: float
    unigram_loss: float
    shape: tuple[int, int, int, int, int]


def runs_table(store: Store, grid: str | None = None) -> Result:
    """All columns of `runs`, of one grid in its order, or of the lab by birth: grid, then name, then id."""
    if grid is None:
        return store.query("from runs order by grid, name, run_id")
    return store.query(
        "select r.* from runs r left join grids g on g.run_id = r.run_id and g.grid = $grid "
        "where r.grid = $grid or g.grid is not null order by g.place, r.name, r.run_id",
        params={"grid": grid},
    )


def find_runs(store: Store, names: Sequence[str]) -> list[str]:
    """Run ids for what a person typed: a run id, a unique beginning of one, a run's name, or a grid (all of its runs).

    PlanError names what fits nothing, or more than one run.
    """
    known = store.query("select run_id, name, grid from runs order by grid, name, run_id").rows
    members = store.query("select grid, run_id from grids order by grid, place").rows
    out: list[str] = []
    for name in names:
        in_grid = [run_id for grid, run_id in members if grid == name]
        in_grid += [run_id for run_id, _, grid in known if grid == name]
        named = [run_id for run_id, run_name, _ in known if name in (run_id, run_name)]
        begun = [run_id for run_id, _, _ in known if run_id.startswith(name)]
        if not in_grid and not named and len(begun) > 1:
            raise PlanError(f"{name} begins {len(begun)} runs: {', '.join(begun[:5])}; give more digits")
        found = in_grid or named or begun
        if not found:
            raise PlanError(f"no run or grid {name!r} in this lab; `shrunk status` lists them")
        out += found
    present = {run_id for run_id, _, _ in known}
    return [run_id for run_id in dict.fromkeys(out) if run_id in present]


def one_run(store: Store, run_id: str) -> dict[str, Any]:
    """The row of one run by column name. PlanError when there is none."""
    result = store.query("from runs where run_id = ?", params=[run_id])
    if not result.rows:
        raise PlanError(f"no run {run_id} in this lab; `shrunk status` lists them")
    return dict(zip(result.columns, result.rows[0], strict=True))


def run_evaluations(store: Store, run_id: str) -> Result:
    """All evaluations of one run that stand, in order of updates."""
    return store.query("from evaluations where run_id = ? order by update, split", params=[run_id])


def run_events(store: Store, run_id: str, limit: int | None = None) -> Result:
    """What happened to one run, its own log and the journals together, oldest first; with a limit the latest ones."""
    latest = "from events where run_id = ? order by logged_at desc, source desc, seq desc"
    bound = "" if limit is None else f" limit {int(limit)}"
    return store.query(f"from ({latest}{bound}) order by logged_at, source, seq", params=[run_id])


def training_curves(store: Store, run_ids: Sequence[str], points: int = 240) -> list[Curve]:
    """Training loss of these runs, each collapsed to at most `points` stretches of equal numbers of updates.

    Updates of a non-finite loss are left out, so that a chart can draw what is there.
    """
    return _curves(
        store,
        run_ids,
        "select run_id, max(update) as u, max(tokens) as t, max(flops) as f, max(epoch(logged_at)) as at_time, "
        "avg(loss) as l, min(loss) as low, max(loss) as high from steps "
        "join (select run_id, greatest(1, max(update)) as span from steps where run_id in (select unnest($runs)) "
        "group by run_id) using (run_id) where run_id in (select unnest($runs)) and isfinite(loss) "
        "group by run_id, (update - 1) * $points // span order by run_id, u",
        {"points": points},
    )


def evaluation_curves(store: Store, run_ids: Sequence[str], split: str = "validation") -> list[Curve]:
    """Losses of these runs on a split, every evaluation; low and high are one standard error to either side."""
    return _curves(
        store,
        run_ids,
        "select run_id, update, tokens, flops, epoch(logged_at), loss, loss - loss_stderr, loss + loss_stderr "
        "from evaluations where run_id in (select unnest($runs)) and split = $split and isfinite(loss) "
        "order by run_id, update",
        {"split": split},
    )


def _curves(store: Store, run_ids: Sequence[str], sql: str, params: dict[str, Any]) -> list[Curve]:
    """Rows of (run, update, tokens, flops, time, loss, low, high) as curves, in the order of `run_ids`."""
    by_run: dict[str, list[tuple[Any, ...]]] = {}
    for row in store.query(sql, params={"runs": list(run_ids), **params}).rows:
        by_run.setdefault(row[0], []).append(row[1:])
    out = []
    for run_id in run_ids:
        if run_id in by_run:
            update, tokens, flops, logged_at, loss, low, high = map(list, zip(*by_run[run_id], strict=True))
            out.append(
                Curve(
                    run_id=run_id,
                    update=update,
                    tokens=tokens,
                    flops=flops,
                    logged_at=logged_at,
                    loss=loss,
                    low=low,
                    high=high,
                )
            )
    return out


def loss_points(
    store: Store,
    *,
    counting: str = "paper",
    embeddings: bool = True,
    evaluation_id: str | None = None,
    run_ids: Sequence[str] | None = None,
) -> list[Point]:
    """Every validation loss that stands and is finite, at updates above 0, ordered by run and update.

    counting: of `flops`, one of `COUNTINGS`; embeddings: whether `params` counts them.
    """
    return _points(store, "e.update > 0", counting, embeddings, evaluation_id, run_ids)


def final_points(
    store: Store,
    *,
    counting: str = "paper",
    embeddings: bool = True,
    evaluation_id: str | None = None,
    run_ids: Sequence[str] | None = None,
) -> list[Point]:
    """One point a run that has spent its budget: validation loss at the last update. Arguments: see `loss_points`."""
    return _points(store, "e.update = r.updates", counting, embeddings, evaluation_id, run_ids)


def _points(
    store: Store,
    which: str,
    counting: str,
    embeddings: bool,
    evaluation_id: str | None,
    run_ids: Sequence[str] | None,
) -> list[Point]:
    if counting not in COUNTINGS:
        raise PlanError(f"unknown counting {counting!r}: one of {', '.join(COUNTINGS)}")
    params = "r.num_params" if embeddings else "r.num_params - r.embedding_params"
    where = ["e.split = 'validation'", "isfinite(e.loss)", which]
    values: dict[str, Any] = {}
    if evaluation_id is not None:
        where.append("e.evaluation_id = $evaluation_id")
        values["evaluation_id"] = evaluation_id
    if run_ids is not None:
        where.append("e.run_id in (select unnest($runs))")
        values["runs"] = list(run_ids)
    rows = store.query(
        f"select e.run_id, r.name, r.grid, r.seed, e.evaluation_id, e.update, r.updates, "
        f"(e.update * r.batch_size * r.flops_{counting})::double, e.tokens, {params}, e.loss, e.loss_stderr, "
        "e.unigram_loss, r.embedding_size, r.hidden_size, r.intermediate_size, r.num_heads, r.num_layers "
        f"from evaluations e join runs r on r.run_id = e.run_id where {' and '.join(where)} "
        "order by e.evaluation_id, e.run_id, e.update",
        params=values or None,
    ).rows
    return [
        Point(
            run_id=row[0],
            name=row[1],
            grid=row[2],
            seed=row[3],
            evaluation_id=row[4],
            update=row[5],
            updates=row[6],
            flops=row[7],
            tokens=row[8],
            params=row[9],
            loss=row[10],
            loss_stderr=row[11],
            unigram_loss=row[12],
            shape=row[13:18],
        )
        for row in rows
    ]


def evaluation_sets(store: Store) -> Result:
    """Which evaluation sets there are: evaluation_id, runs with a finite loss on it, their grids; the largest first."""
    return store.query(
        "select e.evaluation_id, count(distinct e.run_id) as runs, list(distinct r.grid order by r.grid) as grids "
        "from evaluations e join runs r on r.run_id = e.run_id where e.split = 'validation' and isfinite(e.loss) "
        "group by e.evaluation_id order by runs desc, e.evaluation_id"
    )


@dataclass(frozen=True, kw_only=True)
class CardCost:
    """What a run took of the cards it was on, by their samples: time on a card (`seconds`), its share of that time where
    other runs were on the card as well (`hours`), and its share of the energy; None where the power could not be read."""

    seconds: float
    hours: float
    joules: float | None


def card_costs(store: Store) -> dict[str, CardCost]:
    """By run, for the runs that were seen on a GPU.

    The runs of one sample are those between two readings of a whole device in one journal.
    """
    query = (
        "with marked as (select *, max(if(run_id is null, seq, null)) over (partition by source order by seq) as sample "
        "from raw.hardware), shared as (select *, count(*) over (partition by source, sample, device) as sharing "
        "from marked where run_id is not null and device <> 'cpu') "
        "select run_id, sum(seconds), sum(seconds / sharing) / 3600, sum(power_watts * seconds) from shared group by run_id"
    )
    return {
        run_id: CardCost(seconds=seconds, hours=hours, joules=joules)
        for run_id, seconds, hours, joules in store.query(query).rows
    }


def reference_grids(store: Store) -> Result:
    """All columns of `reference_grids`, oldest first."""
    return store.query("from reference_grids order by imported_at, reference")


def reference_points(store: Store, reference: str) -> Result:
    """All points of one reference, in order of run and update."""
    return store.query(
        "from reference_points where reference = ? order by name, seed, update, flops, tokens", params=[reference]
    )


def task_means(store: Store) -> Result:
    """All columns of `task_means`, and `job_id`: a cell of the same question, whose spec says what was asked."""
    return store.query(
        "select m.*, (select min(s.job_id) from task_scores s where s.comparison = m.comparison) as job_id "
        "from task_means m order by task, filtered, comparison, run_id, checkpoint"
    )


def task_averages(store: Store) -> Result:
    """All columns of `task_averages`."""
    return store.query("from task_averages order by run_id, checkpoint, filtered, settings")


def pretraining_gains(store: Store) -> Result:
    """All columns of `pretraining_gain`, each task's first metric only."""
    return store.query("from pretraining_gain where place = 0 order by task, filtered, comparison, run_id, checkpoint")


def every_gain(store: Store) -> Result:
    """All columns of `pretraining_gain`, of all metrics and splits."""
    return store.query("from pretraining_gain order by task, filtered, comparison, run_id, checkpoint, split, place")


def task_seeds(store: Store, run_id: str, checkpoint: str, comparison: str) -> Result:
    """Every score of one cell of the matrix of models and tasks: seed, split, metric, value, stderr, n, epochs, job_id."""
    return store.query(
        "select seed, split, metric, value, stderr, n, epochs, job_id from task_scores "
        "where run_id = $run and checkpoint = $checkpoint and comparison = $comparison order by seed, split, place",
        params={"run": run_id, "checkpoint": checkpoint, "comparison": comparison},
    )


def task_epochs(store: Store, job_ids: Sequence[str]) -> Result:
    """Learning curves of finished cells: seed, trial, epoch, loss, score, selection."""
    return store.query(
        "select seed, trial, epoch, loss, score, selection from task_curves "
        "where job_id in (select unnest($jobs::varchar[])) order by seed, trial, epoch",
        params={"jobs": list(job_ids)},
    )
