"""The System screen: what the machine does, which run sits where, who else is on it, what the supervisor says."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Static

from ..format import count, size
from ..widgets.plain_table import Cells, Heading, PlainTable
from .pane import Pane

if TYPE_CHECKING:
    from shrunk_core.engine.machine_now import Looker, MachineNow, ProcessNow

    from ..lab_words import JournalBook, Scoring
    from ..look import Look
    from ..watcher import Row

SECONDS = 2.0
"""Between two looks at the machine, at least."""
HISTORY = 300
LOG_BYTES = 32_768

SLOT_HEADINGS = (
    Heading(title="slot", worth=60),
    Heading(title="run", worth=99),
    Heading(title="grid", worth=20),
    Heading(title="status", worth=80),
    Heading(title="device", worth=30),
    Heading(title="pid", right=True, worth=40),
    Heading(title="CPU", right=True, worth=70),
    Heading(title="memory", right=True, worth=65),
    Heading(title="tokens/s", right=True, worth=50),
)
PROCESS_HEADINGS = (
    Heading(title="pid", right=True, worth=50),
    Heading(title="user", worth=80),
    Heading(title="CPU", right=True, worth=70),
    Heading(title="memory", right=True, worth=60),
    Heading(title="GPU", right=True, worth=65),
    Heading(title="GPU memory", right=True, worth=64),
    Heading(title="command", worth=99),
)
VIEWS = {"system-others": "Other processes", "system-log": "Supervisor log", "system-alerts": "Alerts"}


class SystemPane(Pane):
    """Meters, slots, and below them one of: other processes, the supervisor's log, alerts."""

    title = "System"
    help_text = (
        "What the machine does now and did before: cores, memory, disk, each GPU with its memory, power and temperature. Below, "
        "which run sits in which slot with what it uses; then other people's processes, the supervisor's log or the alerts: v "
        "changes between them. The machine is looked at only while this screen is in front."
    )
    twin = "shrunk doctor, shrunk status, shrunk logs RUN"
    BINDINGS = [
        Binding("v", "view", "Processes, log, alerts"),
        Binding("enter", "open", "Open run"),
    ]
    DEFAULT_CSS = """
    SystemPane { layout: vertical; }
    SystemPane > #system-meters { height: auto; max-height: 55%; padding: 0 1; }
    SystemPane > #system-supervisor { height: 1; padding: 0 1; background: $panel; }
    SystemPane > #system-slots { height: 2fr; min-height: 5; }
    SystemPane > #system-more { height: 3fr; min-height: 6; }
    SystemPane VerticalScroll { height: 1fr; border: round $panel; padding: 0 1; scrollbar-size-vertical: 1; }
    SystemPane VerticalScroll:focus { border: round $primary; }
    """

    def __init__(self, session: Any, name: str) -> None:
        super().__init__(session, name)
        self.now: MachineNow | None = None
        self.history: deque[dict[str, float | None]] = deque(maxlen=HISTORY)
        self._looker: Looker | None = None
        self._timer: Timer | None = None
        self._listed: list[str] = []
        self._book: JournalBook | None = None
        self._scoring: list[Scoring] = []

    def compose(self) -> ComposeResult:
        yield Static("looking at the machine ...", id="system-meters", markup=False)
        yield Static("", id="system-supervisor", markup=False)
        slots = PlainTable(SLOT_HEADINGS, ascii_only=self.session.ascii, id="system-slots")
        slots.border_title = "Slots"
        slots.empty = "no run is under way or waiting"
        yield slots
        view = self.session.state.get("system.view", "system-others")
        with ContentSwitcher(initial=view if view in VIEWS else "system-others", id="system-more"):
            others = PlainTable(PROCESS_HEADINGS, ascii_only=self.session.ascii, id="system-others")
            others.empty = "nobody else computes here"
            yield others
            for name in ("system-log", "system-alerts"):
                with VerticalScroll(id=name):
                    yield Static("", markup=False)

    def on_mount(self) -> None:
        for name, title in VIEWS.items():
            self.query_one(f"#{name}").border_title = title

    # ------------------------------------------------------------------ looking

    def shown(self) -> None:
        self.query_one("#system-slots").focus()
        self._look()
        self._timer = self.set_interval(max(SECONDS, self.session.interval), self._look)

    def hidden(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def lab_changed(self, look: Look) -> None:
        self._show_slots()

    def _look(self) -> None:
        self.session.work(self, self._read, then=self._take, group="machine", failed=self._failed)

    def _read(self) -> tuple[MachineNow, str, str, list[str], list[Scoring]]:
        """In a thread: the machine, the supervisor, its log, the alerts, the cells that are scored."""
        from shrunk_core.engine.machine_now import Looker

        from ..lab_words import JournalBook, supervisor_line, tail

        lab: Path = self.session.lab
        if self._looker is None or self._book is None:
            self._looker, self._book = Looker(lab), JournalBook(lab)
        log = tail(lab / ".shrunk" / "supervisor.log", LOG_BYTES)
        self._book.look()
        return self._looker.look(), supervisor_line(lab), log, self._book.alerts(), self._book.scoring()

    def _take(self, found: tuple[MachineNow, str, str, list[str], list[Scoring]]) -> None:
        from ..meters import shares

        self.now, supervisor, log, alerts, self._scoring = found
        self.history.append(shares(self.now))
        self._show_meters()
        self.query_one("#system-supervisor", Static).update(supervisor)
        self._show_slots()
        self._show_others()
        self._put("#system-log", log or "The supervisor has written nothing yet.")
        self._put("#system-alerts", "\n".join(alerts) or "No alerts.")

    def _failed(self, problem: Exception) -> None:
        if self.now is None:
            self.query_one("#system-meters", Static).update("")
        self.query_one("#system-supervisor", Static).update(f"The machine cannot be read: {problem}")

    def _put(self, where: str, text: str) -> None:
        box = self.query_one(where, VerticalScroll)
        static = box.query_one(Static)
        if str(static.content) != text:
            at_end = box.max_scroll_y - box.scroll_offset.y <= 1
            static.update(text)
            if at_end:
                self.call_after_refresh(box.scroll_end, animate=False)

    # ------------------------------------------------------------------ showing

    def _show_meters(self) -> None:
        if self.now is not None:
            from ..meters import meter_lines

            width = max(20, self.size.width - 2)
            most = max(8, self.size.height // 2 - 2)
            lines = meter_lines(self.now, list(self.history), width, most, self.session.ascii)
            self.query_one("#system-meters", Static).update("\n".join(lines))

    def on_resize(self) -> None:
        self._show_meters()

    def _show_slots(self) -> None:
        """Runs that hold a slot, cells that are scored on one, then the runs that wait for one."""
        order = {"running": 0, "queued": 1}
        rows = [r for r in self.session.rows.values() if r.status.status in order]
        rows.sort(key=lambda r: (order[r.status.status], _slot(r), r.spec.name))
        used = {p.pid: p for p in self.now.processes} if self.now else {}
        scored = [job for job in self._scoring if job.pid in used]
        first_queued = sum(r.status.status == "running" for r in rows)
        self._listed = [r.run_id for r in rows]
        self._listed[first_queued:first_queued] = [job.run_id for job in scored]
        cells = [self._run_cells(row, used) for row in rows]
        cells[first_queued:first_queued] = [self._scored_cells(job, used[job.pid]) for job in scored]
        self.query_one("#system-slots", PlainTable).show(cells)

    def _run_cells(self, row: Row, used: dict[int, ProcessNow]) -> Cells:
        worker = row.standing.log.worker
        running = row.status.status == "running" and worker is not None
        process = used.get(worker.pid) if running and worker else None
        return Cells(
            cells=(
                _slot(row),
                row.spec.name,
                row.spec.grid,
                row.status.status + (f" ({row.status.reason})" if row.status.reason == "starting" else ""),
                *_used(worker.pid if running and worker else None, process),
                count(row.standing.tokens_per_second) if running else "",
            ),
            tone="" if running else "dim",
        )

    def _scored_cells(self, job: Scoring, process: ProcessNow) -> Cells:
        run = self.session.rows.get(job.run_id)
        name, grid = (run.spec.name, run.spec.grid) if run else (job.run_id, "")
        return Cells(cells=(job.slot, f"{name}: {job.name}", grid, "scoring", *_used(job.pid, process), ""))

    def _show_others(self) -> None:
        """Processes that are not our workers: other people's, and other programs of one's own."""
        if self.now is None:
            return
        ours = {r.standing.log.worker.pid for r in self.session.rows.values() if r.standing.log.worker}
        ours |= {job.pid for job in self._scoring}
        cells = [
            Cells(
                cells=(
                    str(p.pid),
                    p.user,
                    f"{p.cpu_percent:.0f}%",
                    size(p.rss_bytes),
                    "" if p.gpu is None else str(p.gpu),
                    "" if p.gpu_bytes is None else size(p.gpu_bytes),
                    p.command,
                )
            )
            for p in self.now.processes
            if p.pid not in ours
        ]
        self.query_one("#system-others", PlainTable).show(cells)

    # ------------------------------------------------------------------ actions

    def action_view(self) -> None:
        switcher = self.query_one("#system-more", ContentSwitcher)
        names = list(VIEWS)
        switcher.current = names[(names.index(switcher.current or names[0]) + 1) % len(names)]
        self.session.state.set("system.view", switcher.current)
        self.query_one(f"#{switcher.current}").focus()

    def action_open(self) -> None:
        """The run under the cursor on its own screen."""
        at = self.query_one("#system-slots", PlainTable).cursor
        if at < len(self._listed):
            self.app.go("run", run_id=self._listed[at])  # type: ignore[attr-defined]


def _used(pid: int | None, process: ProcessNow | None) -> tuple[str, str, str, str]:
    """Device, pid, processor and memory of a worker."""
    return (
        "" if process is None or process.gpu is None else f"GPU{process.gpu}",
        "" if pid is None else str(pid),
        f"{process.cpu_percent:.0f}%" if process else "",
        size(process.gpu_bytes or process.rss_bytes) if process else "",
    )


def _slot(row: Row) -> str:
    """The slot that a run was launched on."""
    queue = row.standing.queue
    return queue.reason if queue.state == "launched" else ""
