"""`shrunk sql`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.errors import ConfigError
from shrunk_core.store.store import open_store

from .output import Format, FormatOption, LabOption, print_rows, say


def sql(
    query: Annotated[str | None, typer.Argument(help="One statement that reads; else -f FILE, else stdin.")] = None,
    lab: LabOption = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="A file with the statement.")] = None,
    how: FormatOption = Format.table,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds the query may take.")] = 30.0,
    limit: Annotated[int, typer.Option(min=0, help="Most rows to print; 0: all.")] = 10_000,
) -> None:
    """Ask the lab's database: read-only, sandboxed, at any moment of a training run.

    Views: runs, steps, evaluations, events, grids, corpora, tokenizers; `describe runs` lists columns, and
    `select view_name, comment from duckdb_views() where not internal` says what they are.

    Example: shrunk sql "select name, num_params, best_loss from runs order by best_loss" --format csv
    """
    if query is not None and file is not None:
        raise ConfigError("give the query or -f FILE, not both")
    if file is not None:
        try:
            query = file.read_text()
        except OSError as problem:
            raise ConfigError(f"{file}: {problem.strerror}") from None
    if query is None:
        if sys.stdin.isatty():
            raise ConfigError("no query: shrunk sql 'select ...', or -f FILE, or a query on stdin")
        query = sys.stdin.read()
    assert query is not None
    store = open_store(find_lab(lab))
    report = store.refresh(force=True)
    for problem in report.problems:
        say(f"note: {problem.source}: {problem.message}")
    result = store.query(query, timeout=timeout, limit=limit or None)
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    print_rows(rows, result.columns, how)
    if result.truncated:
        say(f"only the first {limit:,} rows; --limit 0 prints all")
