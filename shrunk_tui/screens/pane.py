"""The contract between the app and its screens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Container

from ..session import LabSession

if TYPE_CHECKING:
    from ..look import Look


class Pane(Container):
    """One tab. A screen is a subclass in `screens/<name>.py`, named in `tabs.TABS`; it is made when first shown.

    What a subclass says:
      title       what stands on the tab
      help_text   a few sentences for `?`: what the screen is for and how to begin. Plain text
      twin        the headless command that does the same, such as `shrunk sql`; shown in the help
      BINDINGS    its keys: they show in the footer while it is on top, in the help with their descriptions and in the
                  palette. Give every action one; an upper-case or rarely used key may be `show=False`
      compose()   its widgets. No heavy import here or at the top of the file (duckdb, pyarrow, pandas, plotext, numpy,
                  fastdatatable): import inside functions that run in `self.session.work`, or in a widget that is
                  mounted after the first frame

    What the app calls, always on the UI thread:
      shown()             the pane came to the front (the first time right after it was mounted). Focus what keys act on
      hidden()            it went to the back: stop timers; nothing off screen is drawn
      lab_changed(look)   logs or journals have news, while the pane is in front. What came while it was in the back is
                          merged and delivered right after `shown()`. `look.changed`, `look.removed`: run ids, whose rows
                          are `self.session.rows`; `look.events`: new events. The first call has the whole lab as changed
      set_arguments(**k)  another pane sends it here: `self.app.go("run", run_id="...")`

    What it has: `self.session` (see `LabSession`), and `self.app.go(name, **arguments)` to open another tab.
    View state (cursor, filter, columns) belongs in `self.session.state` under `<name>.<what>`, set when it changes.
    Actions that write must not run when `self.session.read_only`: `if self.refuse_write("delete runs"): return`.
    """

    title: ClassVar[str] = ""
    help_text: ClassVar[str] = ""
    twin: ClassVar[str] = ""

    DEFAULT_CSS = """
    Pane { width: 1fr; height: 1fr; }
    """

    def __init__(self, session: LabSession, name: str) -> None:
        super().__init__(id=f"pane-{name}", classes="pane")
        self.session = session

    def shown(self) -> None:
        """The pane came to the front."""

    def hidden(self) -> None:
        """The pane went to the back."""

    def lab_changed(self, look: Look) -> None:
        """There is news about the lab, and the pane is in front."""

    def set_arguments(self, **arguments: Any) -> None:
        """Another pane asks for something to be shown here."""

    def refuse_write(self, what: str) -> bool:
        """True, and the user is told, when the lab is open for looking only. what: "delete runs"."""
        if self.session.read_only:
            self.app.notify(f"Read-only: cannot {what}. Open the lab without --read-only.", severity="warning")
        return self.session.read_only
