"""Where a command of the analysis takes its points from: a file when one is named, else the lab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from shrunk_core.cost import COUNTINGS, DEFAULT_COUNTING
from shrunk_core.errors import ConfigError

from .output import Counting
from .points import Points

if TYPE_CHECKING:
    from shrunk_core.store.store import Store

CsvOption = Annotated[
    Path | None, typer.Option("--csv", help="Points from a file with a header line; else the lab's runs.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="NAME=COLUMN", help="A column of the file by name: loss, perplexity, flops, n, d, run, "
                 "seed, update, x, y, tie, seconds, gpu_hours, energy (joules), or one of the shape. Repeat it."),
]  # fmt: skip
WhereOption = Annotated[
    str | None, typer.Option("--where", metavar="EXPR", help="Only rows for which this holds, e.g. 'hidden_size < 64'.")
]
SetOption = Annotated[
    str | None, typer.Option("--evaluation-id", help="Which evaluation set, where the lab's runs have several.")
]
SourceCountingOption = Annotated[
    Counting | None,
    typer.Option(
        "--counting", help="Which FLOPs of the lab's runs (paper by default); of a file: what its column is in."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file or a lab, opened once. `read(counting)` gives its points; a file has one counting only. home: the lab's.
    one_counting: leave the lab's other countings alone, for a first answer."""

    read: Callable[[str], Points]
    counting: str
    home: Store | None = None
    one_counting: bool = False

    @property
    def lab(self) -> bool:
        return self.home is not None

    def points(self) -> Points:
        return self.read(self.counting)

    def others(self) -> dict[str, Points]:
        """The same points in the lab's other countings."""
        return {c: self.read(c) for c in COUNTINGS if c != self.counting} if self.lab and not self.one_counting else {}


def open_source(
    csv: Path | None,
    maps: Sequence[str] | None,
    where: str | None,
    lab: Path | None,
    evaluation_id: str | None,
    counting: Counting | None,
    *,
    embeddings: bool = True,
    every: bool = False,
) -> Source:
    """embeddings, every: of the lab, whether `n` counts them, and whether all evaluations are read or final ones."""
    if csv is not None:
        if lab is not None:
            raise ConfigError("--csv or --lab, not both: points come from one place")
        if evaluation_id is not None:
            raise ConfigError("--evaluation-id is of the lab's runs; choose rows of a file with --where")
        from .points_csv import csv_points

        return Source(read=lambda c: csv_points(csv, maps or (), where, c), counting=counting.value if counting else "")
    if maps:
        raise ConfigError("--map names columns of a file: give --csv FILE with it")
    from shrunk_core.config.lab import find_lab
    from shrunk_core.store.store import open_store

    from .points_lab import lab_points

    store = open_store(find_lab(lab))
    store.refresh(force=True)  # a command is asked once: what was logged or defined a moment ago belongs to its answer
    return Source(
        read=lambda c: lab_points(
            store, counting=c, where=where, evaluation_id=evaluation_id, embeddings=embeddings, every=every
        ),
        counting=counting.value if counting else DEFAULT_COUNTING,
        home=store,
    )
