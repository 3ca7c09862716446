"""The end of the demo: does the best run tell intact sentences from shifted ones, and better than its untrained start?"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from shrunk_core.config.cell import SETTINGS, CellSpec
from shrunk_core.engine.plan import RunPlan

from .following_cells import work_through
from .glue import report_counts
from .output import say
from .task_answers import gains_of, say_gains

PROBE = "bigram-shift"
BUDGET_SECONDS = 60.0
SEEDS, EPOCHS, EXAMPLES = 2, 2, 8000
"""Enough for an interval over seeds, and a quarter of the budget on two idle cores."""


def probe(lab: Path, planned: RunPlan, run_id: str) -> None:
    """Fine-tune the run's best checkpoint and its start on the probe, and say what pre-training gained.

    What is not done after BUDGET_SECONDS is stopped, and said to be missing.
    """
    cells = cells_of(lab, planned, run_id)
    say(
        f"\nDid it learn more than word frequencies? Are two neighbouring words swapped or not ({PROBE}), after fine-tuning:"
    )
    work_through(lab, cells, seconds=BUDGET_SECONDS)
    gains = gains_of(lab, {cell.comparison for cell in cells}, {run_id})
    if gains and gains[0]["seeds"] == SEEDS:
        say("gain of pre-training over the untrained start (95 % over seeds and examples; chance is .500):")
        say_gains(gains, {r.run_id: r.name for r in planned.runs})
    else:
        say(f"the probe was not finished within its {BUDGET_SECONDS:g} s; run the demo again and it goes on")


def cells_of(lab: Path, planned: RunPlan, run_id: str) -> list[CellSpec]:
    from shrunk_core.engine.cell_plan import Question, plan_cells

    plan = plan_cells(
        lab,
        {run.run_id: run.spec for run in planned.runs if run.run_id == run_id and run.spec is not None},
        Question(
            tasks=(PROBE,),
            source="",
            checkpoints=("best", "untrained"),
            seeds=SEEDS,
            settings=dataclasses.replace(SETTINGS["default"], epochs=EPOCHS, train_examples=EXAMPLES),
        ),
    )
    report_counts(plan.counts)
    return plan.cells
