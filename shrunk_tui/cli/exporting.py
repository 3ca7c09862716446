"""`shrunk export`: views as Parquet files, or runs as an archive that another lab takes in."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.errors import ConfigError

from ..format import size
from .output import Format, FormatOption, LabOption, print_object, print_rows, say


class Part(str, Enum):
    """Spellings of --with."""

    corpora = "corpora"
    models = "models"
    checkpoints = "checkpoints"
    all = "all"


def export(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Of an archive: runs or grids; the whole lab when none is named.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="DIR", help="The folder to write VIEW.parquet files into.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="FILE", help="The archive to write, as lab.tar.zst.")
    ] = None,
    parts: Annotated[
        list[Part] | None,
        typer.Option(
            "--with",
            help="Of an archive, beside specs, logs, scores and what journals say. Models and checkpoints bring the corpora "
            "and tokenizers that evaluating and training on need. Repeat it.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an archive that is there.")] = False,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Write every view of the lab as a Parquet file, or runs as an archive that `shrunk import archive` takes into a lab.

    The archive of a lab that trains is as of now; what was under way is stopped where it is imported, and `shrunk resume`
    goes on from the checkpoints that came along. One answer alone is `shrunk sql QUERY --out FILE`, or `e` on the SQL screen.

    Examples: shrunk export --parquet out

    shrunk export --archive night.tar.zst --with models

    shrunk export "width by depth" --archive grid.tar.zst --with all
    """
    if (parquet is None) == (archive is None):
        raise ConfigError("say what to write: --parquet DIR for the views, or --archive FILE for runs")
    folder = find_lab(lab)
    if parquet is not None:
        if runs or parts or replace:
            raise ConfigError(
                "RUNS, --with and --replace are of --archive; --parquet writes the views of the whole lab"
            )
        _views(folder, parquet, how)
    else:
        assert archive is not None
        _archive(folder, archive, runs or [], parts or [], replace, how)


def _views(lab: Path, target: Path, how: Format) -> None:
    from shrunk_core.store.parquet import export_views
    from shrunk_core.store.store import open_store

    store = open_store(lab)
    for problem in store.refresh(force=True).problems:
        say(f"note: {problem.source}: {problem.message}")
    rows = [
        {"view": e.view, "rows": e.rows, "bytes": e.num_bytes, "path": str(e.path)} for e in export_views(store, target)
    ]
    print_rows(rows, ["view", "rows", "bytes", "path"], how)


def _archive(lab: Path, target: Path, runs: list[str], parts: list[Part], replace: bool, how: Format) -> None:
    from shrunk_core.engine.archive import PARTS, export_archive

    from .runs import choose

    chosen = [s.run_id for s in choose(lab, runs)] if runs else []
    wanted = PARTS if Part.all in parts else tuple(p.value for p in parts)
    done = export_archive(lab, target, chosen, wanted, replace=replace)
    row = {"file": str(done.path), "runs": done.runs, "files": done.files, "bytes": done.num_bytes}
    print_object(row | {"content_bytes": done.content_bytes}, how)
    say(
        f"{done.runs} runs in {target}: {size(done.num_bytes)}, unpacked {size(done.content_bytes)}. Elsewhere: "
        f"shrunk import archive {target.name}"
    )
