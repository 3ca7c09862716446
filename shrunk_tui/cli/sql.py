"""`shrunk sql`."""

from __future__ import annotations

import difflib
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.errors import ConfigError, StoreError
from shrunk_core.store.query_files import saved_queries
from shrunk_core.store.question import Cancelled
from shrunk_core.store.store import Store, open_store
from shrunk_core.store.table_files import write_table

from .output import Format, FormatOption, LabOption, print_rows, say


def sql(
    query: Annotated[str | None, typer.Argument(help="One statement that reads; else -f FILE, else stdin.")] = None,
    lab: LabOption = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="A file with the statement.")] = None,
    saved: Annotated[str | None, typer.Option("--saved", help="A query of the lab's queries/ folder, by name.")] = None,
    how: FormatOption = Format.table,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write all rows to a file instead: .csv, .parquet, .json or .md.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds the query may take.")] = 30.0,
    limit: Annotated[int, typer.Option(min=0, help="Most rows to print; 0: all.")] = 10_000,
) -> None:
    """Ask the lab's database: read-only, sandboxed, at any moment of a training run.

    Views: runs, steps, evaluations, events, grids, corpora, tokenizers; `describe runs` lists columns, and
    `select view_name, comment from duckdb_views() where not internal` says what they are. The same console is
    screen 6 of the terminal UI, which saves queries where --saved finds them.

    Example: shrunk sql "select name, num_params, best_loss from runs order by best_loss" --format csv
    """
    if sum(given is not None for given in (query, file, saved)) > 1:
        raise ConfigError("give one of the query, -f FILE and --saved NAME")
    folder = find_lab(lab)
    text = _text(query, file, saved, folder)
    store = open_store(folder)
    report = store.refresh(force=True)
    for problem in report.problems:
        say(f"note: {problem.source}: {problem.message}")
    if out is not None:
        _write(store, text, out, timeout)
        return
    result = store.query(text, timeout=timeout, limit=limit or None)
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    print_rows(rows, result.columns, how)
    if result.truncated:
        say(f"only the first {limit:,} rows; --limit 0 prints all")


def _text(query: str | None, file: Path | None, saved: str | None, lab: Path) -> str:
    if query is not None:
        return query
    if saved is not None:
        kept = {s.name: s.text for s in saved_queries(lab)}
        if saved not in kept:
            near = difflib.get_close_matches(saved, kept, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(kept) or 'none yet'}"
            raise ConfigError(f"no saved query `{saved}` in {lab / 'queries'}; {hint}")
        return kept[saved]
    if file is not None:
        try:
            return file.read_text()
        except OSError as problem:
            raise ConfigError(f"{file}: {problem.strerror}") from None
    if sys.stdin.isatty():
        raise ConfigError("no query: shrunk sql 'select ...', -f FILE, --saved NAME, or a query on stdin")
    return sys.stdin.read()


def _write(store: Store, text: str, out: Path, timeout: float) -> None:
    question = store.ask(text)
    timer = threading.Timer(timeout, question.cancel)
    timer.daemon = True
    timer.start()
    try:
        answer = question.answer()
    except Cancelled:
        raise StoreError(f"the query was stopped after {timeout:g} s; ask for less, or allow more time") from None
    finally:
        timer.cancel()
    write_table(answer.table, out)
    say(f"{out}: {answer.table.num_rows:,} rows" + (", as many as an answer may hold" if answer.truncated else ""))
