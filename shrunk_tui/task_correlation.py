"""Whether perplexity predicts the score of a task, for the Tasks screen. Worked out in a process beside the screens."""

from __future__ import annotations

from pathlib import Path

from shrunk_core.analysis.correlation import correlate
from shrunk_core.errors import ConfigError, FitError
from shrunk_core.store import queries

from .charts import Chart, Series
from .cli.points_lab import lab_points
from .format import several
from .lab_store import kept_store
from .task_book import Detail, Task, TaskBook


def perplexity_detail(lab: Path, looking: bool, book: TaskBook, task: Task) -> Detail:
    """Score of the best checkpoint against the run's final perplexity, with Spearman's rank correlation over runs."""
    store = kept_store(lab, looking)
    head = f"{task.label}: score against perplexity"
    sets = queries.evaluation_sets(store).rows
    try:
        points = lab_points(store, counting="executed", evaluation_id=sets[0][0] if sets else None)
    except (FitError, ConfigError) as problem:
        return Detail(lines=(head, str(problem)))
    key = [(row["run_id"], "best", task.comparison) for row in points.rows]
    have = [i for i, one in enumerate(key) if one in book.scores]
    x = [points.rows[i]["perplexity"] for i in have]
    y = [book.scores[key[i]].mean for i in have]
    lines = [head, f"{several(len(have), 'run')} with both, on evaluation set {points.evaluation_id[:6]}"]
    others = sum(row[1] for row in sets[1:])
    if others:
        lines.append(f"{others} runs evaluated on other sets are left out")
    chart = None
    if have:
        series = Series(label=task.label, x=x, y=y)
        chart = Chart(title="", x_label="perplexity", y_label="score", series=(series,), log_x=True)
    try:
        there = points.take(have)
        r = correlate(x, y, "perplexity", task.label, method="spearman", runs=there.labels(), seeds=there.seeds())
        lines.append(f"Spearman {r.value:+.2f} [{r.low:+.2f}, {r.high:+.2f}], {r.n} independent runs")
        lines.append("negative: lower perplexity goes with higher scores")
    except FitError as problem:
        lines.append(f"no correlation: {problem}")
    return Detail(lines=tuple(lines), chart=chart)
