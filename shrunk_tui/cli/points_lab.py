"""Points from the lab's runs: one evaluation set, FLOPs in one counting, seeds of one cell known as such."""

from __future__ import annotations

import math
from typing import Any

from shrunk_core.errors import ConfigError, FitError
from shrunk_core.store import queries
from shrunk_core.store.queries import Point
from shrunk_core.store.schema import spec_columns
from shrunk_core.store.store import Store

from .points import Points

_NO_RESULT = {
    "max_positions", "evaluate_every", "checkpoint_every", "keep_checkpoints", "device", "micro_batch",
}  # fmt: skip
"""Settings that follow from others, or change how a run is done and not what comes out."""
SETTINGS = tuple(c.name for c in spec_columns() if c.name not in _NO_RESULT)
"""Settings that make a run what it is: columns of `runs`."""


def lab_points(
    store: Store,
    *,
    counting: str,
    where: str | None = None,
    evaluation_id: str | None = None,
    embeddings: bool = True,
    every: bool = False,
) -> Points:
    """Final points of finished runs, or `every` evaluation of all runs. `n` counts embeddings as asked.

    Losses compare within one evaluation set: when several are left, ConfigError names them.
    """
    read = queries.loss_points if every else queries.final_points
    found = read(store, counting=counting, embeddings=embeddings)
    if not found:
        raise FitError("no run of this lab has " + ("been evaluated" if every else "finished") + " yet")
    table = queries.runs_table(store)
    runs = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    scores, cards = task_means(store), queries.card_costs(store)
    rows = [_row(point, runs[point.run_id], cards.get(point.run_id)) | scores.get(point.run_id, {}) for point in found]
    tasks = sorted({task for one in scores.values() for task in one})
    rows = [dict.fromkeys(tasks) | row for row in rows]
    names = {p.name for p in found}
    if len({(p.name, p.run_id) for p in found}) > len(names):
        rows = [row | {"run": row["run_id"]} for row in rows]  # names repeat across grids
    points = Points(
        source="this lab",
        rows=rows,
        places=[f"run {p.run_id} ({p.name}), update {p.update}" for p in found],
        columns=tuple(rows[0]),
        counting=counting,
    ).where(where)
    points = _one_set(store, points, evaluation_id)
    varied = [name for name in SETTINGS if len({str(row[name]) for row in points.rows}) > 1]
    cells = [" ".join(f"{name}={row[name]}" for name in varied) or "one shape" for row in points.rows]
    return Points(
        source=points.source,
        rows=points.rows,
        places=points.places,
        columns=points.columns,
        cells=cells,
        described=SETTINGS,
        tasks=tuple(tasks),
        counting=counting,
        evaluation_id=points.rows[0]["evaluation_id"],
    )


def _row(point: Point, run: dict[str, Any], card: queries.CardCost | None) -> dict[str, Any]:
    """Settings and standing of the run, and over them the point: a curve's row is of its update, not of the run's end."""
    settings = {name: ", ".join(map(str, v)) if isinstance(v, (list, tuple)) else v for name, v in run.items()}
    share = point.update / point.updates
    return settings | {
        "run": point.name,
        "seed": point.seed,
        "evaluation_id": point.evaluation_id,
        "update": point.update,
        "updates": point.updates,
        "warmup": _warm_up(run, point.updates),
        "loss": point.loss,
        "perplexity": math.exp(point.loss),
        "flops": point.flops,
        "n": point.params,
        "d": point.tokens,
        "tokens": point.tokens,
        "seconds": None if run["seconds"] is None else run["seconds"] * share,
        "sampled_seconds": card and card.seconds * share,
        "gpu_hours": card and card.hours * share,
        "energy": None if card is None or card.joules is None else card.joules * share,
    }


def _warm_up(run: dict[str, Any], updates: int) -> int:
    """Last update of the linear warm-up, as the run's settings say."""
    share = math.floor(run["warmup_share"] * updates)
    return max(1, min(share, run["warmup_max"]) if run["warmup_max"] else share)


def _one_set(store: Store, points: Points, evaluation_id: str | None) -> Points:
    there = set(points.values("evaluation_id"))
    if evaluation_id is None and len(there) == 1:
        return points
    if evaluation_id in there:
        return points.take(i for i, one in enumerate(points.values("evaluation_id")) if one == evaluation_id)
    sets = "; ".join(
        f"{one} ({runs} runs of {', '.join(grids)})"
        for one, runs, grids in queries.evaluation_sets(store).rows
        if one in there
    )
    if evaluation_id is None:
        raise ConfigError(
            f"these runs were evaluated on {len(there)} sets, and losses compare within one only: "
            f"choose with --evaluation-id. There are: {sets}"
        )
    raise ConfigError(f"--evaluation-id {evaluation_id}: no such set among these runs. There are: {sets}")


_AVERAGES = (
    "with best as (select *, count(*) over (partition by filtered, settings, tasks) as runs from task_averages "
    "where checkpoint = 'best' and len(tasks) > 1) "
    "select run_id, 'glue_mean' || if(filtered, ', filtered', ''), average from best "
    "qualify dense_rank() over (partition by filtered order by runs desc, len(tasks) desc, settings, tasks) = 1"
)
"""Means over tasks, as `glue_mean`: of the set of tasks that most runs have whole, because others do not compare."""


def task_means(store: Store) -> dict[str, dict[str, float]]:
    """Mean scores of the best checkpoints by run and task; a filtered task is a task of its own, `cola, filtered`.

    Of a task scored under several settings, those that most seeds of the lab were scored under.
    """
    found: dict[str, dict[str, float]] = {}
    query = (
        "with best as (select run_id, task || if(filtered, ', filtered', '') as name, mean, comparison, "
        "sum(seeds) over (partition by comparison) as cells from task_means where checkpoint = 'best') "
        "select run_id, name, mean from best "
        "qualify dense_rank() over (partition by name order by cells desc, comparison) = 1"
    )
    for run_id, task, mean in [*store.query(query).rows, *store.query(_AVERAGES).rows]:
        found.setdefault(run_id, {})[task] = mean
    return found
