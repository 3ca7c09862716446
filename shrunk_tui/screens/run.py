"""The Run screen: one run in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Grid, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ..look import Look
from ..widgets.live_chart import LiveChart
from .asking import Choose
from .pane import Pane
from .run_actions import RunActions

if TYPE_CHECKING:
    from ..picture import Scene
    from ..run_page import RunLook

CHARTS = ("loss", "learning_rate", "grad_norm", "tokens_per_second")
PANELS = ("settings", "events", "log", "checkpoints", "tasks")


class RunPane(RunActions, Pane):
    """Charts on one side, a panel of text on the other; both follow the run while it learns."""

    title = "Run"
    twin = "shrunk show RUN, shrunk logs RUN -f"
    help_text = """\
One run: loss, learning rate, gradient norm and throughput; beside them its settings, events, worker's output, checkpoints
and task scores (i goes from one to the next). d sets another run beside this one and marks what differs; [ and ] go to the
previous and next run of the grid. Tab goes into a chart: crosshair, zoom and pan there as on Runs."""
    BINDINGS = [
        Binding("left_square_bracket", "step(-1)", "Previous", key_display="["),
        Binding("right_square_bracket", "step(1)", "Next", key_display="]"),
        Binding("slash", "choose", "Choose"),
        Binding("i", "panel(1)", "Panel"),
        Binding("I", "panel(-1)", "Panel before", show=False),
        Binding("d", "diff", "Diff"),
        *[b for b in RunActions.ACTIONS if b.action != "compare"],
        Binding("x", "x_axis", "X axis"),
        Binding("l", "log('log_x')", "Log x", show=False),
        Binding("L", "log('log_y')", "Log y", show=False),
        Binding("m", "smooth", "Smooth"),
        Binding("z", "chart(1)", "Chart", show=False),
        Binding("escape", "back", "Back to Runs", show=False),
    ]
    DEFAULT_CSS = """
    RunPane #run-head { height: auto; max-height: 4; padding: 0 1; }
    RunPane #run-body { layout: horizontal; width: 1fr; height: 1fr; }
    RunPane.-folded #run-body { layout: vertical; }
    RunPane #run-charts { grid-size: 2 2; width: 3fr; height: 1fr; }
    RunPane.-folded #run-charts { width: 1fr; }
    RunPane.-one #run-charts { grid-size: 1 1; }
    RunPane.-one #run-charts LiveChart { display: none; }
    RunPane.-one #run-charts LiveChart.-front { display: block; }
    RunPane #run-side { width: 2fr; height: 1fr; }
    RunPane.-folded #run-side { width: 1fr; height: 1fr; }
    RunPane #run-panels { height: 1; padding: 0 1; }
    RunPane #run-scroll { height: 1fr; border: round $panel; padding: 0 1; }
    RunPane #run-scroll:focus { border: round $primary; }
    RunPane #run-text { width: 1fr; height: auto; }
    RunPane.-empty #run-body { display: none; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", id="run-head", markup=False)
        with Container(id="run-body"):
            with Grid(id="run-charts"):
                for name in CHARTS:
                    yield LiveChart(ascii_only=self.session.ascii, id=f"run-{name}")
            with Container(id="run-side"):
                yield Static("", id="run-panels")
                with VerticalScroll(id="run-scroll"):
                    yield Static("", id="run-text", markup=False)

    def on_mount(self) -> None:
        state = self.session.state
        self.run_id: str = state.get("run.run_id", "")
        self.other = ""
        self._stale = False
        self._text = ""
        self._front(state.get("run.chart", CHARTS[0]))

    def shown(self) -> None:
        self.query_one("#run-scroll").focus()
        self._load()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < 110, "-folded")
        self.set_class(event.size.width < 110 or event.size.height < 24, "-one")
        self.call_after_refresh(self._take_focus)  # what had it may have lost it while the layout changed

    def _take_focus(self) -> None:
        """Keys of this screen work while something in it has the focus."""
        if self.app.focused is None and self.display:
            self.query_one("#run-scroll").focus()

    def set_arguments(self, **arguments: Any) -> None:
        self.open(arguments.get("run_id", ""))

    def open(self, run_id: str) -> None:
        """Show another run."""
        if run_id and run_id != self.run_id:
            self.run_id, self.other = run_id, ""
            self.session.state.set("run.run_id", run_id)
            for chart in self.query(LiveChart):
                chart.action_whole()
            self._load()

    def targets(self) -> list[str]:
        return [self.run_id] if self.run_id in self.session.rows else []

    # ------------------------------------------------------------------ what is shown

    def lab_changed(self, look: Look) -> None:
        if self.run_id not in self.session.rows:
            rows = self.session.rows
            live = [r for r in rows if rows[r].status.status == "running"]
            self.run_id = (live or list(rows) or [""])[0]
            self._load()
        elif self.run_id in look.changed and not self._stale:
            self._stale = True
            self.set_timer(max(0.3, self.session.interval), self._load)

    def look_of(self) -> RunLook:
        from ..run_page import RunLook

        try:
            return RunLook(**self.session.state.get("run.look", {}))
        except TypeError:
            return RunLook()

    def _load(self) -> None:
        """Read what the charts and the panel need, in a thread."""
        self._stale = False
        row = self.session.rows.get(self.run_id)
        if self.has_class("-empty") and row is not None:
            self.call_after_refresh(self._take_focus)  # what was to have it was not there to take it
        self.set_class(row is None, "-empty")
        if row is None:
            if self.session.looked:
                self.query_one("#run-head", Static).update(EMPTY)
            return
        from .. import run_page

        panel = self.session.state.get("run.panel", PANELS[0])
        self._say_panels(panel)
        head = f"{row.spec.name}  ({row.spec.grid}, {row.run_id})\n{run_page.headline(row)}"
        if head != getattr(self, "_head", ""):
            self._head = head
            title, _, rest = head.partition("\n")
            self.query_one("#run-head", Static).update(Content.assemble((title, "bold"), "\n", rest))
        look, run_id, other = self.look_of(), self.run_id, self.session.rows.get(self.other)

        def read() -> tuple[dict[str, Scene], str]:
            lab = self.session.lab
            text = {
                "settings": lambda: run_page.settings_text(row, other),
                "events": lambda: run_page.events_text(lab, run_id),
                "log": lambda: run_page.log_text(lab, run_id),
                "checkpoints": lambda: run_page.checkpoints_text(lab, run_id),
                "tasks": lambda: self._tasks(run_id),
            }[panel]()
            return run_page.run_scenes(self.session.curves(), run_id, look), text

        self.session.work(self, read, then=self._show, group="run")

    def _tasks(self, run_id: str) -> str:
        from shrunk_core.errors import StoreError

        from ..run_page import table_text

        try:
            result = self.session.store().query("from task_scores where run_id = ? limit 500", params=[run_id])
        except StoreError as problem:
            return f"no task scores can be read: {problem}"
        if not result.rows:
            return "No task scores of this run yet. The Tasks screen (5) and its headless command start them."
        return table_text(result.columns, result.rows)

    def _show(self, read: tuple[dict[str, Scene], str]) -> None:
        scenes, text = read
        for name in CHARTS:
            self.query_one(f"#run-{name}", LiveChart).show(scenes[name])
        if text != self._text:
            self._text = text
            scroll = self.query_one("#run-scroll", VerticalScroll)
            at_end = scroll.scroll_offset.y >= scroll.max_scroll_y - 1
            self.query_one("#run-text", Static).update(text)
            if self.session.state.get("run.panel", "") == "log" and at_end:
                self.call_after_refresh(scroll.scroll_end, animate=False)

    def _say_panels(self, front: str) -> None:
        parts: list[Any] = []
        for name in PANELS:
            parts += [(f"[{name}]", "reverse") if name == front else f" {name} "]
        self.query_one("#run-panels", Static).update(Content.assemble(*parts))

    # ------------------------------------------------------------------ keys

    def action_step(self, by: int) -> None:
        rows = self.session.rows
        if self.run_id not in rows:
            return
        grid = rows[self.run_id].spec.grid
        submitted = self.session.grids.get(grid)
        order = {r: n for n, r in enumerate(submitted.run_ids)} if submitted else {}
        mates = sorted((r for r in rows if rows[r].spec.grid == grid),
                       key=lambda r: (order.get(r, 1 << 30), rows[r].spec.name))  # fmt: skip
        self.open(mates[(mates.index(self.run_id) + by) % len(mates)])

    def _ask_run(self, question: str, then: Any, now: str = "", none: str = "") -> None:
        rows = self.session.rows
        choices = [("", none)] if none else []
        choices += [(r, f"{rows[r].spec.name}  {rows[r].spec.grid}  {rows[r].status.status}")
                    for r in sorted(rows, key=lambda r: (rows[r].spec.grid, rows[r].spec.name))]  # fmt: skip
        self.app.push_screen(Choose(question, choices, now), then)

    def action_choose(self) -> None:
        self._ask_run("Which run?", lambda r: self.open(r or ""), self.run_id)

    def action_diff(self) -> None:
        def take(run_id: str | None) -> None:
            if run_id is not None:
                self.other = run_id
                self.session.state.set("run.panel", "settings")
                self._load()

        self._ask_run("Beside which run?", take, self.other, none="(none)")

    def action_panel(self, by: int) -> None:
        now = self.session.state.get("run.panel", PANELS[0])
        at = PANELS.index(now) if now in PANELS else 0
        self.session.state.set("run.panel", PANELS[(at + by) % len(PANELS)])
        self.query_one("#run-scroll", VerticalScroll).scroll_home(animate=False)
        self._load()

    def on_click(self, event: events.Click) -> None:
        panels = self.query_one("#run-panels")
        offset = event.get_content_offset(panels) if event.widget is panels else None
        if offset is not None:
            at = 0
            for name in PANELS:
                if at <= offset.x < at + len(name) + 2:
                    self.session.state.set("run.panel", name)
                    self._load()
                at += len(name) + 2

    def set_look(self, **changes: Any) -> None:
        import dataclasses

        self.session.state.set("run.look", {**dataclasses.asdict(self.look_of()), **changes})
        self._load()

    def action_x_axis(self) -> None:
        from ..overlay import AXES

        self.set_look(x=AXES[(AXES.index(self.look_of().x) + 1) % len(AXES)])

    def action_log(self, which: str) -> None:
        self.set_look(**{which: not getattr(self.look_of(), which)})

    def action_smooth(self) -> None:
        from ..overlay import SMOOTHINGS

        now = self.look_of().smoothing
        self.set_look(smoothing=SMOOTHINGS[(SMOOTHINGS.index(now) + 1) % len(SMOOTHINGS) if now in SMOOTHINGS else 0])

    def _front(self, name: str) -> None:
        for chart in self.query(LiveChart):
            chart.set_class(chart.id == f"run-{name}", "-front")

    def action_chart(self, by: int) -> None:
        """The next chart, where only one has room."""
        now = self.session.state.get("run.chart", CHARTS[0])
        name = CHARTS[(CHARTS.index(now) + by) % len(CHARTS)]
        self.session.state.set("run.chart", name)
        self._front(name)
        self.call_after_refresh(self._load)

    def action_back(self) -> None:
        self.app.go("runs")  # type: ignore[attr-defined]


EMPTY = "No runs yet: the Design screen (2) makes a grid and starts it; `shrunk demo` shows everything at work."
