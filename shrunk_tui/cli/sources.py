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
                 "seed, update, updates, warmup, x, y, tie, seconds, gpu_hours, energy (joules), or one of the shape. Repeat it."),
]  # fmt: skip
QueryOption = Annotated[
    str | None,
    typer.Option("--query", metavar="SQL", help="Points from a view of the lab, a saved query or a statement, with --map "
                 "as for a file; else the lab's runs."),
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
    """A file, a query or a lab, opened once. `read(counting)` gives its points. home: the lab's store. lab: the points are
    its runs, which can be read in every counting; one_counting: leave the other countings alone, for a first answer."""

    read: Callable[[str], Points]
    counting: str
    home: Store | None = None
    lab: bool = False
    one_counting: bool = False

    def points(self) -> Points:
        return self.read(self.counting)

    def others(self) -> dict[str, Points]:
        """The same points in the lab's other countings."""
        return {c: self.read(c) for c in COUNTINGS if c != self.counting} if self.lab and not self.one_counting else {}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a command was told to take its points from: --csv, --query or the lab, with what chooses among its rows."""

    csv: Path | None = None
    query: str | None = None
    maps: Sequence[str] | None = None
    where: str | None = None
    lab: Path | None = None
    evaluation_id: str | None = None
    counting: Counting | None = None

    @property
    def runs(self) -> bool:
        """The lab's runs themselves."""
        return self.csv is None and self.query is None

    def open(self, *, embeddings: bool = True, every: bool = False) -> Source:
        """embeddings, every: of the lab's runs, whether `n` counts them, and whether all evaluations are read or final ones."""
        counting = self.counting.value if self.counting else ""
        if self.csv is not None:
            return self._file(self.csv, counting)
        if self.maps and self.query is None:
            raise ConfigError("--map names columns of a file or a query: give --csv FILE or --query SQL with it")
        from shrunk_core.config.lab import find_lab
        from shrunk_core.store.store import open_store

        store = open_store(find_lab(self.lab))
        store.refresh(
            force=True
        )  # a command is asked once: what was logged or defined a moment ago belongs to its answer
        if self.query is not None:
            from .points_query import query_points

            asked = self.query

            def answer(counting: str) -> Points:
                return query_points(store, asked, self.maps or (), self.where, self.evaluation_id, counting)

            return Source(read=answer, counting=counting, home=store)
        from .points_lab import lab_points

        def runs(counting: str) -> Points:
            return lab_points(
                store, counting=counting, where=self.where, evaluation_id=self.evaluation_id, embeddings=embeddings,
                every=every,
            )  # fmt: skip

        return Source(read=runs, counting=counting or DEFAULT_COUNTING, home=store, lab=True)

    def _file(self, path: Path, counting: str) -> Source:
        if self.query is not None or self.lab is not None:
            raise ConfigError("--csv, --query or --lab alone: points come from one place")
        if self.evaluation_id is not None:
            raise ConfigError("--evaluation-id is of the lab's runs; choose rows of a file with --where")
        from .paper_facts import with_schedule
        from .points_csv import csv_points

        return Source(read=lambda c: with_schedule(csv_points(path, self.maps or (), self.where, c)), counting=counting)
