"""The report's pages on downstream scores: the matrix, what pre-training gained, scores against perplexity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrunk_core.errors import ShrunkError
from shrunk_core.store import queries
from shrunk_core.store.store import Store

from ..format import short
from ..scaling_charts import correlation_chart
from ..score_matrix import MISSING
from ..task_book import TaskBook, cell_words, read_book
from .correlating import list_correlations, list_steps, predictor, scores
from .points import SHAPE, Points

if TYPE_CHECKING:
    from .report_page import Page


def report_tasks(made: Page, store: Store, points: Points) -> None:
    """Nothing where no run of the page has a score."""
    book, runs = read_book(store), {row["run_id"] for row in points.rows}
    if not any(run_id in runs for run_id, *_ in book.scores):
        return
    made.say("## Task scores")
    _matrix(made, book, runs)
    _gains(made, store, book, runs)
    if points.tasks:
        _against_perplexity(made, points)


def _matrix(made: Page, book: TaskBook, runs: set[str]) -> None:
    made.say(
        "Mean over seeds ± their standard deviation (seeds) of a task's score, the mean of its metrics and splits; "
        f"`{MISSING}` is not scored. GLUE: the plain mean of its tasks / without wnli."
    )
    rows = []
    for model in book.models:
        if model.run_id not in runs:
            continue
        texts = [cell_words(book.score(model, task), task.seeds) for task in book.tasks]
        if any(text != MISSING for text in texts):
            average = book.averages.get((model.run_id, model.checkpoint))
            rows.append([model.name, model.checkpoint, *texts, average.words if average else MISSING])
    made.table(("run", "checkpoint", *(task.label for task in book.tasks), "GLUE / without wnli"), rows)
    made.command("glue GRID --tasks TASKS --baseline untrained")


def _gains(made: Page, store: Store, book: TaskBook, runs: set[str]) -> None:
    labels = {task.comparison: task.label for task in book.tasks}
    names = {model.run_id: model.name for model in book.models}
    result = queries.every_gain(store)
    found = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    found = [row for row in found if row["run_id"] in runs]
    if not found:
        made.warn(
            "task scores stand without their untrained starts: `--baseline untrained` tells what pre-training gained"
        )
        return
    made.say("Gain of pre-training: a checkpoint minus its run's untrained start, paired by seed and example.")
    made.table(
        ("run", "checkpoint", "task", "metric", "split", "untrained", "pre-trained", "gain", "95 % interval", "seeds", "n"),
        [(names[r["run_id"]], r["checkpoint"], labels[r["comparison"]], r["metric"], r["split"], f"{r['untrained']:.3f}",
          f"{r['pretrained']:.3f}", f"{r['gain']:+.3f}", f"[{r['low']:+.3f}, {r['high']:+.3f}]", r["seeds"], r["n"])
         for r in found],
    )  # fmt: skip
    untold = sum(row["low"] <= 0 <= row["high"] for row in found)
    if untold:
        made.warn(f"{untold} of {len(found)} gains of pre-training cannot be told from chance: their intervals hold 0")


def _against_perplexity(made: Page, points: Points) -> None:
    names = scores(points, [])
    try:
        columns, found = list_correlations(points, "perplexity", [], "n", max(200, made.wanted.bootstrap), 0)
        made.table(columns, [[short(r[c]) if isinstance(r[c], float) else r[c] for c in columns] for r in found])
        made.figure(
            "scores",
            correlation_chart(predictor(points, "perplexity"), {n: points.values(n) for n in names}, "perplexity"),
        )
    except ShrunkError as refused:
        made.say(f"Correlations: {refused}.")
    made.command("correlate --given n")
    for axis in SHAPE:
        try:
            columns, found = list_steps(points, axis, [])
        except ShrunkError:
            continue
        made.say(f"Pairs of runs that differ in `{axis}` only:")
        made.table(columns, [[short(r[c]) if isinstance(r[c], float) else r[c] for c in columns] for r in found])
