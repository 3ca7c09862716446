"""What a query answers: columns, their types and rows, and the one place where values become JSON."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Result:
    """Rows of one query, fetched.

    columns: names, made unique (a second `loss` is `loss_1`); types: DuckDB's names of them; rows: Python values, times
    as naive datetimes in UTC; truncated: True if there were more rows than the limit that was asked for.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False

    def column(self, name: str) -> list[Any]:
        """All values of one column."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """Rows as objects of plain JSON values: NaN and infinities are None, times ISO 8601 with a Z."""
        return [dict(zip(self.columns, map(plain, row), strict=True)) for row in self.rows]


def plain(value: Any) -> Any:
    """A value that every JSON reader takes. Numbers stay numbers; what JSON has no word for becomes text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            if not value.is_finite():
                return None
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime.datetime():
            at = value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
            return at.isoformat() + "Z"
        case datetime.timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case dict():
            return {str(k): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
    return str(value)


def unique(names: list[str]) -> tuple[str, ...]:
    """Column names with repetitions numbered, as DuckDB names them in a table."""
    out: list[str] = []
    taken = set(names)
    for name in names:
        candidate, n = name, 1
        while candidate in out or (candidate != name and candidate in taken):
            candidate, n = f"{name}_{n}", n + 1
        out.append(candidate)
    return tuple(out)
