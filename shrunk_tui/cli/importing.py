"""`shrunk import`: runs of another lab, or somebody else's learning curves, read-only, to be drawn beside its own runs."""

from __future__ import annotations

import importlib
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.errors import ConfigError

from .output import Counting, LabOption, say

READERS: dict[str, str] = {
    # kind: module and function, imported when it is asked for
    "paper-curves": "imported_curves:paper_curves",
    "trainer-state": "imported_curves:trainer_state",
    "csv": "imported_curves:any_csv",
}


class Kind(str, Enum):
    paper_curves = "paper-curves"
    trainer_state = "trainer-state"
    csv = "csv"
    archive = "archive"


def import_(
    kind: Annotated[Kind | None, typer.Argument(help="What the file is.")] = None,
    file: Annotated[Path | None, typer.Argument(help="The file.")] = None,
    name: Annotated[str | None, typer.Option(help="What the reference is called; by default after the file.")] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="NAME=COLUMN", help="csv: a column by name, as in `shrunk fit`. Repeat it."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="What the file does not say of its runs: num_params=124000000, "
            "hidden_size=256, or tokens_per_update=65536. Repeat it.",
        ),
    ] = None,
    counting: Annotated[Counting | None, typer.Option("--counting", help="What its FLOPs are counted in.")] = None,
    padding: Annotated[
        bool, typer.Option("--padding", help="Its losses count padding positions, as the paper's do.")
    ] = False,
    evaluation_id: Annotated[
        str, typer.Option("--evaluation-id", help="Its losses are of this evaluation set of the lab, and compare.")
    ] = "",
    citation: Annotated[str, typer.Option(help="Whose numbers they are.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="In place of a reference of the same name.")] = False,
    remove: Annotated[str | None, typer.Option("--remove", metavar="NAME", help="Instead: drop a reference.")] = None,
    lab: LabOption = None,
) -> None:
    """Take runs of another lab in (archive), or learning curves as a read-only reference, to be drawn beside yours.

    archive: what `shrunk export --archive` wrote. Its runs become runs of this lab, finished ones are found by `shrunk run`;
    what was under way is stopped here. Runs that are here already get what they lack; other content of the same name is
    refused, and then nothing has changed.

    paper-curves: the result file of Deshpande et al. 2023 (its losses count padding). trainer-state: a
    trainer_state.json of Hugging Face. csv: any file with a row an evaluation. They take part in no fit of the lab's runs;
    the views reference_grids and reference_points hold them; `shrunk plot --reference NAME` draws them.

    Examples: shrunk import archive night.tar.zst

    shrunk import paper-curves paper_eval_curves.csv

    shrunk import trainer-state checkpoint-9000/trainer_state.json --name roberta-tiny --set num_params=4400000

    shrunk import csv curves.csv --map run=name --map loss=val_loss --map flops=C
    """  # fmt: skip
    from shrunk_core.config.lab import find_lab

    from .references import drop, keep

    home = find_lab(lab)
    if remove is not None:
        drop(home, remove)
        say(f"reference {remove} is removed")
        return
    if kind is None or file is None:
        raise ConfigError("say what to import: shrunk import KIND FILE, with KIND one of " + ", ".join(Kind))
    if kind is Kind.archive:
        of_references = {"--name": name, "--map": maps, "--set": sets, "--counting": counting, "--padding": padding,
                         "--evaluation-id": evaluation_id, "--citation": citation, "--replace": replace}  # fmt: skip
        if given := [option for option, value in of_references.items() if value]:
            raise ConfigError(f"{', '.join(given)}: of learning curves, not of an archive")
        take_in(home, file)
        return
    module, function = READERS[kind.value].split(":")
    read = getattr(importlib.import_module(f".{module}", __package__), function)
    curves = read(file, maps or [], sets or [])
    kept = keep(
        home, curves, name=name, counting=counting.value if counting else None, padding=padding,
        evaluation_id=evaluation_id, citation=citation, replace=replace,
    )  # fmt: skip
    say(
        f"reference {kept.reference}: {kept.points} points of {kept.runs} runs. `shrunk plot --reference {kept.reference}` "
        "draws them beside yours"
    )


def take_in(lab: Path, file: Path) -> None:
    """Import an archive and say what came."""
    from shrunk_core.engine.unarchive import import_archive

    taken = import_archive(lab, file)
    for run_id in taken.runs:
        print(run_id)
    said = [f"{len(taken.runs)} runs from {taken.host}"]
    said += [f"{len(taken.known)} were here already, {taken.added} parts of them were not"] if taken.known else []
    said += [f"{taken.languages} corpora and tokenizers"] if taken.languages else []
    say(f"{'; '.join(said)}; {taken.events} journal entries")
    for reference in taken.references:
        say(f"note: the reference {reference} was left out: the lab has one of that name")
