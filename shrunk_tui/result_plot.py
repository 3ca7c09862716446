"""A query's answer as a chart: which columns to draw, and the scene. Pure; pyarrow and numpy are imported when called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    import pyarrow

    from .picture import Scene

MOST_GROUPS = 40
"""Curves in one chart; of more groups the first are drawn and the title says so."""

MOST_VALUES = 100
"""Distinct values that a column may have to be proposed as the group."""

X_NAMES = ("update", "flops", "tokens", "flops_total", "num_params", "logged_at", "started_at")
Y_NAMES = ("loss", "best_loss", "final_loss", "perplexity", "best_perplexity", "value", "mean")
GROUP_NAMES = ("name", "grid", "run_id", "split", "seed")


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What to draw: columns of the answer by name; `group` may be empty. points: no lines between the points."""

    x: str
    y: str
    group: str = ""
    log_x: bool = False
    log_y: bool = False
    points: bool = False


def numeric_columns(table: pyarrow.Table) -> list[str]:
    """Columns that can be an axis: numbers and times."""
    import pyarrow.types as t

    return [
        f.name
        for f in table.schema
        if t.is_integer(f.type) or t.is_floating(f.type) or t.is_decimal(f.type) or t.is_timestamp(f.type)
    ]


def propose(table: pyarrow.Table, before: Axes | None = None) -> Axes | None:
    """Axes for an answer: as before where its columns are there, else by their names, else the first two numbers.

    None when there are no two columns of numbers.
    """
    numbers = numeric_columns(table)
    if len(numbers) < 2:
        return None
    names = table.column_names
    if before and before.x in numbers and before.y in numbers and (not before.group or before.group in names):
        return before
    y = next((n for n in Y_NAMES if n in numbers), "")
    x = next((n for n in X_NAMES if n in numbers and n != y), "") or next(n for n in numbers if n != y)
    y = y or next(n for n in numbers if n != x)
    others = [n for n in names if n not in (x, y)]
    repeated = table.num_rows > len(table.column(x).unique())
    group = next((n for n in (*GROUP_NAMES, *others) if n in others and _few(table, n)), "") if repeated else ""
    return Axes(x=x, y=y, group=group, log_x=x.startswith(("flops", "num_params")), points=not repeated and not group)


def _few(table: pyarrow.Table, name: str) -> bool:
    import pyarrow.types as t

    column = table.column(name)
    if t.is_nested(column.type) or t.is_floating(column.type) or t.is_timestamp(column.type):
        return False
    return 1 < len(column.unique()) <= MOST_VALUES


def scene_of(table: pyarrow.Table, axes: Axes, version: int) -> Scene:
    """The chart of an answer. Rows without both numbers are left out; each curve is sorted by x.

    version: another number for another answer, so that what was collapsed for one is not taken for the other.
    """
    import numpy as np

    from .picture import Line, Scene

    x, y = _numbers(table, axes.x), _numbers(table, axes.y)
    good = np.isfinite(x) & np.isfinite(y)
    good &= (x > 0) if axes.log_x else True
    good &= (y > 0) if axes.log_y else True
    labels, codes = _groups(table, axes.group)
    lines = []
    for code, label in enumerate(labels[:MOST_GROUPS]):
        chosen = np.flatnonzero(good & (codes == code)) if axes.group else np.flatnonzero(good)
        if not len(chosen):
            continue
        chosen = chosen[np.argsort(x[chosen], kind="stable")]
        lines.append(
            Line(
                key=f"{code}",
                label=label,
                number=code,
                x=x[chosen],
                y=y[chosen],
                version=(version, axes),
                points=axes.points,
            )
        )
    notes = [f"{axes.y} against {axes.x}" + (f" by {axes.group}" if axes.group else "")]
    if len(labels) > MOST_GROUPS:
        notes.append(f"the first {MOST_GROUPS} of {len(labels)} groups")
    if left_out := int(len(good) - good.sum()):
        notes.append(f"{left_out:,} rows without a point")
    return Scene(
        title=", ".join(notes),
        lines=tuple(lines),
        x_name=axes.x,
        log_x=axes.log_x,
        log_y=axes.log_y,
        empty="no row has both numbers" + (" above zero" if axes.log_x or axes.log_y else ""),
    )


def _numbers(table: pyarrow.Table, name: str) -> numpy.ndarray:
    """A column as float64: NULL is NaN, a time is seconds since the first one."""
    import numpy as np
    import pyarrow
    import pyarrow.types as t

    from .arrow import as_array

    column = table.column(name)
    if t.is_timestamp(column.type):
        micro = column.cast(pyarrow.timestamp("us")).cast(pyarrow.int64()).cast(pyarrow.float64())
        seconds = as_array(micro) / 1e6
        return seconds - np.nanmin(seconds) if len(seconds) else seconds
    return as_array(column.cast(pyarrow.float64()))


def _groups(table: pyarrow.Table, name: str) -> tuple[list[str], numpy.ndarray]:
    """Labels of the groups in the order of first appearance, and each row's place among them."""
    import numpy as np

    from .arrow import as_array

    if not name:
        return [""], np.zeros(table.num_rows, dtype=int)
    encoded = table.column(name).combine_chunks().dictionary_encode()
    labels = ["NULL" if v is None else str(v) for v in encoded.dictionary.to_pylist()]
    codes = as_array(encoded.indices.fill_null(len(labels)))
    return [*labels, "NULL"] if encoded.null_count else labels, codes
