"""`shrunk report`: one page about a lab that a colleague can read without it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.errors import ConfigError

from .output import Counting, CountingOption, Format, FormatOption, LabOption, say
from .sources import SetOption, WhereOption


def report(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.md", help="The page; by default exports/report.md of the lab.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page; by default the lab's name.")] = None,
    where: WhereOption = None,
    counting: CountingOption = Counting.paper,
    evaluation_id: SetOption = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="An imported reference beside the runs in the figures.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples of runs behind the intervals.")] = 1000,
    beside: Annotated[
        bool, typer.Option("--beside", help="Figures as SVG files beside the page; by default they are inside it.")
    ] = False,
    control: Annotated[
        bool, typer.Option("--control", help="Instead, print reduced languages against their unconstrained controls.")
    ] = False,
    how: FormatOption = Format.table,
    lab: LabOption = None,
) -> None:
    """Write one Markdown page with its SVG figures: settings, results, laws with intervals, what the next unit of quality
    costs, task scores where there are some, every caveat that was found, the commands that make it again, and versions.

    Examples: shrunk report

    shrunk report --where "grid == 'shape ladders'" --out ladders.md --beside

    shrunk report --control
    """
    from shrunk_core.config.lab import find_lab
    from shrunk_core.record.rundir import write_atomically
    from shrunk_core.store.store import open_store

    from .report_page import Wanted, page

    home = find_lab(lab)
    if control:
        from .controls import print_controls

        store = open_store(home)
        store.refresh(force=True)
        print_controls(store, how)
        return
    path = (out or home / "exports" / "report.md").absolute()
    if path.suffix.lower() not in (".md", ".markdown"):
        raise ConfigError(f"--out {path}: the page is Markdown, so end it in .md")
    if out is not None and not path.parent.is_dir():
        raise ConfigError(f"--out {path}: the folder {path.parent} does not exist")
    store = open_store(home)
    store.refresh(force=True)
    wanted = Wanted(
        title=title or home.name,
        where=where,
        counting=counting.value,
        evaluation_id=evaluation_id,
        reference=reference,
        bootstrap=bootstrap,
        stem=path.stem if beside else "",
    )
    made = page(store, wanted)
    for name, figure in made.figures.items():
        write_atomically(path.parent / name, figure.decode())
    write_atomically(path, made.text)
    count = len(made.figures) if beside else made.text.count("data:image/svg+xml")
    say(f"{count} figures, {made.caveats} caveats")
    print(path)
