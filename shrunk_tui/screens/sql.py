"""The SQL screen: ask the lab's database, read the answer as a table, see it as a chart, take it along."""

from __future__ import annotations

import textwrap
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Static, TextArea

from ..format import duration, several
from ..widgets.sql_editor import SqlEditor
from .asking import Choose
from .sql_actions import SqlActions

if TYPE_CHECKING:
    from shrunk_core.store.completion import Catalog
    from shrunk_core.store.question import Answer, Question
    from textual_fastdatatable import ArrowBackend

    from ..result_plot import Axes

FIRST_QUERY = """\
-- e edits, f5 runs, tab completes, esc leaves the editor
select name, status, num_params, best_loss, best_perplexity
from runs
order by best_loss
"""


class SqlPane(SqlActions):
    """Editor above, answer below."""

    title = "SQL"
    help_text = (
        "Ask the lab's database, at any moment of a training. Type a query, f5 runs it; views and columns are completed as "
        "you type (tab takes one, ctrl+space asks). esc leaves the editor: the letters below work on the answer then. p draws "
        "the answer as a chart in place. Only reading is possible, and nothing outside the lab can be reached. Saved queries "
        "are files in queries/, which `shrunk sql --saved NAME` runs too."
    )
    twin = 'shrunk sql "select ..."  (--saved NAME, --out FILE, --format table|json|csv)'
    BINDINGS = [
        Binding("f5,ctrl+r,ctrl+j", "run", "Run", key_display="f5"),
        Binding("escape,ctrl+c", "stop", "Stop", show=False),
        Binding("e,i,enter", "edit", "Edit"),
        Binding("p", "plot", "Plot"),
        Binding("x", "axis('x')", "x"),
        Binding("y", "axis('y')", "y"),
        Binding("g", "axis('group')", "Group"),
        Binding("X", "log('log_x')", "log x", show=False),
        Binding("Y", "log('log_y')", "log y", show=False),
        Binding("o", "log('points')", "Points or lines", show=False),
        Binding("c", "copy", "Copy"),
        Binding("C", "copy_all", "Copy all", show=False),
        Binding("w", "export", "Write file"),
        Binding("f2,h", "history", "History", key_display="f2"),
        Binding("f3", "saved", "Saved", key_display="f3"),
        Binding("f4,ctrl+s", "save", "Save", key_display="f4"),
    ]
    DEFAULT_CSS = """
    SqlPane { layout: vertical; }
    SqlPane > SqlEditor { height: 35%; min-height: 6; }
    SqlPane > #sql-status { height: 1; padding: 0 1; color: $text-muted; }
    SqlPane > #sql-status.-error { color: $text-error; }
    SqlPane > #sql-answer { height: 1fr; }
    SqlPane #sql-words { padding: 0 1; height: 1fr; border: round $panel; }
    SqlPane #sql-words:focus { border: round $primary; }
    """

    def __init__(self, session: Any, name: str) -> None:
        super().__init__(session, name)
        self.catalog: Catalog | None = None
        self.answer: Answer | None = None
        self.axes: Axes | None = None
        self._question: Question | None = None
        self._refused = False
        """The words below say why the last query failed."""
        self._asked_at = 0.0
        self._ticker: Timer | None = None
        self._answers = 0

    def compose(self) -> ComposeResult:
        yield SqlEditor(self.session.state.get("sql.query", FIRST_QUERY), id="sql-editor")
        yield Static("", id="sql-status", markup=False)
        with ContentSwitcher(initial="sql-words", id="sql-answer"):
            with VerticalScroll(id="sql-words", can_focus=True):
                yield Static("", markup=False)

    def shown(self) -> None:
        self.focus_answer()  # not the editor, where the digits that change the tab would be typed
        if self.catalog is None:
            self.session.work(self, self._read_catalog, then=self._take_catalog, failed=self._failed, group="catalog")

    def hidden(self) -> None:
        self.session.work(self, self.session.rest, group="rest")

    def set_arguments(self, *, query: str = "", **arguments: Any) -> None:
        """Another screen brings a query along."""
        if query:
            self.editor.text = query
            self.action_run()

    # ------------------------------------------------------------------ names

    def _read_catalog(self) -> Catalog:
        from shrunk_core.store.completion import read_catalog

        self._refresh()
        return read_catalog(self.session.store())

    def _refresh(self) -> None:
        """Take in what is new in the logs, unless the lab is only looked at. For threads."""
        if not self.session.read_only:
            self.session.store().refresh()

    def _take_catalog(self, catalog: Catalog) -> None:
        self.catalog = self.editor.catalog = catalog
        self._show_catalog()

    def on_resize(self) -> None:
        self._show_catalog()

    def _show_catalog(self) -> None:
        """What can be asked, in lines of the width that is there, until something was."""
        if self.catalog is None or self.answer is not None or self._question is not None or self._refused:
            return
        parts: list[Content | tuple[str, str]] = [("What can be asked\n\n", "bold")]
        wide = max((len(v.text) for v in self.catalog.views), default=0)
        room = self.size.width - wide - 11  # columns, the border and its padding, the scrollbar
        for view in self.catalog.views:
            first, *more = textwrap.wrap(view.note.split(". ")[0].rstrip("."), max(24, room)) or [""]
            parts += [(f"  {view.text:<{wide}}  ", "bold"), Content(f"{first}\n")]
            parts += [Content(f"{'':{wide + 4}}{line}\n") for line in more]
        parts.append(Content("\n`describe runs` lists the columns of a view with their meaning. f3: saved queries.\n"))
        self._show_words(Content.assemble(*parts))

    # ------------------------------------------------------------------ asking

    def action_run(self) -> None:
        """Ask what is in the editor, or the part of it that is selected."""
        if self._question is not None:
            self.app.notify("A query is running; esc stops it.", severity="warning")
            return
        text = self.editor.selected_text.strip() or self.editor.text
        self.editor.close()
        self._asked_at = time.monotonic()
        self._say("asking ...")
        self._ticker = self.set_interval(max(0.2, self.session.interval), self._tick)
        self.session.work(
            self, self._ask, text, then=partial(self._take, text), failed=partial(self._failed_query, text), group="sql"
        )

    def _ask(self, text: str) -> tuple[Answer, ArrowBackend]:
        """In a thread: refresh, ask, measure."""
        from ..widgets.answer_table import measured

        store = self.session.store()
        self._question = question = store.ask(text)
        self._refresh()
        answer = question.answer()
        return answer, measured(answer.table)

    def _tick(self) -> None:
        question = self._question
        if question is not None:
            rows = f", {question.rows:,} rows so far" if question.rows else ""
            self._say(f"asking, {duration(time.monotonic() - self._asked_at)}{rows}; esc stops it")

    def _done(self) -> None:
        self._question = None
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None

    async def _take(self, text: str, got: tuple[Answer, ArrowBackend]) -> None:
        from ..result_plot import propose
        from ..widgets.answer_table import AnswerTable

        self._done()
        answer, backend = got
        self.answer, self._refused = answer, False
        self._answers += 1
        self.axes = propose(answer.table, self.axes)
        switcher = self.query_one("#sql-answer", ContentSwitcher)
        had_focus = not self.editor.has_focus
        for old in self.query(AnswerTable):
            await old.remove()
        await switcher.mount(AnswerTable(backend, id="sql-table"))
        charting = switcher.current == "sql-chart" and self.axes is not None
        switcher.current = "sql-chart" if charting else "sql-table"
        if charting:
            self._draw()
        if had_focus:
            self.focus_answer()
        self._say(self._summary(answer))
        self._remember(text, answer.table.num_rows, answer.seconds)

    def _summary(self, answer: Answer) -> str:
        said = f"{several(answer.table.num_rows, 'row')} in {answer.seconds:.2f} s"
        return said + ("; more are left out: an answer holds no more, ask for less" if answer.truncated else "")

    def _failed(self, problem: Exception) -> None:
        self._say(str(problem).split("\n")[0], error=True)

    def _failed_query(self, text: str, problem: Exception) -> None:
        from shrunk_core.store.question import Cancelled

        self._done()
        if isinstance(problem, Cancelled):
            self._say(f"stopped after {duration(time.monotonic() - self._asked_at)}")
            return
        self._refused = True
        self._say("the query failed", error=True)
        self._show_words(Content(str(problem)))
        self._remember(text, None, time.monotonic() - self._asked_at)

    def action_stop(self) -> None:
        """Call the running query off."""
        if self._question is not None:
            self._question.cancel()

    def _remember(self, text: str, rows: int | None, seconds: float) -> None:
        self.session.state.set("sql.query", self.editor.text)
        if not self.session.read_only:
            from shrunk_core.store.query_files import remember

            self.session.work(
                self, partial(remember, self.session.lab, text, rows=rows, seconds=seconds), group="history"
            )

    # ------------------------------------------------------------------ words

    def _say(self, text: str, *, error: bool = False) -> None:
        status = self.query_one("#sql-status", Static)
        status.set_class(error, "-error")
        status.update(text)

    def _show_words(self, text: Content) -> None:
        self.query_one("#sql-words > Static", Static).update(text)
        self.query_one("#sql-answer", ContentSwitcher).current = "sql-words"

    @on(TextArea.Changed)
    def _typed(self) -> None:
        self.session.state.set("sql.query", self.editor.text)

    @on(SqlEditor.Left)
    def _left_editor(self) -> None:
        if self._question is not None:
            self.action_stop()
        else:
            self.focus_answer()

    def action_edit(self) -> None:
        self.editor.focus()

    def focus_answer(self) -> None:
        """Focus what is below the editor: table, chart or words."""
        current = self.query_one("#sql-answer", ContentSwitcher).current
        self.query_one(f"#{current}").focus()

    # ------------------------------------------------------------------ chart

    def action_plot(self) -> None:
        """The table as a chart, and back."""
        from ..widgets.live_chart import LiveChart

        switcher = self.query_one("#sql-answer", ContentSwitcher)
        if self.answer is None:
            self.app.notify("Run a query first; its answer is what p draws.")
            return
        if switcher.current == "sql-chart":
            switcher.current = "sql-table"
        elif self.axes is None:
            self.app.notify("A chart needs two columns of numbers, and the answer has not.", severity="warning")
            return
        else:
            if not self.query(LiveChart):
                switcher.mount(LiveChart(ascii_only=self.session.ascii, id="sql-chart"))
            switcher.current = "sql-chart"
            self.call_after_refresh(self._draw)
        self.focus_answer()

    def _draw(self) -> None:
        if self.answer is None or self.axes is None:
            return
        from ..result_plot import scene_of
        from ..widgets.live_chart import LiveChart

        chart = self.query_one(LiveChart)
        self.session.work(self, scene_of, self.answer.table, self.axes, self._answers, then=chart.show, group="plot")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the chart are there while the chart is."""
        if action in ("axis", "log") and self.is_mounted:
            return self.query_one("#sql-answer", ContentSwitcher).current == "sql-chart"
        return True

    def action_axis(self, which: str) -> None:
        """Choose a column for x, y or the group."""
        from dataclasses import replace

        from ..result_plot import numeric_columns

        if self.answer is None or self.axes is None:
            return
        table = self.answer.table
        if which == "group":
            choices = [("", "(none: one curve)"), *((n, n) for n in table.column_names)]
        else:
            choices = [(n, n) for n in numeric_columns(table)]

        def chosen(name: str | None) -> None:
            if name is not None and self.axes is not None:
                self.axes = replace(self.axes, **{which: name})
                self._draw()

        self.app.push_screen(Choose(f"{which} of the chart", choices, getattr(self.axes, which)), chosen)

    def action_log(self, which: str) -> None:
        """Toggle a property of the chart: log_x, log_y, points."""
        from dataclasses import replace

        if self.axes is not None:
            self.axes = replace(self.axes, **{which: not getattr(self.axes, which)})
            self._draw()
