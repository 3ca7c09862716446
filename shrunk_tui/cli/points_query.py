"""Points from a question to the lab: a view, a saved query or a statement, with the names of our views known.

A statement may join and filter as it likes; what makes losses comparable is checked all the same, as far as the answer
says it: one evaluation set, one counting, one reference.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from shrunk_core.errors import ConfigError, FitError
from shrunk_core.store import queries
from shrunk_core.store.query_files import saved_queries
from shrunk_core.store.store import Store

from .output import say
from .points import Points
from .points_csv import BY_NAME
from .points_lab import SETTINGS
from .points_named import named_points

SPELLINGS: dict[str, tuple[str, ...]] = BY_NAME | {
    "run": ("run", "run_id", "name"),
    "flops": ("flops", "flops_total"),
    "n": ("n", "num_params"),
    "d": ("d", "tokens"),
}
"""Columns of our views by the name that the analysis knows them under."""


def query_points(
    store: Store, text: str, maps: Sequence[str], where: str | None, evaluation_id: str | None, counting: str
) -> Points:
    """text: the name of a view or of a saved query, or a statement. counting: what its FLOPs are in, where it does not say."""
    result = store.query(_statement(store, text), timeout=120.0)
    source = "the query"
    if not result.rows:
        raise FitError(f"{source} has no rows")
    lines = [[_plain(value) for value in row] for row in result.rows]
    said = _one(result.columns, lines, "flops_counting", "--where")
    if counting and said and counting != said:
        raise ConfigError(
            f"--counting {counting}: the FLOPs of {source} are counted as `{said}`; its other columns have others"
        )
    if "evaluation_id" in result.columns and evaluation_id is not None:
        at = result.columns.index("evaluation_id")
        lines = [line for line in lines if line[at] == evaluation_id]
        if not lines:
            raise ConfigError(f"--evaluation-id {evaluation_id}: no row of {source} has it")
    elif evaluation_id is not None:
        raise ConfigError(f"--evaluation-id: {source} has no column evaluation_id to choose by")
    one_set = ""
    if "evaluation_id" in result.columns:
        one_set = _one(result.columns, lines, "evaluation_id", "--evaluation-id", where)
    elif "reference" not in result.columns and len(queries.evaluation_sets(store).rows) > 1:
        say(
            f"note: {source} does not select evaluation_id, and this lab has several: losses of different sets do not compare"
        )
    _one(result.columns, lines, "reference", "--where", where)
    return named_points(
        source, list(result.columns), lines, [f"row {i + 1}" for i in range(len(lines))], maps, where,
        spellings=SPELLINGS, described=SETTINGS, counting=said or counting, evaluation_id=one_set,
    )  # fmt: skip


def _statement(store: Store, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", text.strip()):
        return text
    kept = {saved.name: saved.text for saved in saved_queries(store.lab)}
    return kept.get(text.strip(), f"from {text.strip()}")


def _one(
    columns: Sequence[str], lines: Sequence[Sequence[Any]], name: str, option: str, where: str | None = None
) -> str:
    """The one value of a column that must not be mixed, "" without the column. A --where may still choose: not refused."""
    if name not in columns:
        return ""
    found = sorted({str(line[columns.index(name)]) for line in lines})
    if len(found) == 1:
        return found[0]
    if where is not None and re.search(rf"\b{name}\b", where):
        return ""
    raise ConfigError(
        f"the rows of the query mix {len(found)} values of {name} ({', '.join(found[:4])}): choose one by {option}"
    )


def _plain(value: Any) -> Any:
    """A value of the database as a cell: numbers as numbers, NULL as blank, lists and times as text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
