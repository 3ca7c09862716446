"""The terminal UI: a shell with tabs, news of the lab, help, palette, themes. Each screen is a `Pane`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import ContentSwitcher

from .look import EMPTY_LOOK, Look
from .palette import ShrunkCommands
from .screens.help import HelpScreen
from .screens.pane import Pane
from .screens.tabs import BY_NAME, TABS
from .session import LabNews, LabSession, LabTrouble
from .themes import DARK, THEMES
from .widgets.banner import Banner
from .widgets.key_bar import KeyBar
from .widgets.tab_bar import TabBar


class ShrunkApp(App[None]):
    """The UI on one lab. Quitting never touches what trains."""

    TITLE = "shrunk"
    CSS_PATH = Path(__file__).with_name("shrunk.tcss")
    COMMANDS = App.COMMANDS | {ShrunkCommands}
    BINDINGS = [
        *(Binding(t.key, f"go('{t.name}')", f"Go to {t.title}", show=False) for t in TABS),
        Binding("ctrl+pagedown", "next_tab(1)", "Next tab", show=False),
        Binding("ctrl+pageup", "next_tab(-1)", "Previous tab", show=False),
        Binding("question_mark,f1", "help", "Help"),
        Binding("ctrl+p", "command_palette", "Palette"),
        Binding("ctrl+t", "next_theme", "Light or dark", show=False),
        Binding("exclamation_mark", "serve", "Start a supervisor", show=False),
        Binding("q,ctrl+q", "quit", "Quit"),
    ]
    ENABLE_COMMAND_PALETTE = True

    def __init__(self, session: LabSession, start: str = "", note: str = "") -> None:
        """start: the tab to begin with; empty: where the lab was left. note: stands at the right of the tabs."""
        super().__init__()
        self.session = session
        self._start, self._note = start, note or ("READ-ONLY" if session.read_only else "")
        self._waiting: dict[str, Look] = {}
        """News for panes that are in the back."""
        for theme in THEMES:
            self.register_theme(theme)

    # ------------------------------------------------------------------ shell

    def compose(self) -> ComposeResult:
        yield TabBar(self.session.lab.name, self._note)
        yield Banner()
        yield ContentSwitcher(id="panes")
        yield KeyBar()

    def on_mount(self) -> None:
        theme = self.session.state.get("app.theme", DARK.name)
        self.theme = theme if theme in self.available_themes else DARK.name
        if self.session.ascii:
            from .ascii_look import AsciiSigns

            self._filters.append(AsciiSigns())
        self.theme_changed_signal.subscribe(self, lambda theme: self.session.state.set("app.theme", theme.name))
        self.go(self._start or self.session.state.get("app.tab", "runs"))
        self.call_after_refresh(self._after_first_frame)

    def _after_first_frame(self) -> None:
        """Only now threads start and modules of weight are imported."""
        self.session.follow(self)
        self.set_interval(2.0, self._keep)

    def _keep(self) -> None:
        """Now and then: save the view, adapt the pace to the line."""
        self.session.work(self, self.session.state.save, group="state")
        writer = getattr(self._driver, "_writer_thread", None)
        self.session.pace(writer._queue.qsize() if writer is not None else 0)

    @property
    def pane(self) -> Pane | None:
        """The pane in front; None before the first one is there and after the last one has gone."""
        for switcher in self.query("#panes").results(ContentSwitcher):
            if switcher.current:
                return next(iter(switcher.query(f"#{switcher.current}").results(Pane)), None)
        return None

    def go(self, name: str, **arguments: Any) -> None:
        """Bring a tab to the front, making its pane if need be, and hand it `arguments` (see `Pane.set_arguments`)."""
        tab = BY_NAME.get(name, TABS[0])
        switcher = self.query_one("#panes", ContentSwitcher)
        before, wanted = self.pane, f"pane-{tab.name}"
        if before is not None and before.id == wanted:
            if arguments:
                before.set_arguments(**arguments)
            return
        if before is not None:
            before.hidden()
        self.query_one(TabBar).activate(tab.name)
        self.session.state.set("app.tab", tab.name)
        found = switcher.query(f"#{wanted}")
        if found:
            switcher.current = wanted
            self._bring(found.first(Pane), arguments)
            return
        pane = tab.load()(self.session, tab.name)
        self._waiting[wanted] = EMPTY_LOOK
        switcher.mount(pane)
        switcher.current = wanted
        pane.call_after_refresh(self._bring, pane, arguments, True)

    def _bring(self, pane: Pane, arguments: dict[str, Any], new: bool = False) -> None:
        if self.pane is not pane:  # somebody was quicker
            return
        pane.shown()
        if arguments:
            pane.set_arguments(**arguments)
        look = self._waiting.pop(pane.id or "", None)
        if new and self.session.looked:
            look = Look(changed=frozenset(self.session.rows))
        if look or (new and self.session.looked):
            pane.lab_changed(look or EMPTY_LOOK)

    # ------------------------------------------------------------------ news

    @on(LabNews)
    def _news(self) -> None:
        look = self.session.take_news()
        if look is None:
            return
        front = self.pane
        for pane in self.query(Pane):
            if pane is front and pane.id not in self._waiting:
                pane.lab_changed(look)
            elif pane.id:
                self._waiting[pane.id] = self._waiting.get(pane.id, EMPTY_LOOK).merged(look)

    @on(LabTrouble)
    def _trouble(self, news: LabTrouble) -> None:
        banner = self.query_one(Banner)
        for cause in {*banner.words, *news.words}:
            banner.say(cause, news.words.get(cause, ""))

    # ------------------------------------------------------------------ actions

    def action_go(self, name: str) -> None:
        self.go(name)

    @on(TabBar.Chosen)
    def _chosen(self, message: TabBar.Chosen) -> None:
        self.go(message.tab)

    def action_next_tab(self, by: int) -> None:
        names = [t.name for t in TABS]
        now = self.pane.id.removeprefix("pane-") if self.pane and self.pane.id else names[0]
        self.go(names[(names.index(now) + by) % len(names)])

    def action_help(self) -> None:
        self.push_screen(HelpScreen(self.pane))

    def action_next_theme(self) -> None:
        self.theme = THEMES[(self.theme == DARK.name)].name

    def action_serve(self) -> None:
        """Start the lab's supervisor where none serves: queued runs go on."""
        if self.session.read_only:
            self.notify("Read-only: cannot start a supervisor.", severity="warning")
            return

        def serve() -> bool:
            from shrunk_core.engine.client import start_supervisor
            from shrunk_core.engine.desk import Desk

            desk = Desk(self.session.lab)
            if desk.serving():
                return False
            start_supervisor(desk)
            return True

        self.session.work(
            self,
            serve,
            then=lambda made: self.notify("A supervisor is starting." if made else "A supervisor serves already."),
            group="serve",
        )

    async def action_quit(self) -> None:
        self.exit(message=farewell(self.session))

    async def on_unmount(self) -> None:
        self.session.close()


def farewell(session: LabSession) -> str | None:
    """What goes on without us, in words; None when nothing does."""
    if session.stage:
        return None
    busy = _busy(row.status.status for row in session.rows.values())
    said = [f"Training goes on: {busy}."] if busy else []
    if cells := _busy(session.cells.values()):
        said.append(f"Scoring of tasks goes on: {cells}.")
    if not said:
        return None
    return " ".join([*said, "`shrunk` looks again, `shrunk status` tells, `shrunk stop GRID` stops."])


def _busy(statuses: Iterable[str]) -> str:
    count = Counter(statuses)
    return ", ".join(f"{count[s]} {s}" for s in ("running", "queued") if count[s])


def wants_ascii(asked: bool) -> bool:
    """True when signs beyond ASCII are not to be drawn: asked for, SHRUNK_ASCII set, or a locale without UTF-8."""
    if asked or os.environ.get("SHRUNK_ASCII"):
        return True
    encoding = (sys.stdout.encoding or "utf-8").lower().replace("-", "")
    return not encoding.startswith("utf")


def open_ui(lab: Path, *, read_only: bool = False, ascii_only: bool = False, start: str = "") -> None:
    """Run the UI on a lab until the user quits. For terminals."""
    for name in ("COLUMNS", "LINES"):  # exported by some shells; they would hide every later size of the terminal
        os.environ.pop(name, None)
    ShrunkApp(LabSession(lab, read_only=read_only, ascii_only=wants_ascii(ascii_only)), start).run()
