"""Cells of the Tasks screen that are not scored yet: asked for, confirmed, handed to the supervisor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shrunk_core.errors import ConfigError, ShrunkError

if TYPE_CHECKING:
    from shrunk_core.config.cell import CellSpec

    from ..task_book import Model, Task, TaskBook

DEFAULT_SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Cells that can be made, and for what is left out, why."""

    cells: tuple[CellSpec, ...]
    refused: tuple[str, ...] = ()


def missing_cells(lab: Path, wanted: Iterable[tuple[Model, Task]]) -> Asked:
    """The cells behind these gaps of the matrix, planned as `shrunk glue` plans them: same rows, settings and seeds.

    Rows that are not those of the column any more (another folder's content, a probe of another corpus) would give scores
    that do not compare with it: such a cell is refused.
    """
    from shrunk_core.engine.cell_plan import Question, plan_cells
    from shrunk_core.record.celldir import read_cell
    from shrunk_core.record.rundir import read_spec, run_dir

    cells: list[CellSpec] = []
    refused: list[str] = []
    for model, task in wanted:
        here = f"{model.name} {model.checkpoint}, {task.label}"
        try:
            example = read_cell(run_dir(lab, task.job_id))
            if example.finetune is None:
                refused.append(f"{here}: minimal pairs start with `shrunk minimal-pairs`")
                continue
            question = Question(
                tasks=(task.name,),
                source=example.source,
                checkpoints=(model.checkpoint,),
                seeds=task.seeds,
                settings=example.finetune,
                filtered=task.filtered,
                vocabulary=example.vocabulary,
            )
            plan = plan_cells(lab, {model.run_id: read_spec(run_dir(lab, model.run_id)).spec}, question)
        except (ShrunkError, OSError) as problem:
            refused.append(f"{here}: {problem}")
            continue
        fitting = [cell for cell in plan.cells if cell.comparison == task.comparison]
        refused += [count.refusal for count in plan.counts if count.refusal]
        if plan.cells and not fitting:
            refused.append(
                f"{here}: its rows are not those of this column; `shrunk glue` scores it as a column of its own"
            )
        cells += fitting
    return Asked(cells=tuple(cells), refused=tuple(dict.fromkeys(refused)))


def new_cells(lab: Path, book: TaskBook, tasks: str, source: str, baseline: bool) -> Asked:
    """Tasks by name for the best checkpoint of every finished run, and with `baseline` for its untrained start."""
    from shrunk_core.config.cell import SETTINGS
    from shrunk_core.engine.cell_plan import Question, plan_cells
    from shrunk_core.record.rundir import read_spec, run_dir

    names = tuple(name.strip() for name in tasks.split(",") if name.strip())
    if not names:
        raise ConfigError("name at least one task, for example bigram-shift")
    runs = {m.run_id: read_spec(run_dir(lab, m.run_id)).spec for m in book.models if m.finished}
    if not runs:
        raise ConfigError("no run has finished yet: a score needs a trained checkpoint")
    question = Question(
        tasks=names,
        source=source,
        checkpoints=("best", "untrained") if baseline else ("best",),
        seeds=DEFAULT_SEEDS,
        settings=SETTINGS["default"],
    )
    plan = plan_cells(lab, runs, question)
    return Asked(cells=tuple(plan.cells), refused=tuple(c.refusal for c in plan.counts if c.refusal))


def only_probes(tasks: str) -> bool:
    """True when no rows have to be found for these tasks."""
    from shrunk_core.downstream.probes import PROBES

    return all(name.strip() in PROBES for name in tasks.split(",") if name.strip())
