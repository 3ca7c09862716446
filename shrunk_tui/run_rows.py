"""Rows of runs, filtered, grouped and in order: what the table shows, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing the engine takes longer than the first frame may
    from .run_filter import Test
    from .watcher import Row


@dataclass(frozen=True, kw_only=True)
class Order:
    """How rows are sorted: by a column, or by their place in their grid when it names none."""

    column: str = ""
    descending: bool = False


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One line of the table: a run with its values, or the heading of a group (`row` is None)."""

    row: Row | None
    values: Mapping[str, Any] = field(default_factory=dict)
    heading: str = ""


def listed(
    rows: Sequence[tuple[Row, Mapping[str, Any]]], places: Mapping[str, Mapping[str, int]], test: Test, order: Order,
    grouped: bool,
) -> list[Listed]:  # fmt: skip
    """Lines of the table. places: grid -> run id -> place in the grid."""
    kept = [(row, values) for row, values in rows if test(values)]
    kept.sort(key=lambda pair: _place(pair[0], places))
    if order.column:
        kept.sort(key=lambda pair: _key(pair[1].get(order.column)), reverse=order.descending)
        there = [p for p in kept if p[1].get(order.column) is not None]
        kept = there + [p for p in kept if p[1].get(order.column) is None]  # what is not known stands last, always
    if not grouped:
        return [Listed(row=row, values=values) for row, values in kept]
    groups: dict[str, list[tuple[Row, Mapping[str, Any]]]] = {}
    for row, values in kept:
        groups.setdefault(row.spec.grid, []).append((row, values))
    out: list[Listed] = []
    for grid in sorted(groups, key=lambda g: _youngest(g, groups[g])):
        out.append(Listed(row=None, heading=heading(grid, groups[grid])))
        out += [Listed(row=row, values=values) for row, values in groups[grid]]
    return out


def heading(grid: str, members: Sequence[tuple[Row, Mapping[str, Any]]]) -> str:
    """A group's line: its grid, how many of its runs stand where."""
    count: dict[str, int] = {}
    for row, _ in members:
        count[row.status.status] = count.get(row.status.status, 0) + 1
    words = ", ".join(f"{n} {status}" for status, n in sorted(count.items(), key=lambda item: -item[1]))
    return f"{grid or '(no grid)'} - {len(members)} runs: {words}"


def _place(row: Row, places: Mapping[str, Mapping[str, int]]) -> tuple[str, int, str]:
    return row.spec.grid, places.get(row.spec.grid, {}).get(row.run_id, 1 << 30), row.spec.name


def _youngest(grid: str, members: Sequence[tuple[Row, Mapping[str, Any]]]) -> tuple[bool, str]:
    """Groups with something going on come first."""
    return not any(row.status.status in ("running", "queued") for row, _ in members), grid


def _key(value: Any) -> tuple[int, Any]:
    if value is None:
        return 2, 0
    return (0, value) if isinstance(value, (int, float)) else (1, str(value).lower())
