"""Downstream scores of a lab as the Tasks screen shows them: a matrix of models and tasks, gains, correlation, one cell.

Everything here reads the lab's index or plain values; nothing draws. For threads: the store and numpy are imported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shrunk_core.store import queries
from shrunk_core.store.store import Store

from .charts import Chart, Series
from .score_matrix import MISSING, short, task_label

UNTRAINED = "untrained"
_ORDER = {"best": 0, "final": 1, UNTRAINED: 3}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One column: a question that scores compare within. seeds: the most that any model has; job_id: a cell of it."""

    comparison: str
    label: str
    name: str
    filtered: bool
    settings: str
    seeds: int
    job_id: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """One row: a checkpoint of a run. finished: the run has spent its budget."""

    run_id: str
    name: str
    grid: str
    checkpoint: str
    finished: bool


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean over seeds with their standard deviation (None of one seed); n: examples."""

    mean: float
    spread: float | None
    seeds: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A checkpoint minus the untrained start, paired, with its 95 % interval."""

    metric: str
    gain: float
    low: float
    high: float
    seeds: int
    n: int

    @property
    def verdict(self) -> str:
        return "gain" if self.low > 0 else "loss" if self.high < 0 else "not told from chance"


@dataclass(frozen=True, kw_only=True)
class Average:
    """Plain mean over so many GLUE tasks, and over those that are not wnli (None when there are none)."""

    mean: float
    without_wnli: float | None
    tasks: int

    @property
    def words(self) -> str:
        """`.512 / .530 of 5`: the mean, the mean without wnli, how many tasks."""
        return (
            f"{short(self.mean)} / {MISSING if self.without_wnli is None else short(self.without_wnli)} of {self.tasks}"
        )


@dataclass(frozen=True, kw_only=True)
class TaskBook:
    """All that is scored. scores: by run, checkpoint and comparison; averages: of GLUE, by run and checkpoint; a model
    without a score is a finished run whose cells are all missing."""

    tasks: tuple[Task, ...] = ()
    models: tuple[Model, ...] = ()
    scores: dict[tuple[str, str, str], Score] = field(default_factory=dict)
    gains: dict[tuple[str, str, str], Gain] = field(default_factory=dict)
    averages: dict[tuple[str, str], Average] = field(default_factory=dict)

    def score(self, model: Model, task: Task) -> Score | None:
        return self.scores.get((model.run_id, model.checkpoint, task.comparison))

    def missing(self, models: Iterable[Model]) -> list[tuple[Model, Task]]:
        """Cells of these models with no score, or with fewer seeds than another model has."""
        cells = ((model, task, self.score(model, task)) for model in models for task in self.tasks)
        return [(m, t) for m, t, score in cells if score is None or score.seeds < t.seeds]

    def shown(self, baseline: bool) -> list[Model]:
        """The rows: the untrained starts only when they are asked for."""
        return [m for m in self.models if baseline or m.checkpoint != UNTRAINED]


def read_book(store: Store) -> TaskBook:
    """Everything the matrix needs, in four queries."""
    means, runs = _dicts(queries.task_means(store)), _dicts(queries.runs_table(store))
    scores = {
        (m["run_id"], m["checkpoint"], m["comparison"]): Score(
            mean=m["mean"], spread=m["spread"], seeds=m["seeds"], n=m["n"]
        )
        for m in means
    }
    gains = {
        (g["run_id"], g["checkpoint"], g["comparison"]): Gain(
            metric=g["metric"], gain=g["gain"], low=g["low"], high=g["high"], seeds=g["seeds"], n=g["n"]
        )
        for g in _dicts(queries.pretraining_gains(store))
    }
    averages: dict[tuple[str, str], Average] = {}
    for row in _dicts(queries.task_averages(store)):
        key = (row["run_id"], row["checkpoint"])
        if key not in averages or len(row["tasks"]) > averages[key].tasks:
            averages[key] = Average(mean=row["average"], without_wnli=row["without_wnli"], tasks=len(row["tasks"]))
    return TaskBook(
        tasks=_tasks(means), models=tuple(_models(runs, scores)), scores=scores, gains=gains, averages=averages
    )


def _dicts(result: Any) -> list[dict[str, Any]]:
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def _tasks(means: list[dict[str, Any]]) -> tuple[Task, ...]:
    """One a comparison; two of one name are told apart by their settings, and by a number where those agree too."""
    first: dict[str, dict[str, Any]] = {}
    seeds: dict[str, int] = {}
    for row in means:
        first.setdefault(row["comparison"], row)
        seeds[row["comparison"]] = max(seeds.get(row["comparison"], 0), row["seeds"])
    plain = [task_label(row["task"], row["filtered"]) for row in first.values()]
    used: dict[str, int] = {}
    out = []
    for label, (comparison, row) in zip(plain, first.items(), strict=True):
        text = label if plain.count(label) == 1 else f"{label} ({row['settings']})"
        used[text] = used.get(text, 0) + 1
        out.append(
            Task(
                comparison=comparison,
                label=text if used[text] == 1 else f"{text} #{used[text]}",
                name=row["task"],
                filtered=row["filtered"],
                settings=row["settings"],
                seeds=seeds[comparison],
                job_id=row["job_id"],
            )
        )
    return tuple(out)


def _models(runs: list[dict[str, Any]], scores: Iterable[tuple[str, str, str]]) -> list[Model]:
    """By grid, then by size, then by name with its numbers as numbers; the untrained start comes last of each run."""
    scored: dict[str, set[str]] = {}
    for run_id, checkpoint, _ in scores:
        scored.setdefault(run_id, set()).add(checkpoint)
    out = []
    for run in sorted(runs, key=lambda r: (r["grid"], r["num_params"], _natural(r["name"]), r["run_id"])):
        finished = run["status"] == "finished"
        names = set(scored.get(run["run_id"], ()))
        if names or finished:
            names |= {UNTRAINED} | ({"best"} if finished else set())
        for checkpoint in sorted(names, key=lambda c: (_ORDER.get(c, 2), int(c) if c.isdigit() else 0)):
            out.append(
                Model(
                    run_id=run["run_id"],
                    name=run["name"],
                    grid=run["grid"],
                    checkpoint=checkpoint,
                    finished=finished,
                )
            )
    return out


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def cell_words(score: Score | None, seeds: int) -> str:
    """`.712 ±.004 (3)` as `shrunk glue` prints it; `(2/3)` while seeds are missing, `.` for no score."""
    if score is None:
        return MISSING
    done = f"{score.seeds}" if score.seeds >= seeds else f"{score.seeds}/{seeds}"
    spread = "" if score.spread is None else f" ±{short(score.spread)}"
    return f"{short(score.mean)}{spread} ({done})"


# ---------------------------------------------------------------------- what stands beside the matrix


@dataclass(frozen=True, kw_only=True)
class Detail:
    """Numbers as lines, a chart where there is one to draw, and lines of least worth below it."""

    lines: tuple[str, ...]
    chart: Chart | None = None
    after: tuple[str, ...] = ()


def gain_detail(book: TaskBook, task: Task, width: int, ascii_only: bool) -> Detail:
    """Gains over the untrained start on one task, each as a bar of its interval on one axis that holds 0."""
    found = [(m, g) for m in book.models if (g := book.gains.get((m.run_id, m.checkpoint, task.comparison)))]
    lines = [f"{task.label}: gain over the untrained start, 95 % interval"]
    if not found:
        return Detail(
            lines=(*lines, "No gain is measured: it needs the same seeds of the untrained start. n asks for them.")
        )
    reach = max(max(abs(g.low), abs(g.high)) for _, g in found) or 1.0
    name = max(len(m.name) for m, _ in found)
    for model, gain in found:
        bar = interval_bar(gain, reach, max(11, min(41, width - 2)), ascii_only)
        lines.append(f"{model.name:{name}} {model.checkpoint}, {gain.metric}, {gain.seeds} seeds, n {gain.n:,}")
        lines.append(f"  {gain.gain:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]  {gain.verdict}")
        lines.append(f"  {bar}")
    return Detail(lines=tuple(lines))


def interval_bar(gain: Gain, reach: float, width: int, ascii_only: bool) -> str:
    """`|` at 0, a line over the interval, a point at the gain, on an axis from -reach to reach."""
    line, point, zero = ("-", "o", "|") if ascii_only else ("─", "●", "│")

    def place(value: float) -> int:
        return round((value / reach + 1) / 2 * (width - 1))

    out = [" "] * width
    for at in range(place(gain.low), place(gain.high) + 1):
        out[at] = line
    out[place(0)] = zero
    out[place(gain.gain)] = point
    return "".join(out).rstrip()


def cell_detail(store: Store, model: Model, task: Task) -> Detail:
    """One cell: every seed with its standard error over examples, and the learning curves of its seeds."""
    rows = _dicts(queries.task_seeds(store, model.run_id, model.checkpoint, task.comparison))
    lines = [f"{model.name} {model.checkpoint}, {task_label(task.name, task.filtered)} ({task.settings})"]
    if not rows:
        return Detail(lines=(*lines, "Missing. enter starts it."))
    for row in rows:
        lines.append(
            f"seed {row['seed']}  {row['metric']} {short(row['value'])} ±{short(row['stderr'])} on {row['split']}, "
            f"n {row['n']:,}, epoch {row['epochs']}"
        )
    jobs = list(dict.fromkeys(row["job_id"] for row in rows))
    after = ("± is the standard error over examples", *(f"shrunk logs {job}" for job in jobs))
    epochs = _dicts(queries.task_epochs(store, jobs))
    curves: dict[tuple[int, int], list[tuple[int, float]]] = {}
    chosen = any(row["selection"] is not None and math.isfinite(row["selection"]) for row in epochs)
    for row in epochs:
        value = row["selection"] if chosen else row["score"]
        if value is not None and math.isfinite(value):
            curves.setdefault((row["seed"], row["trial"]), []).append((row["epoch"], value))
    if not curves:
        return Detail(lines=tuple(lines), after=after)
    several = len({trial for _, trial in curves}) > 1
    series = tuple(
        Series(
            label=f"seed {seed}" + (f", rate {trial + 1}" if several else ""),
            x=[e for e, _ in points],
            y=[v for _, v in points],
            line=len(points) > 1,
            colour=i,
        )
        for i, ((seed, trial), points) in enumerate(curves.items())
    )
    where = "selection slice" if chosen else "scored split"
    return Detail(
        lines=tuple(lines),
        after=after,
        chart=Chart(title="", x_label="epoch", y_label=f"{rows[0]['metric']}, {where}", series=series),
    )
