"""The Runs screen: every run of the lab, live, and the loss curves of some of them beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shrunk_core.errors import ConfigError
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.widgets import Input, Static

from ..columns import BY_NAME, COLUMNS, DEFAULT
from ..look import Look
from ..widgets.live_chart import LiveChart
from ..widgets.run_table import RunTable
from .asking import Choose, ChooseSeveral
from .pane import Pane
from .run_actions import RunActions

if TYPE_CHECKING:
    from ..overlay import Look as Overlay
    from ..picture import Scene

MOST_CURVES = 12
"""Curves that are drawn of a grid when no run is marked; marked runs are all drawn."""


class RunsPane(RunActions, Pane):
    """Table and chart. Space marks runs: marked ones are drawn and acted on; without marks, the grid of the cursor."""

    title = "Runs"
    twin = "shrunk status, shrunk plot --x updates"
    help_text = """\
Every run of the lab, grouped by grid, and the loss curves of the grid under the cursor. Space marks runs: then these
are drawn, and actions (pause, stop, tag ...) are for all of them; without marks an action is for the run under the cursor.

Filter (/): hidden_size>=64 and status:running, words, globs (width*), #tag, -status:failed, grid:"width by depth".
Archived runs are listed when the filter names them: archived=1.

Chart (Tab goes there): left and right move a crosshair, + - zoom, < > pan, { } zoom the losses, 0 shows all; wheel
(with shift: the losses) and drag do the same."""
    BINDINGS = [
        Binding("enter", "open", "Open"),
        Binding("space", "mark", "Mark"),
        Binding("slash", "filter", "Filter"),
        Binding("o", "order", "Sort"),
        Binding("c", "columns", "Columns"),
        *RunActions.ACTIONS,
        Binding("w", "what", "Train/valid."),
        Binding("x", "x_axis", "X axis"),
        Binding("b", "bands", "Bands"),
        Binding("l", "log('log_x')", "Log x", show=False),
        Binding("L", "log('log_y')", "Log y", show=False),
        Binding("m", "smooth", "Smooth", show=False),
        Binding("O", "reverse", "Reverse the order", show=False),
        Binding("a", "mark_all", "Mark all that are listed", show=False),
        Binding("u", "unmark", "Unmark all", show=False),
        Binding("y", "group", "Group by grid or not", show=False),
        Binding("z", "zoom_chart", "Chart alone, table alone, both", show=False),
    ]
    DEFAULT_CSS = """
    RunsPane #runs-body { layout: horizontal; width: 1fr; height: 1fr; }
    RunsPane.-folded #runs-body { layout: vertical; }
    RunsPane #runs-left { width: 60%; height: 1fr; }
    RunsPane #runs-chart { width: 1fr; height: 1fr; }
    RunsPane.-chart #runs-left, RunsPane.-table #runs-chart { display: none; }
    RunsPane #runs-filter { height: 1; border: none; padding: 0 1; display: none; }
    RunsPane #runs-filter.-shown { display: block; }
    RunsPane #runs-word { height: auto; max-height: 2; padding: 0 1; color: $text-muted; display: none; }
    RunsPane #runs-word.-shown { display: block; }
    RunsPane #runs-empty { display: none; padding: 1 2; }
    RunsPane.-empty #runs-empty { display: block; }
    RunsPane.-empty #runs-body { display: none; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", id="runs-empty", markup=False)
        with Container(id="runs-body"):
            with Vertical(id="runs-left"):
                yield Input(placeholder="hidden_size>=64 and status:running   words   globs*   #tag", id="runs-filter")
                yield Static("", id="runs-word", markup=False)
                yield RunTable(ascii_only=self.session.ascii, id="runs-table")
            yield LiveChart(ascii_only=self.session.ascii, id="runs-chart")

    def on_mount(self) -> None:
        state = self.session.state
        self.marked = set(state.get("runs.marked", []))
        self.values: dict[str, Mapping[str, Any]] = {}
        self._drawn: frozenset[str] = frozenset()
        self._stale = False
        self._restored = False
        self._left_width: int | str = ""
        self.set_class(state.get("runs.layout", "") == "chart", "-chart")
        self.set_class(state.get("runs.layout", "") == "table", "-table")
        saved = state.get("runs.filter", "")
        self.query_one("#runs-filter", Input).value = saved
        self.query_one("#runs-filter").set_class(bool(saved), "-shown")
        self._timer = self.set_timer(60, lambda: None)

    def shown(self) -> None:
        self.table.focus()
        self._draw()

    def hidden(self) -> None:
        self.session.state.set("runs.cursor", self.table.cursor)

    def on_resize(self) -> None:
        self.set_class(self.size.width < 110, "-folded")
        self._share_width()

    @property
    def table(self) -> RunTable:
        return self.query_one(RunTable)

    @property
    def chart(self) -> LiveChart:
        return self.query_one(LiveChart)

    # ------------------------------------------------------------------ the table

    def lab_changed(self, look: Look) -> None:
        from ..columns import values_of

        rows = self.session.rows
        for run_id in look.removed:
            self.values.pop(run_id, None)
        for run_id in look.changed:
            if run_id in rows:
                self.values[run_id] = values_of(rows[run_id])
        self.marked &= set(rows)
        if self.has_class("-empty") and rows and self.app.focused is None:
            self.table.call_after_refresh(self.table.focus)  # the first runs: now there is something to have the focus
        self.set_class(not rows, "-empty")
        if not rows:
            self.query_one("#runs-empty", Static).update(EMPTY)
            return
        self.refresh_table()
        if not self._restored:
            self._restored = True
            self.table.put_cursor(self.session.state.get("runs.cursor", ""))
            self._draw()
        elif look.changed & self._drawn or not self._drawn:
            self._draw_soon()

    def refresh_table(self) -> None:
        """The table anew from what is known: filter, order, groups, columns."""
        from ..run_filter import parse_filter
        from ..run_rows import Order, listed

        state, word = self.session.state, ""
        text = self.query_one("#runs-filter", Input).value
        try:
            self._test = parse_filter(text, next(iter(self.values.values()), None))
        except ConfigError as problem:
            word = str(problem)
            self._test = getattr(self, "_test", lambda values: True)
        rows = [(self.session.rows[i], v) for i, v in self.values.items() if i in self.session.rows]
        if "archived" not in text:  # out of the way until somebody asks: archived=1
            rows = [(row, values) for row, values in rows if not values["archived"]]
        places = {g: {r: n for n, r in enumerate(e.run_ids)} for g, e in self.session.grids.items()}
        order = Order(column=state.get("runs.sort", ""), descending=state.get("runs.descending", False))
        lines = listed(rows, places, self._test, order, state.get("runs.grouped", True))
        if not lines and not word:
            word = f"no run fits the filter; {len(rows)} are hidden (esc in the filter bar empties it)"
        elif text and not word:
            word = f"{sum(line.row is not None for line in lines)} of {len(rows)} runs"
        note = self.query_one("#runs-word", Static)
        note.set_class(bool(word), "-shown")
        if word != getattr(self, "_word", ""):
            self._word = word
            note.update(word)
        self.table.show(lines, state.get("runs.columns", DEFAULT), order)
        self._share_width()

    def _share_width(self) -> None:
        """Beside each other, the table gets what its columns want and the chart the rest, at least two fifths."""
        if not self.table.wanted_width:
            return  # nothing is listed yet
        beside = not self.has_class("-folded") and not self.has_class("-table")
        wanted = min(self.table.wanted_width + 3, 3 * self.size.width // 5)  # a border on either side and the scrollbar
        width = max(wanted, 2 * self.size.width // 5) if beside else "1fr"
        if width != self._left_width:
            self._left_width = self.query_one("#runs-left").styles.width = width

    @on(RunTable.Moved)
    def _moved(self) -> None:
        self._draw_soon()

    @on(RunTable.Opened)
    def _opened(self) -> None:
        self.action_open()

    @on(RunTable.HeaderClicked)
    def _header(self, message: RunTable.HeaderClicked) -> None:
        self._sort(message.column)

    def _sort(self, column: str) -> None:
        state = self.session.state
        again = state.get("runs.sort", "") == column and column
        state.set("runs.descending", not state.get("runs.descending", False) if again else False)
        state.set("runs.sort", column)
        self.refresh_table()

    # ------------------------------------------------------------------ the chart

    def drawn_ids(self) -> list[str]:
        """Runs whose curves are shown: the marked ones that are listed, else those of the cursor's grid."""
        listed, cursor = self.table.run_ids(), self.table.cursor
        marked = [r for r in listed if r in self.marked]
        if marked:
            return marked
        row = self.session.rows.get(cursor)
        if row is None:
            return []
        mates = [r for r in listed if self.session.rows[r].spec.grid == row.spec.grid]
        at = mates.index(cursor)
        start = max(0, min(at - MOST_CURVES // 2, len(mates) - MOST_CURVES))
        return mates[start : start + MOST_CURVES]

    def overlay(self) -> Overlay:
        from ..overlay import Look as Overlay

        saved = self.session.state.get("runs.chart", {})
        try:
            return Overlay(**saved)
        except TypeError:
            return Overlay()

    def set_overlay(self, **changes: Any) -> None:
        import dataclasses

        self.session.state.set("runs.chart", {**dataclasses.asdict(self.overlay()), **changes})
        self._draw()

    def _draw_soon(self) -> None:
        """Draw at the pace that the line bears; what comes in between is drawn together."""
        if not self._stale:
            self._stale = True
            self._timer = self.set_timer(min(self.session.interval, 0.5) if self.session.interval <= 0.5
                                         else self.session.interval, self._draw)  # fmt: skip

    def _draw(self) -> None:
        self._stale = False
        if not self.session.looked or not self.chart.is_on_screen:
            return
        ids = self.drawn_ids()
        self._drawn = frozenset(ids)
        numbers = self.session.marks.numbers(ids)
        self.table.paint(numbers if len(ids) > 1 else {}, self.marked)
        from ..overlay import Drawn, overlay

        cursor = self.table.cursor
        runs = [
            Drawn(run_id=i, label=self.session.rows[i].spec.name, number=numbers[i], values=self.values.get(i, {}),
                  front=i == cursor and len(ids) > 1)
            for i in ids
        ]  # fmt: skip
        look = self.overlay()

        def read() -> Scene:
            curves = self.session.curves()
            return overlay(curves, runs, look)

        self.session.work(self, read, then=self.chart.show, group="curves")

    def targets(self) -> list[str]:
        """Runs that an action is for: the marked ones that are listed, else the cursor's."""
        listed = self.table.run_ids()
        return [r for r in listed if r in self.marked] or ([self.table.cursor] if self.table.cursor else [])

    # ------------------------------------------------------------------ keys

    def action_open(self) -> None:
        if self.table.cursor:
            self.app.go("run", run_id=self.table.cursor)  # type: ignore[attr-defined]

    def action_mark(self) -> None:
        if self.table.cursor:
            self.marked ^= {self.table.cursor}
            self._marked()
            self.table.action_cursor(1)

    def action_mark_all(self) -> None:
        self.marked |= set(self.table.run_ids())
        self._marked()

    def action_unmark(self) -> None:
        self.marked.clear()
        self._marked()

    def _marked(self) -> None:
        self.session.state.set("runs.marked", sorted(self.marked))
        self.table.paint(self.table.numbers, self.marked)
        self._draw_soon()

    def action_filter(self) -> None:
        bar = self.query_one("#runs-filter", Input)
        bar.add_class("-shown")
        bar.focus()

    @on(Input.Changed, "#runs-filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.session.state.set("runs.filter", event.value)
        if self.values:
            self.refresh_table()
            self._draw_soon()

    @on(Input.Submitted, "#runs-filter")
    def _filter_done(self) -> None:
        self._leave_filter()

    def key_escape(self) -> None:
        bar = self.query_one("#runs-filter", Input)
        if bar.has_focus:
            bar.value = ""
            self._leave_filter()
        elif self.chart.has_focus:
            self.table.focus()

    def _leave_filter(self) -> None:
        bar = self.query_one("#runs-filter", Input)
        bar.set_class(bool(bar.value), "-shown")
        self.table.focus()

    def action_order(self) -> None:
        choices = [("", "grid order"), *((c.name, f"{c.title} ({c.name})" if c.title != c.name else c.name)
                                         for c in COLUMNS)]  # fmt: skip
        now = self.session.state.get("runs.sort", "")
        self.app.push_screen(Choose("Sort by (the same again reverses; O reverses too)", choices, now),
                             lambda name: self._sort(name) if name is not None else None)  # fmt: skip

    def action_reverse(self) -> None:
        self._sort(self.session.state.get("runs.sort", "") or "name")

    def action_columns(self) -> None:
        choices = [(c.name, f"{c.title} ({c.name})" if c.title != c.name else c.name) for c in COLUMNS]

        def take(chosen: list[str] | None) -> None:
            if chosen is not None:
                self.session.state.set("runs.columns", [c for c in chosen if c in BY_NAME] or ["name"])
                self.refresh_table()

        now = self.session.state.get("runs.columns", DEFAULT)
        self.app.push_screen(ChooseSeveral("Columns of the table", choices, now), take)

    def action_group(self) -> None:
        self.session.state.set("runs.grouped", not self.session.state.get("runs.grouped", True))
        self.refresh_table()

    def action_what(self) -> None:
        self.set_overlay(what="validation" if self.overlay().what == "train" else "train")

    def action_x_axis(self) -> None:
        from ..overlay import AXES

        self.set_overlay(x=AXES[(AXES.index(self.overlay().x) + 1) % len(AXES)])

    def action_log(self, which: str) -> None:
        self.set_overlay(**{which: not getattr(self.overlay(), which)})

    def action_smooth(self) -> None:
        from ..overlay import SMOOTHINGS

        at = SMOOTHINGS.index(self.overlay().smoothing) if self.overlay().smoothing in SMOOTHINGS else 0
        self.set_overlay(smoothing=SMOOTHINGS[(at + 1) % len(SMOOTHINGS)], what="train")

    def action_bands(self) -> None:
        from ..overlay import SETTINGS_BUT_SEED, varying

        names = varying([self.values[i] for i in self._drawn if i in self.values])
        choices = [("", "a line a run"), (SETTINGS_BUT_SEED, "mean and spread over seeds"),
                   *((n, f"mean and spread by {n}") for n in names)]  # fmt: skip
        self.app.push_screen(
            Choose("Group the curves", choices, self.overlay().bands),
            lambda by: self.set_overlay(bands=by) if by is not None else None,
        )

    def action_zoom_chart(self) -> None:
        state = self.session.state
        layouts = ("", "chart", "table")
        layout = layouts[(layouts.index(state.get("runs.layout", "")) + 1) % 3]
        state.set("runs.layout", layout)
        self.set_class(layout == "chart", "-chart")
        self.set_class(layout == "table", "-table")
        self._share_width()
        (self.chart if layout == "chart" else self.table).focus()
        self.call_after_refresh(self._draw)


EMPTY = """\
This lab has no runs yet.

  2   design a grid of model shapes and start it (the Design screen)

Without the screens: cp a grid file from sample_configs/, then shrunk plan GRID and shrunk run GRID.
To see everything at work in a few minutes: shrunk demo"""
