"""What the commands about language share: recipes from options, the corpus that is meant, a progress line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from shrunk_core.config.grid import load_grid
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.errors import ConfigError, DataError
from shrunk_core.language.corpus import corpora
from shrunk_core.record.events import CorpusProgress, Event
from shrunk_core.record.journal import open_journal

from ..format import size
from .follow import STAGES
from .output import say

SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", help="File, folder, glob, embedded:kjv or hub:OWNER/NAME; repeat it for several."),
]
GridOption = Annotated[Path | None, typer.Option("--grid", help="Take [corpus] and [tokenizer] of this grid file.")]
TextColumnOption = Annotated[
    str, typer.Option("--text-column", help="Column with the text, in JSON lines, Parquet, CSV and hub data.")
]


def noun() -> typer.Typer:
    """A command that has verbs."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def recipe_of_grid(path: Path) -> tuple[CorpusSpec, TokenizerSpec]:
    """The corpus and tokenizer of a grid file, which must have one of each."""
    found = {(p.corpus, p.tokenizer) for p in load_grid(path).points()}
    if len(found) > 1:
        raise ConfigError(f"{path}: its axes make {len(found)} corpora or tokenizers; `shrunk run` builds them all")
    return found.pop()


def find_corpus(lab: Path, name: str | None) -> dict[str, Any]:
    """The manifest of the corpus that a fingerprint, or its beginning, means; the only or the latest one without."""
    built = corpora(lab)
    if not built:
        raise DataError(f"{lab} has no corpus yet: `shrunk corpus build` or `shrunk run` makes one")
    if name is None:
        if len(built) > 1:
            say(f"the latest of {len(built)} corpora: {built[-1]['fingerprint']}")
        return built[-1]
    found = [m for m in built if m["fingerprint"].startswith(name)]
    if len(found) != 1:
        have = ", ".join(m["fingerprint"] for m in built)
        raise DataError(f'{"no" if not found else "more than one"} corpus begins with "{name}"; there are {have}')
    return found[0]


def follow(events: Iterable[Event], lab: Path | None = None) -> list[Event]:
    """Show progress on stderr; what was built comes back, and goes to the lab's journal."""
    built: list[Event] = []
    with ProgressLine() as line:
        for event in events:
            if isinstance(event, CorpusProgress):
                line.show(event)
                continue
            built.append(event)
            if lab is not None:
                journal = open_journal(lab)
                journal.append(event)
                journal.close()
    return built


class ProgressLine:
    """One line that is written over in a terminal; a line a stage elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._stage:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, event: CorpusProgress) -> None:
        stage = STAGES.get(event.stage, event.stage)
        if not self._terminal:
            if event.stage != self._stage:
                say(f"{stage} ...")
        else:
            share = event.done / event.total if event.total else 0.0
            bar = ("#" * round(20 * share)).ljust(20, ".")
            done = size(event.done) if event.unit == "bytes" else f"{event.done:,} {event.unit}"
            print(f"\r\x1b[K{stage} [{bar}] {share:4.0%}  {done}  {event.message}", end="", file=sys.stderr, flush=True)
        self._stage = event.stage


def bars(rows: Iterable[tuple[str, float]], width: int = 50) -> Iterator[str]:
    """Lines of a histogram: label, bar, number."""
    listed = list(rows)
    most = max((n for _, n in listed), default=0)
    wide = max((len(label) for label, _ in listed), default=0)
    for label, n in listed:
        yield f"{label.rjust(wide)} {'█' * max(1 if n else 0, round(width * n / max(1, most)))} {n:,.0f}"
