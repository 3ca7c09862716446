"""References of a lab: keeping, dropping and reading other people's curves, and what they may be compared with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shrunk_core.config.recipe import PAPER
from shrunk_core.errors import ConfigError
from shrunk_core.record.journal import open_journal
from shrunk_core.record.study_events import ReferenceImported, ReferenceRemoved, ReferenceRun
from shrunk_core.store import queries
from shrunk_core.store.store import Store, open_store

from .imported_curves import Imported, ImportedRun
from .points import SHAPE

_PAPER_LOSS = ("padding_in_loss", "masking", "packing")
"""Settings by which a loss counts what the paper's counts."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Curves of a reference in nats, one list a run; x is flops, tokens or params of each point."""

    name: str
    citation: str
    counting: str
    padding: bool
    evaluation_id: str
    rows: tuple[dict[str, Any], ...]

    def xy(self, x: str, last_only: bool) -> tuple[list[float], list[float]]:
        """Points that have this x: all, or the last of each run."""
        column = {"params": "num_params"}.get(x, x)
        rows = [row for row in self.rows if row[column] is not None]
        if last_only:
            rows = list({(row["name"], row["seed"]): row for row in rows}.values())
        return [float(row[column]) for row in rows], [float(row["loss"]) for row in rows]

    def comparable(self, runs: Sequence[dict[str, Any]], evaluation_id: str) -> bool:
        """May its losses share an axis with those of these runs (rows of the view runs)?

        True on the same evaluation set; and for losses that count padding, beside runs whose losses are made by the
        paper's recipe.
        """
        if self.evaluation_id:
            return self.evaluation_id == evaluation_id
        recipe = {name: PAPER["train"][name] for name in _PAPER_LOSS}
        return self.padding and bool(runs) and all(row[name] == value for row in runs for name, value in recipe.items())


def keep(
    lab: Path,
    curves: Imported,
    *,
    name: str | None,
    counting: str | None,
    padding: bool,
    evaluation_id: str,
    citation: str,
    replace: bool,
) -> ReferenceImported:
    """Write the curves to a journal. ConfigError for a name that is taken, and for a counting that the file denies."""
    called = name or re.sub(r"[^\w.-]+", "-", curves.name).strip("-") or "reference"
    if curves.counting and counting and counting != curves.counting:
        raise ConfigError(f"--counting {counting}: the FLOPs of this file are counted as {curves.counting}")
    store = open_store(lab)
    store.refresh(force=True)
    taken = called in names(store)
    if taken and not replace:
        raise ConfigError(f"the lab has a reference {called} already: choose another --name, or --replace it")
    known = [row[0] for row in queries.evaluation_sets(store).rows]
    if evaluation_id and evaluation_id not in known:
        raise ConfigError(
            f"--evaluation-id {evaluation_id}: no run of this lab is of it. There are: {', '.join(known)}"
        )
    removed = ReferenceRemoved(reference=called)  # older than what replaces it: the views go by time
    head = ReferenceImported(
        reference=called,
        source=str(curves.source),
        citation=citation or curves.citation,
        flops_counting=curves.counting or counting or "",
        padding_in_loss=curves.padding or padding,
        evaluation_id=evaluation_id,
        runs=len(curves.runs),
        points=sum(len(run.losses) for run in curves.runs),
    )
    journal = open_journal(lab)
    if taken:
        journal.append(removed)
    journal.append(*(_event(called, run) for run in curves.runs), head)
    journal.sync()
    journal.close()
    return head


def drop(lab: Path, name: str) -> None:
    """Remove a reference. ConfigError when there is none of this name."""
    store = open_store(lab)
    store.refresh(force=True)
    _one(store, name)
    journal = open_journal(lab)
    journal.append(ReferenceRemoved(reference=name))
    journal.close()


def names(store: Store) -> list[str]:
    return [row[0] for row in queries.reference_grids(store).rows]


def read(store: Store, name: str) -> Reference:
    """A reference with all its points, in order of run and update. ConfigError names those that exist."""
    head = _one(store, name)
    table = queries.reference_points(store, name)
    return Reference(
        name=name,
        citation=head["citation"],
        counting=head["flops_counting"],
        padding=head["padding_in_loss"],
        evaluation_id=head["evaluation_id"],
        rows=tuple(dict(zip(table.columns, row, strict=True)) for row in table.rows),
    )


def _one(store: Store, name: str) -> dict[str, Any]:
    table = queries.reference_grids(store)
    heads = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    for head in heads:
        if head["reference"] == name:
            return head
    there = ", ".join(head["reference"] for head in heads) or "none; `shrunk import` takes some in"
    raise ConfigError(f"no reference {name!r} in this lab. There are: {there}")


def _event(reference: str, run: ImportedRun) -> ReferenceRun:
    about = {key: int(run.about.get(key) or 0) for key in (*SHAPE, "num_params", "embedding_params")}
    seed = run.about.get("seed")
    return ReferenceRun(
        reference=reference,
        name=run.name,
        seed=seed if isinstance(seed, int) else 0,
        tie=str(run.about.get("tie") or ""),
        updates=run.updates,
        tokens=run.tokens,
        flops=run.flops,
        losses=run.losses,
        **about,
    )
