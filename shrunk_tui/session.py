"""What all screens share about the lab they show: its rows, its store, its saved view, and threads to work in."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from shrunk_core.errors import ShrunkError
from textual.message import Message
from textual.message_pump import MessagePump
from textual.worker import get_current_worker

from .mark_book import MarkBook
from .state import ViewState, state_file

if TYPE_CHECKING:  # imported in threads, so that the first frame waits for none of them
    from shrunk_core.store.store import Store

    from .aside import Aside
    from .curves import CurveStore
    from .look import Look
    from .watcher import Row

T = TypeVar("T")

FASTEST, SLOWEST = 0.25, 5.0
"""Seconds between two looks at the logs, at the most and at the least; the pace adapts between them."""
REMOTE_FASTEST = 0.5
TROUBLE_SECONDS = 4.0
IDLE_FASTEST = 1.0
"""Pace of looking while nothing changes."""


class LabSession:
    """One lab, opened for looking at or for working in. Panes have it as `self.session`.

    lab            the lab's folder
    read_only      True: nothing may be written into the lab and nothing started or stopped; panes ask
                   `Pane.refuse_write` before any such action
    rows           run_id -> `watcher.Row` (spec, standing, status), as of the last look; replaced, never changed
    grids          grid name -> `GridSubmitted`
    cells          job id -> status of the downstream cells that were started from here, as Tasks saw them last
    looked         True once the first look is done: before it, an empty `rows` says nothing
    state          `ViewState`: `state.get("sql.query", "")`, `state.set("sql.query", text)`; saved by itself
    stage          True: this is a replay
    marks          `MarkBook`: the number of a run, from which its colour and sign follow on every screen
    curves()       `CurveStore` of the logs' curves. For threads (`work`), as it reads files
    ascii          True: draw with ASCII signs only
    looking        as read_only, but False in a replay, whose lab is made for it
    aside(...)     call a function in another process, from a thread (`work`): what imports scipy or matplotlib
    store()        the lab's `Store`. Call it in a thread (`work`), never on the UI thread: it imports duckdb
    work(...)      run a function in a thread, then a callback on the UI thread
    interval       seconds between refreshes that the line to the terminal bears now; use it for timers of your own

    News about the lab come to `Pane.lab_changed`, on the UI thread, already merged.
    """

    def __init__(self, lab: Path, *, read_only: bool = False, ascii_only: bool = False, stage: bool = False) -> None:
        """stage: a lab made for a replay, which nobody comes back to: its view is not kept, its index is written."""
        self.lab, self.read_only, self.ascii, self.stage = lab, read_only, ascii_only, stage
        self.state = ViewState(None if stage else state_file(lab, read_only))
        self.rows: Mapping[str, Row] = {}
        self.grids: Mapping[str, Any] = {}
        self.looked = False
        self.cells: Mapping[str, str] = {}
        self.interval = REMOTE_FASTEST if os.environ.get("SSH_CONNECTION") else FASTEST
        self.marks = MarkBook(self.state)
        self._store: Store | None = None
        self._aside: Aside | None = None
        self._curves: CurveStore | None = None
        self._guard = threading.Lock()
        self._pending: Look | None = None
        self._wake = threading.Event()
        self._closed = False

    # ------------------------------------------------------------------ work off the UI thread

    def work(
        self,
        node: MessagePump,
        function: Callable[..., T],
        *arguments: Any,
        then: Callable[[T], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
        group: str = "default",
        exclusive: bool = True,
    ) -> None:
        """Run `function(*arguments)` in a thread for a widget, then `then(result)` on the UI thread.

        A later call of the same widget and group makes an earlier one's result unwanted (`exclusive`). `failed` gets a
        `ShrunkError` or `OSError`; without it the app shows the message. The callbacks do not come when the widget is
        gone by then. The thread of an unwanted call goes on to its end: let long functions ask
        `textual.worker.get_current_worker().is_cancelled`.
        """

        def body() -> None:
            worker = get_current_worker()
            try:
                result = function(*arguments)
            except (ShrunkError, OSError) as problem:
                if not worker.is_cancelled:
                    node.call_later(failed or partial(self._tell, node), problem)
                return
            if then is not None and not worker.is_cancelled:
                node.call_later(then, result)

        node.run_worker(body, thread=True, group=group, exclusive=exclusive, exit_on_error=True)  # type: ignore[attr-defined]

    @staticmethod
    def _tell(node: MessagePump, problem: Exception) -> None:
        node.app.notify(str(problem), severity="error", timeout=12, markup=False)

    def store(self) -> Store:
        """The lab's store, for reading. For threads only: the first call imports duckdb."""
        from .lab_store import lab_store

        with self._guard:
            if self._store is None:
                self._store = lab_store(self.lab, self.looking)
            return self._store

    def rest(self) -> None:
        """Let go of the published copy: a screen that asks the store has gone to the back. Asking opens it again."""
        with self._guard:
            if self._store is not None:
                self._store.close()

    @property
    def looking(self) -> bool:
        """Nothing may be written into the lab, not even its index. A replay's lab is our own."""
        return self.read_only and not self.stage

    def aside(self, place: str, *arguments: Any) -> Any:
        """Call `module:function` in the process for heavy work (see `aside`). For functions that run in `work`."""
        from .aside import Aside

        with self._guard:
            if self._aside is None:
                self._aside = Aside()
        worker = get_current_worker()
        return self._aside.call(place, *arguments, unwanted=lambda: worker.is_cancelled)

    def curves(self) -> CurveStore:
        """The lab's curves, read from the logs. For threads only."""
        from .curves import CurveStore

        with self._guard:
            if self._curves is None:
                self._curves = CurveStore(self.lab)
            return self._curves

    # ------------------------------------------------------------------ following the lab

    def follow(self, receiver: MessagePump) -> None:
        """Start the thread that looks at the lab's logs; news go to `receiver` as `LabNews`, one at a time."""
        threading.Thread(target=self._follow, args=(receiver,), name="lab-watcher", daemon=True).start()

    def _follow(self, receiver: MessagePump) -> None:
        from .troubles import troubles
        from .watcher import Watcher

        watcher = Watcher(self.lab, keep=not self.read_only)
        said: dict[str, str] = {}
        asked_at = 0.0
        while not self._closed:
            began = time.monotonic()
            try:
                look = watcher.look()
                words = {k: v for k, v in said.items() if k != "lab"}
            except OSError as error:
                look = None
                words = {"lab": f"{self.lab}: {error.strerror or error}. What is shown is what was there before; it goes "
                         "on when the folder is back."}  # fmt: skip
            except ShrunkError as problem:
                look = None
                words = {"lab": f"{problem} What is shown is what was there before."}
            if look is not None and began - asked_at > TROUBLE_SECONDS and not self.stage:
                words, asked_at = troubles(self.lab, watcher), began
            if words != said:
                said = words
                receiver.post_message(LabTrouble(words))
            if look is not None and (look or not self.looked):
                with self._guard:
                    self.rows, self.grids, self.looked = watcher.rows, dict(watcher.grids), True
                    fresh = self._pending is None
                    self._pending = look if self._pending is None else self._pending.merged(look)
                if fresh:  # otherwise a message that will fetch this too is on its way
                    receiver.post_message(LabNews())
            pause = self.interval if look else max(IDLE_FASTEST, self.interval)
            spent = time.monotonic() - began
            self._wake.wait(max(pause, 3 * spent))  # looking takes at most a quarter of one core
            self._wake.clear()

    def take_news(self) -> Look | None:
        """What happened since the last call, merged; None when a message came for nothing."""
        with self._guard:
            look, self._pending = self._pending, None
            return look

    def look_now(self) -> None:
        """Have the next look at once: after an action, so that its effect shows without a wait."""
        self._wake.set()

    def pace(self, backlog: int) -> None:
        """Adapt the pace to the line: `backlog` is how many writes wait for the terminal."""
        fastest = REMOTE_FASTEST if os.environ.get("SSH_CONNECTION") else FASTEST
        self.interval = min(SLOWEST, self.interval * 2) if backlog > 1 else max(fastest, self.interval * 0.8)

    def close(self) -> None:
        """Save the view and let go of the lab. Nothing that trains is touched."""
        self._closed = True
        self._wake.set()
        self.state.save()
        with self._guard:
            if self._store is not None:
                self._store.close()
                self._store = None
            if self._aside is not None:
                self._aside.close()


class LabNews(Message):
    """There is something in `LabSession.take_news()`."""

    bubble = False


class LabTrouble(Message):
    """What is wrong with the lab as a whole, by cause; empty when all is well again."""

    bubble = False

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__()
        self.words = words
