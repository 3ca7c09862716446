"""Rows and objects in the format a person or a script asked for. Data on stdout; everything else goes to stderr."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from shrunk_core.store.result import plain


class Format(str, Enum):
    """Spellings of --format."""

    table = "table"
    json = "json"
    csv = "csv"


class Counting(str, Enum):
    """Spellings of --counting."""

    paper = "paper"
    hoffmann = "hoffmann"
    kaplan = "kaplan"
    executed = "executed"


LabOption = Annotated[
    Path | None, typer.Option("--lab", help="The lab's folder; else $SHRUNK_LAB, else the nearest folder upwards.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How data is printed on stdout.")]
CountingOption = Annotated[Counting, typer.Option("--counting", help="Which FLOPs: see `shrunk cost --help`.")]

Row = Mapping[str, Any]


def print_rows(
    rows: Sequence[Row],
    columns: Sequence[str],
    how: Format,
    shown: Mapping[str, Callable[[Any], str]] | None = None,
    table_columns: Sequence[str] | None = None,
) -> None:
    """Print rows. json and csv: every column, exact values. table: `table_columns`, through the formatters `shown`."""
    if how is Format.json:
        print(json.dumps([{c: plain(row.get(c)) for c in columns} for row in rows], indent=1))
    elif how is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(["" if row.get(c) is None else plain(row.get(c)) for c in columns])
    else:
        print_table(rows, table_columns or columns, shown or {})


def print_table(rows: Sequence[Row], columns: Sequence[str], shown: Mapping[str, Callable[[Any], str]]) -> None:
    """A plain table, numbers to the right, never cut: a line wider than the terminal wraps as the terminal does."""
    cells = [[_cell(row.get(c), shown.get(c)) for c in columns] for row in rows]
    right = [all(isinstance(row.get(c), (int, float)) or row.get(c) is None for row in rows) for c in columns]
    widths = [max([len(c), *(len(line[i]) for line in cells)]) for i, c in enumerate(columns)]

    def line(parts: Sequence[str]) -> str:
        return "  ".join(p.rjust(w) if r else p.ljust(w) for p, w, r in zip(parts, widths, right, strict=True)).rstrip()

    header = line(columns)
    print(bold(header))
    for cell_line in cells:
        print(line(cell_line))


def print_object(value: Mapping[str, Any], how: Format) -> None:
    """One object: JSON as it is; a table or CSV of its keys and values otherwise."""
    if how is Format.json:
        print(json.dumps(plain(value), indent=1))
    else:
        rows = [{"key": k, "value": v if isinstance(v, (int, float)) else str(plain(v))} for k, v in value.items()]
        print_rows(rows, ("key", "value"), how)


def _cell(value: Any, formatter: Callable[[Any], str] | None) -> str:
    if formatter is not None:
        return formatter(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(plain(value))


def colours() -> bool:
    """True if stdout shows colours: a terminal, and NO_COLOR not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colours() else text


def say(text: str = "") -> None:
    """Talk: stderr, so that stdout stays data."""
    print(text, file=sys.stderr, flush=True)


def chart_size(width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Columns and lines of a chart: as asked, else the terminal's width and at most 22 lines."""
    columns, lines = os.get_terminal_size(1) if sys.stdout.isatty() else (80, 24)
    return width or max(40, min(columns, 140)), height or max(10, min(lines - 6, 22))
