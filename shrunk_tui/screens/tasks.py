"""The Tasks screen: models x tasks with what is missing, gains of pre-training, perplexity against score, one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from ..format import several
from ..widgets.score_table import ScoreCell, ScoreTable
from .asking import AskText, Confirm
from .pane import Pane

if TYPE_CHECKING:
    from shrunk_core.engine.watch import Watch

    from ..look import Look
    from ..task_book import Detail, Model, Task, TaskBook
    from .tasks_starting import Asked

WIDE, TALLEST = 130, 30
"""Columns from which the detail stands beside the matrix rather than below it; rows of a chart in it at most."""
SECONDS = 3.0
"""Between two looks for new scores, at least."""
NOT_SCORED = (
    "No task is scored yet. n scores the finished runs: bigram-shift needs no download; GLUE comes from a folder or the hub.\n"
    "Headless: shrunk glue GRID --tasks bigram-shift --baseline untrained"
)
NOT_TRAINED = (
    "Scores of downstream tasks stand here once a run has finished. 2 designs a grid, 1 shows what runs.\n"
    "Headless: shrunk glue GRID --tasks bigram-shift --baseline untrained"
)
STARTING = "shrunk_tui.screens.tasks_starting"
VIEWS = {"cell": "Cell", "gain": "Gain", "perplexity": "Perplexity"}


class TasksPane(Pane):
    """What each model scores on each task, what pre-training gained, and what is not scored yet."""

    title = "Tasks"
    help_text = (
        "Scores of every model on every task: mean over seeds ± their standard deviation (seeds); (2/3) lacks a seed and . is "
        "missing. The darker a cell's ground, the higher its score within its column. v changes what stands beside it: the "
        "cell's seeds and learning curve, the gain over the untrained start with its 95 % interval, or score against perplexity "
        "with Spearman's rank correlation. enter starts a missing cell, m all of them, n scores new tasks: each asks first. b "
        "shows the untrained starts."
    )
    twin = "shrunk glue, shrunk correlate"
    BINDINGS = [
        Binding("enter", "enter", "Open or start"),
        Binding("v", "view(1)", "Cell, gain, perplexity"),
        Binding("V", "view(-1)", "View before", show=False),
        Binding("b", "baseline", "Baseline"),
        Binding("m", "missing", "Start missing"),
        Binding("n", "new", "New tasks"),
        Binding("r", "open_run", "Run", show=False),
        Binding("ctrl+down", "scroll_detail(3)", "Detail down", show=False),
        Binding("ctrl+up", "scroll_detail(-3)", "Detail up", show=False),
    ]
    DEFAULT_CSS = """
    TasksPane { layout: vertical; }
    TasksPane #tasks-head { height: 1; color: $text-muted; }
    TasksPane #tasks-body { layout: vertical; height: 1fr; }
    TasksPane #tasks-matrix { height: 1fr; min-height: 5; }
    TasksPane #tasks-detail { height: 1fr; border: round $panel; padding: 0 1; scrollbar-size-vertical: 1; }
    TasksPane #tasks-chart { height: auto; }
    TasksPane #tasks-after { color: $text-muted; }
    TasksPane.-wide #tasks-body { layout: horizontal; }
    TasksPane.-wide #tasks-matrix { width: 3fr; }
    TasksPane.-wide #tasks-detail { width: 2fr; }
    TasksPane.-empty #tasks-matrix { display: none; }
    """

    can_focus = True  # while there is no matrix to hold the focus, the keys must work all the same

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        state = self.session.state
        self.view = state.get("tasks.view", "cell")
        self.view = self.view if self.view in VIEWS else "cell"
        self.baseline = bool(state.get("tasks.baseline", False))
        self.book: TaskBook | None = None
        self.detail: Detail | None = None
        self._models: list[Model] = []
        self._asked: set[str] = set()
        """Cells that were started from here and have not ended."""
        self._watch: Watch | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static("reading the scores ...", id="tasks-head")
        with Container(id="tasks-body"):
            yield ScoreTable(ascii_only=self.session.ascii, id="tasks-matrix")
            with VerticalScroll(id="tasks-detail", can_focus=False):
                yield Static("", id="tasks-numbers", markup=False)
                yield Static("", id="tasks-chart")
                yield Static("", id="tasks-after", markup=False)

    # ------------------------------------------------------------------ life

    def shown(self) -> None:
        (self if self.has_class("-empty") else self.matrix).focus()
        self._read()
        self._timer = self.set_interval(max(SECONDS, self.session.interval), self._read)

    def hidden(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self.session.work(self, self.session.rest, group="tasks")

    def lab_changed(self, look: Look) -> None:
        if any(event.kind == "finished" for _, event in look.events):
            self._read()

    @property
    def matrix(self) -> ScoreTable:
        return self.query_one("#tasks-matrix", ScoreTable)

    # ------------------------------------------------------------------ reading, off the UI thread

    def _read(self) -> None:
        self.session.work(self, self._look, then=self._take, failed=self._failed, group="tasks")

    def _look(self) -> tuple[TaskBook, dict[str, str]]:
        from ..task_book import read_book

        store = self.session.store()
        if not self.session.read_only:
            store.refresh()
        return read_book(store), self._standing()

    def _standing(self) -> dict[str, str]:
        """What became of the cells that were started from here."""
        from shrunk_core.engine.watch import Watch
        from shrunk_core.record.rundir import parent_of

        asked = set(self._asked)
        if not asked:
            return {}
        parents = {parent_of(job) for job in asked}
        if self._watch is None or self._watch.run_ids != parents:
            self._watch = Watch(self.session.lab, parents, cells=True)
        self._watch.look()
        return {job: self._watch.status(job).status for job in asked}

    def _take(self, found: tuple[TaskBook, dict[str, str]]) -> None:
        book, states = found
        first, changed = self.book is None, book != self.book
        self.book, self.session.cells = book, states
        self._head(states)
        if changed:
            self._show_matrix()
            self._show_detail()
        if first:
            self._lay_out()

    def _failed(self, problem: Exception) -> None:
        self.query_one("#tasks-head", Static).update(Text(f" The scores cannot be read: {problem}"))

    # ------------------------------------------------------------------ showing

    def on_resize(self) -> None:
        self._lay_out()
        self.call_after_refresh(self._show_detail)

    def _lay_out(self) -> None:
        self.set_class(self.size.width >= WIDE, "-wide")
        rows = len(self._models) + 3
        self.matrix.styles.max_height = "100%" if self.size.width >= WIDE else min(rows, max(6, self.size.height // 2))
        empty = self.book is not None and not self.book.tasks
        if empty != self.has_class("-empty"):
            self.set_class(empty, "-empty")
            if self.app.screen is self.screen:
                (self if empty else self.matrix).focus()
        self.query_one("#tasks-detail").border_title = f"{VIEWS[self.view]} (v: next)"

    def _show_matrix(self) -> None:
        from ..task_book import cell_words

        book = self.book
        if book is None:
            return
        self._models = book.shown(self.baseline)
        several = len({m.grid for m in self._models}) > 1
        names = [(f"{m.grid}/" if several else "") + f"{m.name} {m.checkpoint}" for m in self._models]
        reach = {}
        for task in book.tasks:
            means = [score.mean for m in self._models if (score := book.score(m, task))]
            reach[task.comparison] = (min(means, default=0.0), max(means, default=0.0))
        cells = []
        for model in self._models:
            row = []
            for task in book.tasks:
                score, (low, high) = book.score(model, task), reach[task.comparison]
                heat = None if score is None else (score.mean - low) / (high - low) if high > low else 0.0
                row.append(ScoreCell(text=cell_words(score, task.seeds), heat=heat))
            average = book.averages.get((model.run_id, model.checkpoint))
            row.append(ScoreCell(text=average.words if average else ""))
            cells.append(row)
        headings = [task.label for task in book.tasks]
        if book.averages:
            headings.append("GLUE / no wnli")
        else:
            cells = [row[:-1] for row in cells]
        self.matrix.show(headings, names, cells)
        self._lay_out()

    def _head(self, states: dict[str, str]) -> None:
        book = self.book
        if book is None:
            return
        models = book.shown(self.baseline)
        gaps = len(book.missing(models))
        size = f"{several(len(models), 'model')} x {several(len(book.tasks), 'task')}"
        parts = [size, f"{gaps} missing" if gaps else "none missing"]
        for status in ("running", "queued", "failed", "stopped"):
            if number := list(states.values()).count(status):
                parts.append(f"{number} {status}")
        parts.append("untrained starts shown" if self.baseline else "b: untrained starts")
        self._asked -= {job for job, status in states.items() if status == "finished"}
        task = self._here()[1]
        if task is not None:
            words = "--baseline untrained" if self.baseline else ""
            filtered = "--filtered" if task.filtered else ""
            parts.append(
                " ".join(f"shrunk glue GRID --tasks {task.name} --seeds {task.seeds} {filtered} {words}".split())
            )
        self.query_one("#tasks-head", Static).update(Text(" " + " · ".join(parts), no_wrap=True, overflow="ellipsis"))

    def _here(self) -> tuple[Model | None, Task | None]:
        """Model and task under the cursor."""
        book, table = self.book, self.matrix
        model = self._models[table.row] if table.row < len(self._models) else None
        task = book.tasks[table.column] if book and table.column < len(book.tasks) else None
        return model, task

    @on(ScoreTable.Moved)
    def _moved(self) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        book, (model, task) = self.book, self._here()
        if book is None:
            return
        if not book.tasks:
            self._put(NOT_SCORED if book.models else NOT_TRAINED)
            return
        if task is None or model is None:
            self._put("The plain mean of the GLUE tasks on the left, and the same without wnli, which is noise.")
            return
        width = self.query_one("#tasks-detail").size.width - 2
        height = self.query_one("#tasks-detail").size.height
        self.session.work(
            self, self._detailed, book, model, task, self.view, width, height, then=self._put_detail, group="detail"
        )  # fmt: skip

    def _detailed(
        self, book: TaskBook, model: Model, task: Task, view: str, width: int, height: int
    ) -> tuple[Detail, Text]:
        """In a thread: the numbers and the chart of the chosen view."""
        from ..charts import draw_within
        from ..task_book import cell_detail, gain_detail

        if view == "gain":
            detail = gain_detail(book, task, width, self.session.ascii)
        elif view == "perplexity":
            place = "shrunk_tui.task_correlation:perplexity_detail"
            detail = self.session.aside(place, self.session.lab, self.session.looking, book, task)
        else:
            detail = cell_detail(self.session.store(), model, task)
        text = ""
        if detail.chart is not None and width >= 30:
            room = max(8, min(TALLEST, height - len(detail.lines)))
            text = draw_within(detail.chart, width=width, height=room, ascii_only=self.session.ascii)
        return detail, Text.from_ansi(text, no_wrap=True)

    def _put_detail(self, found: tuple[Detail, Text]) -> None:
        self.detail, chart = found
        self._put("\n".join(self.detail.lines), chart, "\n".join(self.detail.after))

    def _put(self, numbers: str, chart: Text | str = "", after: str = "") -> None:
        self.query_one("#tasks-numbers", Static).update(numbers)
        self.query_one("#tasks-chart", Static).update(chart)
        self.query_one("#tasks-after", Static).update(after)
        self.query_one("#tasks-detail").scroll_home(animate=False)

    # ------------------------------------------------------------------ choosing

    def action_view(self, by: int) -> None:
        names = list(VIEWS)
        self._look_at(names[(names.index(self.view) + by) % len(names)])

    def _look_at(self, view: str) -> None:
        self.view = view
        self.session.state.set("tasks.view", view)
        self._lay_out()
        self._show_detail()

    def action_baseline(self) -> None:
        self.baseline = not self.baseline
        self.session.state.set("tasks.baseline", self.baseline)
        self._show_matrix()
        self._head({})
        self._show_detail()

    def action_scroll_detail(self, by: int) -> None:
        self.query_one("#tasks-detail").scroll_relative(y=by, animate=False)

    def action_open_run(self) -> None:
        model = self._here()[0]
        if model is not None:
            self.app.go("run", run_id=model.run_id)  # type: ignore[attr-defined]

    # ------------------------------------------------------------------ starting what is missing

    def action_enter(self) -> None:
        """A scored cell: its seeds and learning curve. A missing one: start it."""
        model, task = self._here()
        if self.book is None or model is None or task is None:
            return
        if (model, task) in self.book.missing([model]):
            self._start([(model, task)])
        self._look_at("cell")

    def action_missing(self) -> None:
        if self.book is not None:
            gaps = self.book.missing(self.book.shown(self.baseline))
            if not gaps:
                self.app.notify("Nothing that is shown is missing. n scores new tasks; b shows the untrained starts.")
                return
            self._start(gaps)

    def _start(self, gaps: list[tuple[Model, Task]]) -> None:
        if self.refuse_write("score tasks"):
            return
        self.app.notify("Looking at the rows of these tasks ...", timeout=3)
        place = f"{STARTING}:missing_cells"
        self.session.work(self, self.session.aside, place, self.session.lab, gaps, then=self._confirm, group="plan")

    def action_new(self) -> None:
        """Ask for tasks, and where their rows are unless they are probes."""
        if self.book is None or self.refuse_write("score tasks"):
            return
        hint = "By comma: bigram-shift, cola, sst2 ... or a TOML file."

        def named(tasks: str | None) -> None:
            from .tasks_starting import only_probes

            if not tasks or not tasks.strip():
                return
            if only_probes(tasks):
                self._plan_new(tasks, "")
                return
            self.app.push_screen(
                AskText("Where are the rows?", "hub", "A folder of TASK/SPLIT.jsonl, or hub."),
                lambda source: self._plan_new(tasks, source) if source else None,
            )

        self.app.push_screen(AskText("Score all finished runs on which tasks?", "bigram-shift", hint), named)

    def _plan_new(self, tasks: str, source: str) -> None:
        asked = (f"{STARTING}:new_cells", self.session.lab, self.book, tasks, source, True)
        self.session.work(self, self.session.aside, *asked, then=self._confirm, group="plan")

    def _confirm(self, asked: Asked) -> None:
        refused = "; ".join(asked.refused[:3]) + (f"; and {len(asked.refused) - 3} more" if asked.refused[3:] else "")
        if not asked.cells:
            self.app.notify(f"Nothing can be started. {refused}", severity="warning", timeout=12, markup=False)
            return
        runs = len({cell.run_id for cell in asked.cells})
        tasks = ", ".join(dict.fromkeys(cell.task.name for cell in asked.cells))
        words = (
            f"{tasks}; with every seed and, for new tasks, the untrained start. Cells that are done are not done again."
        )
        question = f"Fine-tune and score {len(asked.cells)} cells of {runs} runs?"
        self.app.push_screen(
            Confirm(question, words + (f" Left out: {refused}" if refused else "")),
            lambda yes: self._submit(asked) if yes else None,
        )

    def _submit(self, asked: Asked) -> None:
        from shrunk_core.engine.cells import submit_cells

        self.session.work(self, submit_cells, self.session.lab, list(asked.cells), then=self._queued, group="submit")

    def _queued(self, reply: dict[str, Any]) -> None:
        self._asked |= set(reply["queued"])
        self.app.notify(f"{len(reply['queued'])} cells queued; they go on when this window is closed.")
        self._read()
