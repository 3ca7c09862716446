"""What the lab's database says of downstream cells, and the gains in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..score_matrix import short
from .output import say


def _rows(lab: Path, query: str, params: list[Any]) -> list[dict[str, Any]]:
    from shrunk_core.store.store import open_store

    store = open_store(lab)
    store.refresh(force=True)
    result = store.query(query, params=params)
    store.close()
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def scores_of(lab: Path, job_ids: list[str]) -> list[dict[str, Any]]:
    """The rows of `task_scores` of these cells."""
    query = (
        "select * from task_scores where job_id in (select unnest(?::varchar[])) "
        "order by run_id, task, filtered, checkpoint, seed, split, place"
    )
    return _rows(lab, query, [job_ids])


def gains_of(lab: Path, comparisons: set[str], run_ids: set[str]) -> list[dict[str, Any]]:
    """The rows of `pretraining_gain` of these questions and runs."""
    query = (
        "select * from pretraining_gain where comparison in (select unnest(?::varchar[])) "
        "and run_id in (select unnest(?::varchar[])) order by run_id, task, filtered, split, place"
    )
    return _rows(lab, query, [sorted(comparisons), sorted(run_ids)])


def pairs_of(lab: Path, job_ids: list[str]) -> list[dict[str, Any]]:
    """The rows of `minimal_pairs` of these cells."""
    query = (
        "select * from minimal_pairs where job_id in (select unnest(?::varchar[])) "
        "order by run_id, checkpoint, phenomenon, uid nulls first"
    )
    return _rows(lab, query, [job_ids])


def say_gains(gains: Sequence[Mapping[str, Any]], names: Mapping[str, str] | None = None) -> None:
    """A line a gain, with what it is worth: an interval that holds 0 is no gain that could be told. names: of runs."""
    for row in gains:
        if row["low"] > 0:
            verdict = ""
        elif row["high"] >= 0:
            verdict = "  (holds 0: no gain to be told)"
        else:
            verdict = "  (a loss)"
        name = (names or {}).get(row["run_id"], row["run_id"])
        say(
            f"  {name} {row['task']} {row['metric']}: {short(row['untrained'])} untrained, {short(row['pretrained'])} "
            f"pre-trained; gain {row['gain']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], {row['seeds']} seeds, "
            f"n {row['n']:,}{verdict}"
        )
