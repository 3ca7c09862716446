"""`shrunk export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.store.parquet import export_views
from shrunk_core.store.store import open_store

from .output import Format, FormatOption, LabOption, print_rows, say


def export(
    parquet: Annotated[Path, typer.Option("--parquet", help="The folder to write VIEW.parquet files into.")],
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Write every view of the lab as a Parquet file: runs, steps, evaluations, task_scores and all others.

    One answer alone is `shrunk sql QUERY --out FILE`, or `e` on the SQL screen. Example: shrunk export --parquet out
    """
    store = open_store(find_lab(lab))
    for problem in store.refresh(force=True).problems:
        say(f"note: {problem.source}: {problem.message}")
    rows = [
        {"view": e.view, "rows": e.rows, "bytes": e.num_bytes, "path": str(e.path)}
        for e in export_views(store, parquet)
    ]
    print_rows(rows, ["view", "rows", "bytes", "path"], how)
